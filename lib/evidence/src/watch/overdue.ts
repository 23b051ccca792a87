// How old a good verdict may be. The age is computed by whoever shows it, when they show it: a broker that was stopped
// cannot say that it was, so what it said last must stop counting by itself.

/** From one question to the next. */
export const WATCH_INTERVALS_MS = { kvm: 5_000, tcg: 10_000 } as const;
/** An answer may be lost twice. */
const OVERDUE_INTERVALS = 3;
/** For a host that is busy, and a broker that is being restarted. */
const OVERDUE_GRACE_MS = 10_000;

export interface WatchAge {
  /** When the last good answer was judged; undefined where none was in this boot. Milliseconds of one clock. */
  readonly lastGoodMs: number | undefined;
  /** When the boot was proven. */
  readonly provenMs: number;
  readonly nowMs: number;
  readonly intervalMs: number;
  /** As the policy says, where it names a freshness: in the place of what follows from the interval. */
  readonly maxAgeMs?: number | undefined;
}

/** Why trust in the machine is `unknown` by now, or undefined where it is not. A clock that went back is no good news. */
export function overdueReason({ lastGoodMs, provenMs, nowMs, intervalMs, maxAgeMs }: WatchAge): string | undefined {
  const ageMs = nowMs - (lastGoodMs ?? provenMs);
  const limitMs = maxAgeMs ?? OVERDUE_INTERVALS * intervalMs + OVERDUE_GRACE_MS;
  if (ageMs >= 0 && ageMs <= limitMs) return undefined;
  if (!(ageMs >= 0)) return 'the watch is overdue: the time of the last answer cannot be told';
  const ago = `${Math.floor(ageMs / 1000)} s ago`;
  return lastGoodMs === undefined
    ? `the watch is overdue: the machine was proven ${ago} and not seen since`
    : `the watch is overdue: last seen ${ago}`;
}
