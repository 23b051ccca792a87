import { deflateRawSync, deflateSync } from 'node:zlib';
import { ParseError } from '@ringwall/bytes';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { inflateRaw, inflateZlib } from './inflate.ts';

const TEXT = new TextEncoder().encode('a manifest, a manifest, and one more manifest; '.repeat(400));

describe('inflateRaw()', () => {
  it('gives back what zlib has deflated, in blocks of every kind', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 3000 }), fc.integer({ min: 0, max: 9 }), (bytes, level) => {
        const twice = Buffer.concat([bytes, bytes]);
        expect(Buffer.from(inflateRaw(deflateRawSync(twice, { level }), twice.length)).equals(twice)).toBe(true);
      }),
      { numRuns: 200 },
    );
    expect(inflateRaw(deflateRawSync(TEXT), TEXT.length)).toEqual(TEXT);
    const fixed = deflateRawSync(TEXT, { strategy: 4 });
    expect(inflateRaw(fixed, TEXT.length)).toEqual(TEXT);
  });

  it('stops at its limit, however little input says so', () => {
    expect(() => inflateRaw(deflateRawSync(new Uint8Array(1_000_000)), 999_999)).toThrow(/more than 999999 bytes/);
  });

  it('refuses every cut, and ends well with every changed byte', () => {
    const packed = deflateRawSync(TEXT);
    for (let length = 0; length < packed.length; length += 1) {
      expect(() => inflateRaw(packed.subarray(0, length), TEXT.length)).toThrow(ParseError);
    }
    for (let at = 0; at < packed.length; at += 1) {
      for (const bit of [1, 16, 128]) {
        const changed = Uint8Array.from(packed);
        changed[at] = (changed[at] ?? 0) ^ bit;
        expect(['inflated', 'ParseError']).toContain(outcomeOf(changed));
      }
    }
  });
});

describe('inflateZlib()', () => {
  it('reads the wrapper, and nothing that is none', () => {
    expect(inflateZlib(deflateSync(TEXT), TEXT.length)).toEqual(TEXT);
    expect(() => inflateZlib(deflateRawSync(TEXT), TEXT.length)).toThrow(ParseError);
    expect(() => inflateZlib(new Uint8Array(), 10)).toThrow(ParseError);
  });
});

function outcomeOf(bytes: Uint8Array): string {
  try {
    inflateRaw(bytes, TEXT.length);
    return 'inflated';
  } catch (error) {
    return error instanceof Error ? error.name : String(error);
  }
}
