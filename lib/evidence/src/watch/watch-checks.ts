// The closed list of what is asked of an answer of the watch. A check that was never answered counts as failed, so that
// code which forgets one, or cannot come to it, refuses.
import type { Answer } from '../checks.ts';
import type { Check } from '../verdict.ts';

/** In the order in which they are asked; the title is the claim that holds where the check is ok. */
export const WATCH_CHECK_TITLES = {
  question: 'the question was asked of this boot, goes on where its record stands, and was not answered before',
  fresh: 'the answer came in time',
  size: 'every part of the answer is there, and no larger than its limit',
  'quote-signature': 'the quote is signed by the attestation key that this boot was proven with',
  'quote-form': 'the quote is a TPM’s quote, whole and without anything after it',
  'quote-signer': 'the quote comes from the endorsement hierarchy',
  'quote-question': 'the quote answers this question',
  'quote-pcrs': 'the quote covers exactly the PCRs 0 to 15, in the SHA-256 bank alone',
  'same-boot': 'the TPM was not reset or restarted since this boot was proven',
  'clock-forward': 'the TPM’s clock did not go back',
  'list-form': 'the list of what ran can be read, and every entry is what was measured',
  'list-template': 'every entry names a file by its SHA-256 digest',
  'list-start': 'the list begins with the boot that was proven',
  pcrs: 'the boot’s PCRs are unchanged, and the list leads to the PCR 10 that was quoted',
  violations: 'no file was changed while it was measured',
  files: 'everything that ran is a file of the image',
} as const;

export type WatchCheckId = keyof typeof WATCH_CHECK_TITLES;

const NOT_SEEN = 'could not be checked: what it needs is missing or cannot be read';
const IDS: readonly WatchCheckId[] = Object.keys(WATCH_CHECK_TITLES).filter(
  (id): id is WatchCheckId => id in WATCH_CHECK_TITLES,
);

/** Collects the answers of one judgement. */
export class WatchFindings {
  readonly #answers = new Map<WatchCheckId, Answer>();

  /** A check asked twice keeps its failure. */
  record(id: WatchCheckId, answer: Answer): boolean {
    if (this.#answers.get(id)?.ok !== false) this.#answers.set(id, answer);
    return answer.ok;
  }

  /** All checks of the list, in its order. */
  checks(): readonly Check[] {
    return IDS.map((id) => {
      const { ok, detail } = this.#answers.get(id) ?? { ok: false, detail: NOT_SEEN };
      return { id, title: WATCH_CHECK_TITLES[id], ok, detail };
    });
  }

  /** True where every check but those named was asked and holds. */
  holdsBut(...exceptions: readonly WatchCheckId[]): boolean {
    return IDS.every((id) => exceptions.includes(id) || this.#answers.get(id)?.ok === true);
  }

  /** What the checks say that were asked and failed. */
  failures(): readonly string[] {
    return IDS.flatMap((id) => {
      const answer = this.#answers.get(id);
      return answer === undefined || answer.ok ? [] : [answer.detail];
    });
  }
}
