// Whether a TPM was started since the machine's disk was last unlocked, by its counters and its clock (TPMS_CLOCK_INFO,
// TPM 2.0 Part 2 section 10.11.1). Two claims rest on it: a boot gets its key once, and the state of a vTPM that was put
// back to an earlier copy is noticed: the record is the broker's, which no snapshot of a machine puts back. The second holds
// against whoever restores a copy (A4), not against root on the host (A6), who can start the copy beside Ringwall, or before
// the guest has spoken, until counters and clock fit.
import type { BootId } from '@ringwall/api';
import type { CheckId, Verdict, VtpmEvidence } from '@ringwall/evidence';
import { parseAttest } from '@ringwall/tpm';
import { asObject, damaged } from './rows.ts';

/**
 * How far the clock may lag behind what it was when the disk was unlocked. libtpms writes it down at a start and with
 * whatever else is written, and forgets the rest where its power is cut (tried: a TPM that was killed after 20 s that wrote
 * nothing came back 20 s in the past), and calls it safe again soon after. So what it was later says nothing; and two
 * boots differ by no more than the time in which one must have proven itself.
 */
export const CLOCK_LAG_MS = 300_000;

/**
 * How far it may lag behind what it was in an answer of the watch whose guest had the TPM write its state down before. An
 * answer takes 30 s at most; and a host that loses its power loses what it wrote in the last half minute, too: then it is the
 * note before, a minute earlier, that counts.
 */
export const NOTED_LAG_MS = 120_000;

/** Which start of the machine's TPM it was (TPMS_CLOCK_INFO) when its disk was last unlocked. */
export interface TpmStart {
  readonly boot: BootId;
  readonly resetCount: number;
  readonly restartCount: number;
  /** Milliseconds that the TPM has been powered in its life; not kept by brokers before this was looked at. */
  readonly clock?: number;
}

/** What the verdict must have found for the counters in a quote to be the word of the TPM that this key is in. */
const SIGNED: readonly CheckId[] = [
  'ek-registered',
  'ak-form',
  'ak-attributes',
  'quote-signature',
  'quote-form',
  'quote-signer',
  'quote-nonce',
];

/** Of evidence that may have been refused for what it measured: its counters are the TPM's word all the same. */
export function signedStart(evidence: VtpmEvidence, { checks }: Verdict, boot: BootId): TpmStart | undefined {
  if (!SIGNED.every((id) => checks.some((check) => check.id === id && check.ok))) return undefined;
  const { resetCount, restartCount, clock } = parseAttest(evidence.quote).clockInfo;
  return { boot, resetCount, restartCount, clock: Number(clock) };
}

/** As the store has written it. */
export function asTpmStart(value: unknown, column: string): TpmStart {
  const { boot, resetCount, restartCount, clock } = asObject(value, column);
  if (typeof boot !== 'string' || typeof resetCount !== 'number' || typeof restartCount !== 'number')
    throw damaged(column);
  return { boot, resetCount, restartCount, ...(typeof clock === 'number' ? { clock } : {}) };
}

/** A sentence where this start of the TPM has unlocked the disk already. */
export function refuseAgain(unlockedAt: TpmStart | undefined, seen: TpmStart): string | undefined {
  if (unlockedAt === undefined || !isSame(unlockedAt, seen)) return undefined;
  return `the disk was unlocked already since this TPM started (start ${nameOf(seen)}): a key is released once a start`;
}

/** When the disk was unlocked last, and the last start that evidence of this TPM has shown, whatever came of it. */
export interface SeenStarts {
  readonly unlockedAt: TpmStart | undefined;
  readonly seenAt: TpmStart | undefined;
  /** What its clock was when the watch last saw it written down. */
  readonly notedClock?: bigint | undefined;
}

/**
 * A sentence where the TPM has fallen behind what was seen of it. resetCount grows at each TPM Reset and restartCount at
 * each TPM Restart, and the TPM writes both down at once, so that the pair grows strictly from one start to the next. A copy
 * that is started until its counters fit is betrayed by its clock, which runs only while it is powered. Each start
 * that was seen counts, too, also of a boot that was refused or never said what it did with its key: a copy that is started
 * beside the original, or put back after such a boot, comes to the same start, and whoever asks second is refused.
 */
export function refuseRollback({ unlockedAt, seenAt, notedClock }: SeenStarts, seen: TpmStart): string | undefined {
  const is = nameOf(seen);
  if (unlockedAt !== undefined && !isSame(unlockedAt, seen) && !isLater(seen, unlockedAt)) {
    return `the TPM was rolled back: it says start ${is}, but the disk was unlocked at start ${nameOf(unlockedAt)} before`;
  }
  if (seenAt !== undefined && seenAt.boot !== seen.boot && !isLater(seen, seenAt)) {
    return `the TPM is a copy, or was rolled back: it says start ${is}, and start ${nameOf(seenAt)} was seen in another boot`;
  }
  const clock = seen.clock ?? 0;
  const [unlockedLagMs, notedLagMs] = [(unlockedAt?.clock ?? 0) - clock, Number(notedClock ?? 0n) - clock];
  if (unlockedLagMs <= CLOCK_LAG_MS && notedLagMs <= NOTED_LAG_MS) return undefined;
  const behind = Math.round(Math.max(unlockedLagMs, notedLagMs) / 1000);
  return `the TPM was rolled back: its clock is ${String(behind)} s behind what it was when it was seen last`;
}

function isSame(known: TpmStart, seen: TpmStart): boolean {
  return known.boot === seen.boot && nameOf(known) === nameOf(seen);
}

function isLater(seen: TpmStart, known: TpmStart): boolean {
  const resets = seen.resetCount - known.resetCount;
  return resets > 0 || (resets === 0 && seen.restartCount > known.restartCount);
}

function nameOf({ resetCount, restartCount }: TpmStart): string {
  return `${String(resetCount)}.${String(restartCount)}`;
}
