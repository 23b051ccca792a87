// What a boot was when it was proven, and what every later quote of it is held against.
import { concatBytes, utf8 } from '@ringwall/bytes';
import { digest, parseAttest, parseEventLog, replayEventLog, UNLOCKED_PCR, WATCHED_PCRS } from '@ringwall/tpm';
import { checkChallenge, unlockedText, type Challenge } from '../challenge.ts';
import type { VtpmEvidence } from '../evidence.ts';
import { isVerified, type Verified } from '../verified.ts';

export const PCR_BYTES = 32;
/** Linux's own measurements, which go on. */
export const IMA_PCR = 10;
/** boot_aggregate is over these, where its digest is not SHA-1: ima_calc_boot_aggregate_tfm() of ima_crypto.c. */
const AGGREGATED_PCRS = 10;

export interface WatchBaseline {
  readonly machine: string;
  readonly boot: string;
  /** TPMT_PUBLIC of the attestation key that the boot was proven with. */
  readonly akPublic: Uint8Array;
  /** PCRs 0 to 15 of the SHA-256 bank once the disk is unlocked; what stands for PCR 10 is not used. */
  readonly pcrs: readonly Uint8Array[];
  readonly resetCount: number;
  readonly restartCount: number;
  /** TPM clock of the boot's quote, in milliseconds. */
  readonly clock: bigint;
}

/** Of evidence that passed its judgement, and the challenge that it passed for. Nothing here comes from a later guest. */
export async function watchBaseline(evidence: Verified<VtpmEvidence>, challenge: Challenge): Promise<WatchBaseline> {
  if (!isVerified(evidence)) throw new TypeError('evidence that did not come out of a passed judgement');
  checkChallenge(challenge);
  const values = await replayEventLog(parseEventLog(evidence.eventLog), 'sha256');
  const before = values.get(UNLOCKED_PCR) ?? new Uint8Array(PCR_BYTES);
  const unlocked = await digest('sha256', utf8(unlockedText(challenge.boot)));
  values.set(UNLOCKED_PCR, await digest('sha256', concatBytes(before, unlocked)));
  const { resetCount, restartCount, clock } = parseAttest(evidence.quote).clockInfo;
  return {
    machine: challenge.machine,
    boot: challenge.boot,
    akPublic: evidence.akPublic,
    pcrs: WATCHED_PCRS.map((pcr) => values.get(pcr) ?? new Uint8Array(PCR_BYTES)),
    resetCount,
    restartCount,
    clock,
  };
}

/** The digest of the first entry of the measurement list. */
export function bootAggregate({ pcrs }: WatchBaseline): Promise<Uint8Array> {
  return digest('sha256', concatBytes(...pcrs.slice(0, AGGREGATED_PCRS)));
}

/** The digest that a quote of PCRs 0 to 15 carries, for a value of PCR 10. */
export function watchedDigest({ pcrs }: WatchBaseline, imaPcr: Uint8Array): Promise<Uint8Array> {
  return digest('sha256', concatBytes(...pcrs.slice(0, IMA_PCR), imaPcr, ...pcrs.slice(IMA_PCR + 1)));
}
