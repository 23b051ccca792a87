import { describe, expect, it } from 'vitest';
import { canonicalJson } from './canonical-json.ts';

describe('canonicalJson()', () => {
  it('sorts keys by code unit, at every depth, and writes no white space', () => {
    // RFC 8785 section 3.2.3: U+10000 is a surrogate pair, which sorts before U+FB33.
    const value = { '\ufb33': 1, '\u{10000}': 2, b: { d: [true, 'x'], c: 3 }, a: [] };
    expect(canonicalJson(value)).toBe('{"a":[],"b":{"c":3,"d":[true,"x"]},"\u{10000}":2,"\ufb33":1}');
  });

  it('writes text as RFC 8785 section 3.2.2.2 has it', () => {
    expect(canonicalJson('€$\u000f\nA\'B"\\')).toBe('"€$\\u000f\\nA\'B\\"\\\\"');
  });

  it.each([0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53])('refuses %s, whose spelling could differ', (number) => {
    expect(() => canonicalJson(number)).toThrow(RangeError);
  });
});
