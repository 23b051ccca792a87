// Which snapshots of a machine are kept, and when the next is due. Pure: the daemon asks at each look, and a clock that jumps, or a host
// that was off, makes at most one snapshot of what was missed.

import type { Retention } from '@ringwall/api/backups';

export interface Dated {
  readonly takenAt: Date;
}

/** The ones that no rule keeps, oldest first. The newest is always kept: a schedule never leaves a machine without any. */
export function expiredOf<Snapshot extends Dated>(
  snapshots: readonly Snapshot[],
  retention: Retention,
): readonly Snapshot[] {
  const newestFirst = snapshots.toSorted((a, b) => b.takenAt.getTime() - a.takenAt.getTime());
  const kept = new Set(newestFirst.slice(0, Math.max(1, retention.last ?? 0)));
  for (const [kind, nameOf] of PERIODS) {
    const periods = new Set<string>();
    for (const snapshot of newestFirst) {
      const period = nameOf(snapshot.takenAt);
      if (periods.has(period)) continue;
      if (periods.size >= (retention[kind] ?? 0)) break;
      periods.add(period);
      kept.add(snapshot);
    }
  }
  return newestFirst.filter((snapshot) => !kept.has(snapshot)).toReversed();
}

/** Whether a snapshot is due. What is dated in the future (by a clock that was wrong) neither holds up the next nor hurries it. */
export function isDue(taken: readonly Date[], everyMs: number, now: Date): boolean {
  const ages = taken.map((at) => now.getTime() - at.getTime()).filter((ageMs) => ageMs >= 0);
  return ages.every((ageMs) => ageMs >= everyMs);
}

const DAY_MS: number = 24 * 60 * 60 * 1000;

/** What a period is called: equal for two moments in one. */
const PERIODS: readonly (readonly [Exclude<keyof Retention, 'last'>, (at: Date) => string])[] = [
  ['hourly', (at) => at.toISOString().slice(0, 'YYYY-MM-DDThh'.length)],
  ['daily', (at) => at.toISOString().slice(0, 'YYYY-MM-DD'.length)],
  ['weekly', mondayOf],
  ['monthly', (at) => at.toISOString().slice(0, 'YYYY-MM'.length)],
];

function mondayOf(at: Date): string {
  const daysSinceMonday = (at.getUTCDay() + 6) % 7;
  return new Date(at.getTime() - daysSinceMonday * DAY_MS).toISOString().slice(0, 'YYYY-MM-DD'.length);
}
