import { ParseError } from '@ringwall/bytes';
import { describe, expect, test } from 'vitest';
import { DiskError } from '../disk-error.ts';
import { memorySource, type ByteSource } from '../source/byte-source.ts';
import { MAX_READ_BYTES, RunList, sourceOfRuns, type Run } from './run-source.ts';

const disk = memorySource(Uint8Array.from({ length: 32 }, (_, index) => index));
const runs: readonly Run[] = [
  { at: 2, length: 3, from: 10 },
  { at: 5, length: 2, from: undefined },
  { at: 8, length: 4, from: 20 },
];

describe('sourceOfRuns()', () => {
  test('joins runs, and holes read as zeros', () => {
    const file = sourceOfRuns(disk, runs, 12, 'file');
    expect([...file.read(0, 12)]).toEqual([0, 0, 10, 11, 12, 0, 0, 0, 20, 21, 22, 23]);
    expect([...file.read(4, 5)]).toEqual([12, 0, 0, 0, 20]);
    expect([...file.read(12, 0)]).toEqual([]);
  });

  test('every part reads as the whole does', () => {
    const file = sourceOfRuns(disk, runs, 12, 'file');
    const whole = file.read(0, 12);
    for (let from = 0; from <= 12; from += 1) {
      for (let to = from; to <= 12; to += 1) expect(file.read(from, to - from)).toEqual(whole.slice(from, to));
    }
  });

  test('passes over holes, its own and those of the disk', () => {
    const file = sourceOfRuns(disk, runs, 12, 'file');
    expect(file.nextData?.(0)).toEqual({ offset: 2, length: 3 });
    expect(file.nextData?.(5)).toEqual({ offset: 8, length: 4 });
    expect(file.nextData?.(12)).toBeUndefined();
    const sparse: ByteSource = {
      ...disk,
      nextData: (at) => (at < 22 ? { offset: Math.max(at, 21), length: 1 } : undefined),
    };
    expect(sourceOfRuns(sparse, runs, 12, 'file').nextData?.(0)).toEqual({ offset: 9, length: 1 });
  });

  test('refuses runs that overlap in the file', () => {
    const overlapping = [
      { at: 0, length: 4, from: 0 },
      { at: 3, length: 4, from: 8 },
    ];
    expect(() => sourceOfRuns(disk, overlapping, 8, 'extent')).toThrow(/extent run at byte 3 of the file/);
  });

  test('refuses to read beyond the end, and more than memory should hold', () => {
    expect(() => sourceOfRuns(disk, runs, 12, 'file').read(8, 5)).toThrow(ParseError);
    expect(() => sourceOfRuns(disk, [], 2 ** 50, 'file').read(0, MAX_READ_BYTES + 1)).toThrow(DiskError);
  });
});

test('RunList makes one run of what lies together', () => {
  const built = new RunList();
  built.append(4, 100);
  built.append(4, 104);
  built.append(4, undefined);
  built.append(4, undefined);
  built.append(4, 108);
  expect([...built]).toEqual([
    { at: 0, length: 8, from: 100 },
    { at: 8, length: 8, from: undefined },
    { at: 16, length: 4, from: 108 },
  ]);
  expect(built.at(1)).toEqual({ at: 8, length: 8, from: undefined });
  expect([built.at(-1), built.at(3)]).toEqual([undefined, undefined]);
});

test('a file may lie in more runs than a list begins with room for', () => {
  const built = new RunList();
  for (let index = 0; index < 100; index += 1) built.append(1, (index * 7) % 32);
  const file = sourceOfRuns(disk, built, 100, 'file');
  expect([...file.read(0, 100)]).toEqual(Array.from({ length: 100 }, (_, index) => (index * 7) % 32));
});
