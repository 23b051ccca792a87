// What follows from one judged answer of the watch: whether the machine counts as seen, whether it is quarantined, and
// when it is asked again. Pure: the table of cases is the test. What an answer is worth, judgeWatch has said.
import type { WatchMode, WatchState } from '@ringwall/api/watch';
import type { Check, WatchCheckId, WatchVerdict } from '@ringwall/evidence';

/**
 * Answers in a row that are the machine's own fresh word and cannot be true. One may have been torn on the way; a guest
 * that hides an entry cannot give a better one.
 */
export const REFUSALS_TO_QUARANTINE = 2;

export interface Standing {
  readonly state: WatchState;
  /** Answers in a row that contradicted their own quote. */
  readonly refusals: number;
  /** What was not of the image when an operator readmitted the machine within this boot. */
  readonly readmittedStrays: number;
}

export interface WatchDecision {
  readonly standing: Standing;
  /** The machine was seen: its verdict is as old as this answer. */
  readonly seen: boolean;
  /** Sentences why it is not `expected`. */
  readonly reasons: readonly string[];
  /** A quarantine begins, or a lifted one begins anew. */
  readonly quarantine: boolean;
  readonly trouble: string | undefined;
  readonly next: 'at-once' | 'interval';
}

export function decideWatch(
  standing: Standing,
  mode: WatchMode,
  judged: { readonly verdict: WatchVerdict; readonly strays: number },
): WatchDecision {
  const { verdict, strays } = judged;
  const { outcome, reasons } = verdict;
  const calm = { reasons, quarantine: false, trouble: undefined } as const;
  switch (outcome) {
    case 'expected':
      return { ...calm, standing: settled(standing, 'expected'), seen: true, next: 'interval' };
    case 'unexpected':
      if (!quarantines(mode)) {
        return { ...calm, standing: settled(standing, 'unexpected'), seen: true, next: 'interval' };
      }
      return {
        ...calm,
        standing: { ...standing, state: 'quarantined', refusals: 0 },
        seen: true,
        quarantine: strays > standing.readmittedStrays,
        next: 'interval',
      };
    case 'unfinished':
      return { ...calm, standing, seen: false, next: 'at-once' };
    case 'refused':
    default:
      return decideRefusal(standing, mode, verdict);
  }
}

function decideRefusal(standing: Standing, mode: WatchMode, { checks, reasons }: WatchVerdict): WatchDecision {
  const trouble = reasons[0] ?? 'the last answer proved nothing';
  const failed = { seen: false, reasons, trouble } as const;
  // Rubbish is anybody's who is on the way; it is not the machine's word, and nothing is known by it.
  if (!holds(checks, OWN_WORD)) {
    return { ...failed, standing: { ...standing, refusals: 0 }, quarantine: false, next: 'interval' };
  }
  const refusals = standing.refusals + 1;
  const certain = !holds(checks, OWN_BOOT) || refusals >= REFUSALS_TO_QUARANTINE;
  if (!certain) return { ...failed, standing: { ...standing, refusals }, quarantine: false, next: 'at-once' };
  if (!quarantines(mode)) {
    return { ...failed, standing: { ...standing, refusals: 0 }, quarantine: false, next: 'interval' };
  }
  return {
    ...failed,
    standing: { ...standing, state: 'quarantined', refusals: 0 },
    quarantine: standing.state !== 'quarantined',
    next: 'interval',
  };
}

/** What is true of an answer that this machine's TPM gave to this question, whatever it says. */
const OWN_WORD: readonly WatchCheckId[] = [
  'question',
  'fresh',
  'size',
  'quote-signature',
  'quote-form',
  'quote-signer',
  'quote-question',
  'quote-pcrs',
];

/** Signed by the TPM itself, and in no need of the list: nobody on the way can have spoilt it. */
const OWN_BOOT: readonly WatchCheckId[] = ['same-boot', 'clock-forward'];

function holds(checks: readonly Check[], ids: readonly WatchCheckId[]): boolean {
  return ids.every((id) => checks.some((check) => check.id === id && check.ok));
}

/** A quarantine outlives better answers: an operator ends it. */
function settled(standing: Standing, state: WatchState): Standing {
  return { ...standing, state: standing.state === 'quarantined' ? 'quarantined' : state, refusals: 0 };
}

function quarantines(mode: WatchMode): boolean {
  return mode === 'enforce' || mode === 'pause';
}
