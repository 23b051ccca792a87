import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { concatBytes, equalBytes, unshared, utf8 } from './byte-strings.ts';

describe('equalBytes', () => {
  test('agrees with a comparison of the elements', () => {
    const short = fc.uint8Array({ maxLength: 3, max: 2 });
    fc.assert(
      fc.property(short, short, (left, right) => {
        expect(equalBytes(left, right)).toBe(left.join() === right.join() && left.length === right.length);
      }),
    );
  });

  test.each([
    [33, 0],
    [259, 0],
    [259, 1],
  ])('sees one changed bit at any place of %i bytes, at offset %i of their memory', (length, offset) => {
    const bytes = new Uint8Array(length).fill(0x5a);
    const changed = new Uint8Array(offset + length).subarray(offset);
    changed.set(bytes);
    expect(equalBytes(bytes, changed)).toBe(true);
    for (let bit = 0; bit < bytes.length * 8; bit += 1) {
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(equalBytes(bytes, changed)).toBe(false);
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    }
  });

  test('a prefix is not equal', () => {
    expect(equalBytes(Uint8Array.of(1), Uint8Array.of(1, 0))).toBe(false);
  });
});

test('concatBytes() joins in order', () => {
  expect(concatBytes(Uint8Array.of(1), new Uint8Array(0), Uint8Array.of(2, 3))).toEqual(Uint8Array.of(1, 2, 3));
  expect(concatBytes()).toEqual(new Uint8Array(0));
});

test('utf8() encodes beyond ASCII', () => {
  expect(utf8('aé')).toEqual(Uint8Array.of(0x61, 0xc3, 0xa9));
});

test('unshared() copies only what lies in shared memory', () => {
  const own = Uint8Array.of(1);
  expect(unshared(own)).toBe(own);
  const shared = new Uint8Array(new SharedArrayBuffer(1));
  expect(unshared(shared).buffer).toBeInstanceOf(ArrayBuffer);
});
