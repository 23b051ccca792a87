import { describe, expect, test } from 'vitest';
import { memorySource, type ByteSource } from '../source/byte-source.ts';
import { runBelow, sourceOfRuns, type Locate } from './runs.ts';

const MIB = 2 ** 20;
const bytes = Uint8Array.from({ length: 16 }, (_, index) => index + 1);
const file = memorySource(bytes);

/** Four bytes each: data, a hole, a part of a block, data that continues the first. */
const locate: Locate = (offset, length) => {
  const within = offset % 4;
  const left = Math.min(length, 4 - within);
  switch (Math.floor(offset / 4)) {
    case 1:
      return { kind: 'zero', length: left };
    case 2:
      return { kind: 'block', length: left, block: () => new Uint8Array(8).fill(0xbb), at: within };
    default:
      return { kind: 'data', length: left, source: file, at: offset };
  }
};

describe('sourceOfRuns()', () => {
  const disk = sourceOfRuns(16, locate);
  const expected = [1, 2, 3, 4, 0, 0, 0, 0, 0xbb, 0xbb, 0xbb, 0xbb, 13, 14, 15, 16];

  test('reads the same, whether it makes the buffer or is given one that held something else', () => {
    for (let start = 0; start < 16; start += 1) {
      for (let end = start; end <= 16; end += 1) {
        const target = new Uint8Array(end - start).fill(0xee);
        disk.readInto?.(start, target);
        expect([...target]).toEqual(expected.slice(start, end));
        expect([...disk.read(start, end - start)]).toEqual(expected.slice(start, end));
      }
    }
    expect(() => disk.readInto?.(8, new Uint8Array(9))).toThrow(/^read needs 9 bytes at 8/);
  });

  test('joins runs that lie side by side into one read', () => {
    const reads: number[] = [];
    const counted: ByteSource = { size: 16, read: (at, length) => (reads.push(length), file.read(at, length)) };
    const pieces: Locate = (at, length) => ({ kind: 'data', length: Math.min(length, 2), source: counted, at });
    expect([...sourceOfRuns(16, pieces).read(1, 9)]).toEqual([...bytes.subarray(1, 10)]);
    expect(reads).toEqual([9]);
  });
});

describe('nextData() of runs', () => {
  const asked: number[] = [];
  const nextOf = (run: Locate, size = 2 ** 40): unknown => {
    asked.length = 0;
    const noted: Locate = (offset, length) => (asked.push(length), run(offset, length));
    return sourceOfRuns(size, noted).nextData(0);
  };

  test('looks at no more data than it tells, so that a disk read in pieces is looked at once', () => {
    expect(nextOf((at, length) => ({ kind: 'data', length, source: file, at }))).toEqual({
      offset: 0,
      length: 4 * MIB,
    });
    expect(asked).toEqual([4 * MIB]);
  });

  test('passes a hole in one step, of its own or of what lies below', () => {
    expect(nextOf((_, length) => ({ kind: 'zero', length }))).toBeUndefined();
    expect(asked).toEqual([4 * MIB, 2 ** 40]);
    const below: ByteSource = { ...file, size: 2 ** 40, nextData: () => ({ offset: 2 ** 39, length: 512 }) };
    expect(nextOf((at, length) => runBelow(below, at, length))).toEqual({ offset: 2 ** 39, length: 512 });
    expect(asked.length).toBe(2);
  });
});
