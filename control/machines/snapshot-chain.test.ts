// Decisions about snapshots that continue one another, on lists of the mind.
import { newSnapshotId, type SnapshotId } from '@ringwall/api';
import { MAX_SNAPSHOT_CHAIN } from '@ringwall/api/snapshots';
import { describe, expect, test } from 'vitest';
import { chainOf, continuable, continuersOf, removable } from './snapshot-chain.ts';

interface Linked {
  readonly id: SnapshotId;
  readonly sequence: number;
  readonly parent?: SnapshotId;
}

/** `parents`: of each, from the first on, the number of the one that it continues; 0 for a whole one. */
function snapshots(...parents: readonly number[]): Linked[] {
  const ids = parents.map(() => newSnapshotId());
  return parents.flatMap((parent, index) => {
    const [id, continued] = [ids[index], ids[parent - 1]];
    if (id === undefined) return [];
    return [{ id, sequence: index + 1, ...(continued === undefined ? {} : { parent: continued }) }];
  });
}

function numbers(all: readonly Linked[]): number[] {
  return all.map(({ sequence }) => sequence);
}

function at(all: readonly Linked[], number: number): Linked {
  const found = all.find(({ sequence }) => sequence === number);
  if (found === undefined) throw new Error(`no ${number}`);
  return found;
}

describe('chainOf()', () => {
  test('begins with the whole one', () => {
    const all = snapshots(0, 1, 0, 2, 4);
    expect(numbers(chainOf(at(all, 5), all))).toEqual([1, 2, 4, 5]);
    expect(numbers(chainOf(at(all, 3), all))).toEqual([3]);
  });

  test('names what is missing, a loop, and a chain that is too long', () => {
    const all = snapshots(0, 1, 2);
    const without = all.filter(({ sequence }) => sequence !== 1);
    expect(() => chainOf(at(all, 3), without)).toThrow(/what @2 continues is gone/);
    const [one, two] = [at(all, 1), at(all, 2)];
    const loop = [{ ...one, parent: two.id }, two];
    expect(() => chainOf(two, loop)).toThrow('@1 continues @2, which continues it');
    const long = snapshots(...Array.from({ length: MAX_SNAPSHOT_CHAIN + 1 }, (_, index) => index));
    expect(chainOf(at(long, MAX_SNAPSHOT_CHAIN), long)).toHaveLength(MAX_SNAPSHOT_CHAIN);
    expect(() => chainOf(at(long, MAX_SNAPSHOT_CHAIN + 1), long)).toThrow(/more than 16/);
  });
});

describe('continuable()', () => {
  test('is the newest, unless its chain is as long as one may be, or broken', () => {
    expect(continuable([])).toBeUndefined();
    const all = snapshots(0, 1, 0);
    expect(continuable(all)?.sequence).toBe(3);
    const long = snapshots(...Array.from({ length: MAX_SNAPSHOT_CHAIN }, (_, index) => index));
    expect(continuable(long)).toBeUndefined();
    expect(continuable(long.slice(0, -1))?.sequence).toBe(MAX_SNAPSHOT_CHAIN - 1);
    expect(continuable(long.slice(1))).toBeUndefined();
  });
});

describe('removable()', () => {
  test('leaves what another needs that stays, and begins with the newest', () => {
    const all = snapshots(0, 1, 2, 0, 4);
    const of = (...wanted: number[]): number[] =>
      numbers(
        removable(
          wanted.map((number) => at(all, number)),
          all,
        ),
      );
    expect(of(1)).toEqual([]);
    expect(of(1, 2)).toEqual([]);
    expect(of(1, 2, 3)).toEqual([3, 2, 1]);
    expect(of(1, 3)).toEqual([3]);
    expect(of(1, 2, 4, 5)).toEqual([5, 4]);
  });
});

test('continuersOf() names those right behind it', () => {
  const all = snapshots(0, 1, 1, 2);
  expect(numbers(continuersOf(at(all, 1), all))).toEqual([2, 3]);
  expect(continuersOf(at(all, 4), all)).toEqual([]);
});
