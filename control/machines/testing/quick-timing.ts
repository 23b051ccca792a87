// Waiting times for tests.
import type { Timing } from '../timing.ts';

/**
 * Short enough for tests, and in the same order as the real ones; but for how long a guest may take and how old a look may
 * be, which a host that is busy with other tests must not decide: tests of that have times of their own.
 */
export const QUICK_TIMING: Timing = {
  observeMs: 20,
  staleMs: 20_000,
  verdictMs: 5,
  watchMs: 10,
  attestMs: { kvm: 30_000, tcg: 30_000 },
  resumedAttestMs: 30_000,
  judgeAwayMs: 200,
  unlockMs: 30_000,
  lastWordsMs: 100,
  patienceMs: 150,
  patienceStepMs: 5,
  networkRetryMs: 10,
  networkLookMs: 20,
  strangerMs: 50,
  rejoinMs: { first: 5, most: 20, quiet: 10 },
  graceMs: 50,
};

/** Gives a guest up within a test. */
export const IMPATIENT_TIMING: Timing = {
  ...QUICK_TIMING,
  attestMs: { kvm: 1_500, tcg: 1_500 },
  resumedAttestMs: 1_500,
  unlockMs: 1_200,
};
