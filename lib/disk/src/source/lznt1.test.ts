import { ParseError } from '@ringwall/bytes';
import { describe, expect, test } from 'vitest';
import { decompressLznt1 } from './lznt1.ts';

/** A chunk: a header, then flags and symbols. */
function chunk(compressed: boolean, ...bytes: readonly number[]): number[] {
  const header = (compressed ? 0xb000 : 0x3000) | (bytes.length - 1);
  return [header & 0xff, header >> 8, ...bytes];
}

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1').replace(/\0+$/, '');

describe('decompressLznt1()', () => {
  test('repeats what a match reaches into', () => {
    // "abc", then 3 back for 9.
    const block = Uint8Array.from(chunk(true, 0b1000, 97, 98, 99, 0x06, 0x20));
    expect(text(decompressLznt1(block, 4096))).toBe('abcabcabcabc');
  });

  test('takes more bits for the distance the further it is', () => {
    const literals = [...Buffer.from('0123456789abcdefg')];
    // 17 literals, then with five bits of distance: 17 back for 4.
    const block = Uint8Array.from(
      chunk(true, 0, ...literals.slice(0, 8), 0, ...literals.slice(8, 16), 0b10, ...literals.slice(16), 0x01, 0x80),
    );
    expect(text(decompressLznt1(block, 4096))).toBe('0123456789abcdefg0123');
  });

  test('each chunk begins at its own 4 KiB', () => {
    const block = Uint8Array.from([...chunk(false, 1, 2), ...chunk(false, 3), 0, 0, 9, 9]);
    const bytes = decompressLznt1(block, 12_288);
    expect([bytes[0], bytes[1], bytes[2], bytes[4096], bytes[4097], bytes[8192]]).toEqual([1, 2, 0, 3, 0, 0]);
  });

  test.each([
    ['a header without its mark', [0x00, 0x10, 1], /header 0x1000/],
    ['a chunk that is not there', [0x05, 0xb0, 0, 1], /ends at 8/],
    ['half a match', chunk(true, 0b10, 97, 0), /ends inside a match/],
    ['a match before the beginning', chunk(true, 0b10, 97, 0x00, 0x10), /2 back, expected at most 1/],
    ['a bomb', chunk(true, 0b10, 97, 0xff, 0x0f, 0), /more than 4096/],
  ])('refuses %s', (_, block, message) => {
    const run = (): unknown => decompressLznt1(Uint8Array.from(block), 4096);
    expect(run).toThrow(ParseError);
    expect(run).toThrow(message);
  });
});
