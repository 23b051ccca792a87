import { describe, expect, it } from 'vitest';
import type { Retention } from '@ringwall/api/backups';
import { expiredOf, isDue } from './retention.ts';

const HOUR_MS = 60 * 60 * 1000;

/** Every so many hours from the first of October 2026, a Thursday. */
function taken(count: number, everyHours: number): { readonly takenAt: Date }[] {
  const first = Date.parse('2026-10-01T00:30:00Z');
  return Array.from({ length: count }, (_, index) => ({ takenAt: new Date(first + index * everyHours * HOUR_MS) }));
}

function keptOf(snapshots: readonly { readonly takenAt: Date }[], retention: Retention): string[] {
  const expired = new Set(expiredOf(snapshots, retention));
  return snapshots
    .filter((snapshot) => !expired.has(snapshot))
    .map(({ takenAt }) => takenAt.toISOString().slice(0, 13));
}

describe('retention', () => {
  it('keeps the newest ones', () => {
    expect(keptOf(taken(10, 1), { last: 3 })).toEqual(['2026-10-01T07', '2026-10-01T08', '2026-10-01T09']);
  });

  it('keeps the newest of each day, week and month', () => {
    const snapshots = taken(4 * 70, 6);
    expect(keptOf(snapshots, { daily: 3 })).toEqual(['2026-12-07T18', '2026-12-08T18', '2026-12-09T18']);
    expect(keptOf(snapshots, { weekly: 3 })).toEqual(['2026-11-29T18', '2026-12-06T18', '2026-12-09T18']);
    expect(keptOf(snapshots, { monthly: 9 })).toEqual(['2026-10-31T18', '2026-11-30T18', '2026-12-09T18']);
    expect(keptOf(taken(300, 0.25), { hourly: 2 })).toEqual(['2026-10-04T02', '2026-10-04T03']);
  });

  it('keeps what any rule keeps', () => {
    const snapshots = taken(4 * 70, 6);
    expect(keptOf(snapshots, { last: 2, monthly: 2 })).toEqual(['2026-11-30T18', '2026-12-09T12', '2026-12-09T18']);
  });

  it('never leaves a machine without any', () => {
    expect(keptOf(taken(3, 1), {})).toEqual(['2026-10-01T02']);
    expect(keptOf(taken(3, 1), { last: 0 })).toEqual(['2026-10-01T02']);
    expect(expiredOf([], { last: 3 })).toEqual([]);
  });

  it('names the oldest first', () => {
    const snapshots = taken(4, 1);
    expect(expiredOf(snapshots.toReversed(), { last: 1 })).toEqual(snapshots.slice(0, 3));
  });

  it('counts weeks from Monday, also over the end of a year', () => {
    const at = (text: string): { takenAt: Date } => ({ takenAt: new Date(text) });
    const snapshots = [at('2026-12-27T10:00:00Z'), at('2026-12-31T10:00:00Z'), at('2027-01-03T10:00:00Z')];
    expect(keptOf(snapshots, { weekly: 5 })).toEqual(['2026-12-27T10', '2027-01-03T10']);
  });
});

describe('a schedule', () => {
  const now = new Date('2026-10-02T12:00:00Z');
  it.each([
    ['nothing was taken yet', undefined, true],
    ['the newest is old enough', '2026-10-02T11:00:00Z', true],
    ['the newest is younger', '2026-10-02T11:00:01Z', false],
    ['many were missed', '2026-01-01T00:00:00Z', true],
    ['the newest is of the future', '2030-01-01T00:00:00Z', true],
  ])('where %s', (_, newest, due) => {
    expect(isDue(newest === undefined ? [] : [new Date(newest)], HOUR_MS, now)).toBe(due);
  });

  it('goes by the newest that is of no future, in whatever order they are', () => {
    const texts = ['2026-10-02T09:00:00Z', '2030-01-01T00:00:00Z', '2026-10-02T11:30:00Z', '2026-10-02T10:00:00Z'];
    const dates = texts.map((text) => new Date(text));
    expect(isDue(dates, HOUR_MS, now)).toBe(false);
    expect(isDue(dates, HOUR_MS / 2, now)).toBe(true);
  });
});
