import { ParseError } from '@ringwall/bytes';
import { describe, expect, test } from 'vitest';
import { decompressLz4, decompressLz4Prefix } from './lz4.ts';

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
const ascii = (string: string): number[] => [...new TextEncoder().encode(string)];

// token, literals, offset, more length: "abc" then 3 back for 4+5 bytes, then "12345".
const REPEATED = Uint8Array.from([0x35, ...ascii('abc'), 3, 0, 0x50, ...ascii('12345')]);

describe('decompressLz4()', () => {
  test('repeats what a match reaches into', () => {
    expect(text(decompressLz4(REPEATED, 100))).toBe('abcabcabcabc12345');
  });

  test('reads lengths that go on over several bytes', () => {
    const literals = Array.from({ length: 15 + 255 + 7 }, (_, index) => index & 0xff);
    const block = Uint8Array.from([0xff, 255, 7, ...literals, 1, 0, 255, 0, 0x10, 9]);
    const bytes = decompressLz4(block, 2000);
    expect(bytes.length).toBe(277 + 15 + 255 + 4 + 1);
    expect([...bytes.subarray(270, 300)]).toEqual([
      ...literals.slice(270),
      ...Array.from({ length: 23 }, () => 276 & 0xff),
    ]);
    expect(bytes.at(-1)).toBe(9);
  });

  test('copies long matches whole', () => {
    const literals = Array.from({ length: 40 }, (_, index) => index);
    const block = Uint8Array.from([0xff, 25, ...literals, 40, 0, 21, 0x10, 7]);
    expect([...decompressLz4(block, 100)]).toEqual([...literals, ...literals, 7]);
  });

  test.each([
    ['an empty block', [], /ends before its last literals/],
    ['a block that ends with a match', [0x35, 97, 98, 99, 3, 0], /ends before its last literals/],
    ['literals that are not there', [0x30, 97], /need 3 bytes, expected at most 1/],
    ['a length without its end', [0xf0, 255, 255], /ends inside a length/],
    ['half an offset', [0x10, 97, 1], /ends inside a match offset/],
    ['an offset of zero', [0x10, 97, 0, 0, 0], /0, expected 1\.\.1/],
    ['an offset before the beginning', [0x10, 97, 2, 0, 0], /2, expected 1\.\.1/],
  ])('refuses %s', (_, block, message) => {
    const run = (): unknown => decompressLz4(Uint8Array.from(block), 100);
    expect(run).toThrow(ParseError);
    expect(run).toThrow(message);
  });

  test('stops a bomb at its limit', () => {
    expect(() => decompressLz4(REPEATED, 16)).toThrow(/unpacks to more than 16 bytes/);
    expect(() => decompressLz4(REPEATED, 8)).toThrow(/unpacks to more than 8 bytes/);
    expect(decompressLz4(REPEATED, 17).length).toBe(17);
  });

  test('every truncation is refused or unpacks to less', () => {
    // After its literals alone, a sequence may be the last one.
    expect(text(decompressLz4(REPEATED.subarray(0, 4), 100))).toBe('abc');
    for (const length of [0, 1, 2, 3, 5, 6, 7, 8, 9, 10, 11]) {
      expect(() => decompressLz4(REPEATED.subarray(0, length), 100)).toThrow(ParseError);
    }
  });
});

describe('decompressLz4Prefix()', () => {
  test('stops where it has enough, in literals and in matches', () => {
    for (let bytes = 0; bytes <= 17; bytes += 1) {
      expect(text(decompressLz4Prefix(REPEATED, bytes))).toBe('abcabcabcabc12345'.slice(0, bytes));
    }
  });

  test('refuses a block that holds less', () => {
    expect(() => decompressLz4Prefix(REPEATED, 18)).toThrow(/unpacks to 17 bytes, expected 18/);
  });
});
