// A watch as the broker holds it in memory, and as its store keeps it.
import { parseWatchRecord, renderWatchRecord, type WatchRecord } from '@ringwall/evidence';
import type { Standing } from './watch-decision.ts';
import type { Answered, WatchRow } from './watch-store.ts';

/** How the boot of a machine is to be watched. */
export type WatchOrder = Pick<WatchRow, 'machine' | 'boot' | 'mode' | 'intervalMs' | 'files' | 'image'>;

/** A moment, by both clocks; by the wall clock alone where another run of the broker has written it down. */
export interface Moment {
  readonly at: Date;
  readonly monotonicMs?: number;
}

export interface WatchEntry extends WatchOrder {
  record: WatchRecord | undefined;
  standing: Standing;
  reasons: readonly string[];
  trouble: string | undefined;
  proven: Moment | undefined;
  seen: Moment | undefined;
  readmittedAt: Date | undefined;
  answered: Answered | undefined;
  notedClock: bigint | undefined;
  /** Why the last proof that was asked for has nothing of what ran. */
  leftOut: string | undefined;
}

/** Of a boot that was just ordered. */
export const NOTHING_YET = {
  record: undefined,
  standing: { state: 'awaited', refusals: 0, readmittedStrays: 0 },
  reasons: [],
  trouble: undefined,
  proven: undefined,
  seen: undefined,
  readmittedAt: undefined,
  answered: undefined,
  leftOut: undefined,
} as const;

export function entryOf(row: WatchRow): WatchEntry {
  const { state, reasons, record, provenAt, seenAt, readmittedAt, readmittedStrays } = row;
  const { machine, boot, mode, intervalMs, files, image, answered, notedClock } = row;
  return {
    ...{ machine, boot, mode, intervalMs, files, image, answered, notedClock, reasons, readmittedAt },
    record: record === undefined ? undefined : parseWatchRecord(record),
    standing: { state, refusals: 0, readmittedStrays },
    trouble: undefined,
    leftOut: undefined,
    proven: provenAt === undefined ? undefined : { at: provenAt },
    seen: seenAt === undefined ? undefined : { at: seenAt },
  };
}

export function rowOf(entry: WatchEntry): WatchRow {
  const { machine, boot, mode, intervalMs, files, image, answered, notedClock } = entry;
  const { reasons, readmittedAt, standing } = entry;
  return {
    ...{ machine, boot, mode, intervalMs, files, image, answered, notedClock, reasons, readmittedAt },
    state: standing.state,
    readmittedStrays: standing.readmittedStrays,
    record: entry.record === undefined ? undefined : renderWatchRecord(entry.record),
    provenAt: entry.proven?.at,
    seenAt: entry.seen?.at,
  };
}
