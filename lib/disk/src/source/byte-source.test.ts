import { ParseError } from '@ringwall/bytes';
import { describe, expect, test } from 'vitest';
import { dataWithin, memorySource, readInto, windowOf, type ByteSource } from './byte-source.ts';

const bytes = Uint8Array.from({ length: 16 }, (_, index) => index);

describe('memorySource()', () => {
  test('reads exactly what was asked for', () => {
    expect([...memorySource(bytes).read(14, 2)]).toEqual([14, 15]);
    expect([...memorySource(bytes).read(16, 0)]).toEqual([]);
  });

  test.each([
    ['beyond the end', 15, 2],
    ['before the beginning', -1, 1],
    ['a part of a byte', 0.5, 1],
    ['no number', Number.NaN, 1],
    ['beyond any disk', 2 ** 53, 1],
  ])('refuses %s', (_, offset, length) => {
    expect(() => memorySource(bytes).read(offset, length)).toThrow(ParseError);
  });
});

describe('windowOf()', () => {
  test('counts from its own start, and ends at its own end', () => {
    const window = windowOf(memorySource(bytes), 4, 8, 'partition');
    expect([...window.read(0, 2), ...window.read(7, 1)]).toEqual([4, 5, 11]);
    expect(() => window.read(7, 2)).toThrow(/partition needs 2 bytes at 7, expected at most 8/);
  });

  test('refuses to reach beyond its source', () => {
    expect(() => windowOf(memorySource(bytes), 8, 9, 'partition')).toThrow(ParseError);
  });

  test('cuts the runs of its source to itself', () => {
    const sparse: ByteSource = {
      ...memorySource(bytes),
      nextData: (at) => (at < 12 ? { offset: Math.max(at, 2), length: 12 - Math.max(at, 2) } : undefined),
    };
    const window = windowOf(sparse, 4, 4, 'partition');
    expect(window.nextData?.(0)).toEqual({ offset: 0, length: 4 });
    expect(window.nextData?.(3)).toEqual({ offset: 3, length: 1 });
    expect(windowOf(sparse, 12, 4, 'partition').nextData?.(0)).toBeUndefined();
  });
});

describe('readInto()', () => {
  test('fills the buffer, also of a source that only makes buffers', () => {
    const target = new Uint8Array(3);
    readInto(memorySource(bytes), 4, target);
    expect([...target]).toEqual([4, 5, 6]);
    readInto(windowOf(memorySource(bytes), 4, 8, 'partition'), 1, target);
    expect([...target]).toEqual([5, 6, 7]);
    expect(() => readInto(windowOf(memorySource(bytes), 4, 8, 'partition'), 6, target)).toThrow(ParseError);
  });
});

describe('dataWithin()', () => {
  const sparse = (...runs: readonly (readonly [number, number])[]): ByteSource => ({
    ...memorySource(bytes),
    nextData: (at) => {
      const run = runs.find(([offset, length]) => offset + length > at);
      if (run === undefined) return undefined;
      const offset = Math.max(run[0], at);
      return { offset, length: run[0] + run[1] - offset };
    },
  });

  test.each([
    ['what begins in the run', sparse([6, 4]), { offset: 2, length: 4 }],
    ['what ends behind it, as far as it goes', sparse([6, 10]), { offset: 2, length: 6 }],
    ['what began before it, from its start on', sparse([2, 6]), { offset: 0, length: 4 }],
    ['the first of two', sparse([5, 1], [8, 1]), { offset: 1, length: 1 }],
    ['nothing where all lies behind it', sparse([12, 4]), undefined],
    ['nothing of zeros', sparse(), undefined],
    ['all where nobody knows', memorySource(bytes), { offset: 0, length: 8 }],
  ])('gives %s', (_, source, expected) => {
    expect(dataWithin(source, 4, 8)).toEqual(expected);
  });

  test('gives nothing of nothing', () => {
    expect(dataWithin(memorySource(bytes), 16, 0)).toBeUndefined();
  });
});
