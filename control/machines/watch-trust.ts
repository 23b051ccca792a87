// What is to be thought of a machine by what the broker has last said of its watch. Computed by whoever shows it, at the
// moment they do: a broker that has stalled, or a daemon that was started anew, never reads as healthy. Pure.
import type { MachineStatus } from '@ringwall/api';
import type { WatchReport } from '@ringwall/api/watch';
import { overdueReason } from '@ringwall/evidence';

export interface KnownWatch {
  readonly report: WatchReport;
  /** When the broker was asked, by this process's clock that never goes back. */
  readonly askedMs: number;
}

export interface WatchTrust {
  readonly trust: Extract<MachineStatus['trust'], 'attested' | 'unknown' | 'quarantined'>;
  readonly reasons: readonly string[];
}

export interface TrustFacts {
  /** Undefined where the broker has said nothing yet in this life of the daemon. */
  readonly known: KnownWatch | undefined;
  readonly nowMs: number;
  /** Why the broker does not answer now, where it does not. */
  readonly brokerTrouble: string | undefined;
}

export function watchTrust({ known, nowMs, brokerTrouble }: TrustFacts): WatchTrust {
  const silent = brokerTrouble === undefined ? [] : [brokerTrouble];
  if (known === undefined) {
    return { trust: 'unknown', reasons: ['nobody has said yet how its watch stands', ...silent] };
  }
  const { report, askedMs } = known;
  if (report.state === 'quarantined') return { trust: 'quarantined', reasons: report.reasons };
  const overdue = overdueReason({
    // An answer on its way only makes the age greater.
    lastGoodMs: report.seenAgoMs === undefined ? undefined : askedMs - report.seenAgoMs,
    provenMs: report.provenAgoMs === undefined ? Number.NaN : askedMs - report.provenAgoMs,
    nowMs,
    intervalMs: report.intervalMs,
    maxAgeMs: report.maxAgeMs,
  });
  if (overdue === undefined) return { trust: 'attested', reasons: report.reasons };
  const { trouble } = report;
  return { trust: 'unknown', reasons: [overdue, ...(trouble === undefined ? [] : [trouble]), ...silent] };
}

/** When the last answer came that counts, by the wall clock of whoever shows it. */
export function seenAt({ report, askedMs }: KnownWatch, nowMs: number, now: Date): string | undefined {
  if (report.seenAgoMs === undefined) return undefined;
  return new Date(now.getTime() - (nowMs - askedMs) - report.seenAgoMs).toISOString();
}
