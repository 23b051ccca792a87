import { describe, expect, test } from 'vitest';
import { memorySource, type ByteSource } from './byte-source.ts';
import { firstDataOf, MAX_LOOKED_THROUGH_BYTES } from './zeros.ts';

const MIB = 1024 * 1024;

describe('firstDataOf()', () => {
  test.each([0, 1, 3, 4, 4095, 4096, 4098])('finds one byte at %i, wherever the bytes lie in memory', (at) => {
    for (const shift of [0, 1, 2, 3]) {
      const bytes = new Uint8Array(4099 + shift).subarray(shift);
      bytes[at] = 1;
      expect(firstDataOf(memorySource(bytes))).toEqual({ kind: 'some', at });
    }
  });

  test('finds what lies behind the first piece', () => {
    const bytes = new Uint8Array(2 * MIB + 9);
    bytes[2 * MIB + 8] = 1;
    expect(firstDataOf(memorySource(bytes))).toEqual({ kind: 'some', at: 2 * MIB + 8 });
  });

  test('says none only of zeros to the end', () => {
    for (const size of [0, 1, 7, MIB + 1])
      expect(firstDataOf(memorySource(new Uint8Array(size)))).toEqual({ kind: 'none' });
  });

  test('reads only what may hold data, however large the disk', () => {
    const huge: ByteSource = {
      size: 2 ** 50,
      nextData: (offset) => (offset > 2 ** 40 ? undefined : { offset: Math.max(offset, 2 ** 40), length: 1 }),
      read: (offset, length) => new Uint8Array(length).fill(offset === 2 ** 40 ? 0 : 1),
    };
    expect(firstDataOf(huge)).toEqual({ kind: 'none' });
  });

  test('does not say none where it stopped looking', () => {
    let read = 0;
    const zeros = new Uint8Array(MIB);
    const long: ByteSource = {
      size: 2 ** 50,
      read: (_, length) => {
        read += length;
        return zeros.subarray(0, length);
      },
    };
    expect(firstDataOf(long)).toEqual({ kind: 'some', at: undefined });
    expect(read).toBe(MAX_LOOKED_THROUGH_BYTES);
  });
});
