// Whether a TPM was started since the machine's disk was last unlocked, by its counters (TPMS_CLOCK_INFO, TPM 2.0 Part 2
// section 10.11.1). Two claims rest on it: a boot gets its key once, and the state of a vTPM that was put back to an
// earlier copy is noticed. The second holds against whoever restores a copy (A4), not against root on the host (A6), who
// can start the copy as often as the counter needs.
import type { TpmStart } from './store.ts';

/**
 * A sentence where a key was sent to this start of the TPM before, in another boot. A copy of a TPM's state that is started
 * beside the original comes to the same start as the original did: whoever asks second is refused, also where the first
 * never said what it did with its key.
 */
export function refuseCopy(releasedAt: TpmStart | undefined, seen: TpmStart): string | undefined {
  if (releasedAt === undefined || releasedAt.boot === seen.boot || isLater(seen, releasedAt)) return undefined;
  const [is, was] = [nameOf(seen), nameOf(releasedAt)];
  return `the TPM is a copy, or was rolled back: it says start ${is}, and a key was sent to start ${was} in another boot`;
}

/**
 * A sentence that says why the key must not go out, or undefined. resetCount grows at each TPM Reset and restartCount at
 * each TPM Restart, and the TPM writes both down at once, so that the pair grows strictly from one start to the next.
 * The clock beside them decides nothing: libtpms writes it down every few seconds, and calls it safe again soon after a
 * start that followed no shutdown. A machine whose power was cut came back 5 s in the past.
 */
export function refuseStart(unlockedAt: TpmStart | undefined, seen: TpmStart): string | undefined {
  if (unlockedAt === undefined) return undefined;
  if (isLater(seen, unlockedAt)) return undefined;
  const [is, was] = [nameOf(seen), nameOf(unlockedAt)];
  if (is === was && unlockedAt.boot === seen.boot) {
    return `the disk was unlocked already since this TPM started (start ${is}): a key is released once a start`;
  }
  return `the TPM was rolled back: it says start ${is}, but the disk was unlocked at start ${was} before`;
}

function isLater(seen: TpmStart, known: TpmStart): boolean {
  const resets = seen.resetCount - known.resetCount;
  return resets > 0 || (resets === 0 && seen.restartCount > known.restartCount);
}

function nameOf({ resetCount, restartCount }: TpmStart): string {
  return `${String(resetCount)}.${String(restartCount)}`;
}
