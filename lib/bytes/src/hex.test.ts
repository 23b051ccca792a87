import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fromHex, toHex } from './hex.ts';
import { ParseError } from './parse-error.ts';

describe('hex', () => {
  test('any bytes come back, in lower case', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        const text = toHex(bytes);
        expect(text).toMatch(/^(?:[0-9a-f]{2})*$/);
        expect(fromHex(text)).toEqual(bytes);
      }),
    );
  });

  test.each([
    ['an odd number of digits', '123'],
    ['upper case', 'AB'],
    ['a prefix', '0x12'],
    ['a space', '12 3'],
    ['a line feed at the end', 'ab\n'],
    ['a letter beyond f', 'ag'],
    ['a full-width digit', '１２'],
  ])('fromHex() refuses %s', (_, text) => {
    expect(() => fromHex(text, 'nonce')).toThrow(ParseError);
    expect(() => fromHex(text, 'nonce')).toThrow(/^nonce /);
  });
});
