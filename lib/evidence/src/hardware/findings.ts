// The answers to a closed list of questions about evidence of hardware, or of a host. A question that was never answered has failed, so that
// code which forgets one, or cannot come to it, refuses.
import { fails, holds, type Answer } from '../checks.ts';
import { messageOf } from '../keys.ts';
import type { Check } from '../verdict.ts';

const NOT_SEEN = 'could not be checked: what it needs is missing or cannot be read';
/** More sentences help nobody. */
const MAX_REASONS = 24;
const MAX_SENTENCE_CHARACTERS = 400;

export interface HardwareVerdict {
  readonly kind: 'sev-snp' | 'tdx' | 'host-tpm';
  readonly outcome: 'accepted' | 'refused';
  /** All questions of the kind's list, always. */
  readonly checks: readonly Check[];
  /** Sentences for people; empty unless accepted. */
  readonly proven: readonly string[];
  /** Sentences that say why it was refused; empty unless refused. */
  readonly reasons: readonly string[];
}

/** Collects the answers of one judgement. `Id` are the names of the list. */
export class HardwareFindings<Id extends string> {
  readonly #kind: HardwareVerdict['kind'];
  readonly #titles: Readonly<Record<Id, string>>;
  readonly #answers = new Map<string, Answer>();
  #claim = '';

  constructor(kind: HardwareVerdict['kind'], titles: Readonly<Record<Id, string>>) {
    this.#kind = kind;
    this.#titles = titles;
  }

  /** From here on, what is said rests on bytes whose signature failed: `why` says which. `undefined` ends that. */
  claimsBecause(why: string | undefined): void {
    this.#claim = why === undefined ? '' : ` (a claim only: ${why})`;
  }

  /** Records an answer. A check asked twice keeps its failure. */
  record(id: Id, answer: Answer): boolean {
    if (this.#answers.get(id)?.ok !== false) {
      this.#answers.set(id, { ok: answer.ok, detail: `${answer.detail}${this.#claim}` });
    }
    return answer.ok;
  }

  /** Parses, and records whether that went well. `what` is the subject of the sentence that says so. */
  read<T>(id: Id, what: string, parse: () => T): T | undefined {
    const value = this.tryRead(id, what, parse);
    if (value !== undefined) this.record(id, holds('read'));
    return value;
  }

  /** Parses, for a check that asks more than that: records only a failure. */
  tryRead<T>(id: Id, what: string, parse: () => T): T | undefined {
    try {
      return parse();
    } catch (error) {
      this.record(id, fails(`${what} cannot be read: ${messageOf(error)}`));
      return undefined;
    }
  }

  verdict(proven: readonly string[]): HardwareVerdict {
    const checks = Object.entries<string>(this.#titles).map(([id, title]): Check => {
      const { ok, detail } = this.#answers.get(id) ?? { ok: false, detail: NOT_SEEN };
      return { id, title, ok, detail };
    });
    const accepted = checks.every(({ ok }) => ok);
    return {
      kind: this.#kind,
      outcome: accepted ? 'accepted' : 'refused',
      checks,
      proven: accepted ? proven.map((sentence) => cut(sentence)) : [],
      reasons: accepted ? [] : this.#reasons(checks),
    };
  }

  /** What was asked and failed; that much else could not be asked follows from it. */
  #reasons(checks: readonly Check[]): string[] {
    const reasons = checks.flatMap(({ id, ok, detail }) => (ok || !this.#answers.has(id) ? [] : [cut(detail)]));
    if (reasons.length === 0) return ['a check could not be answered'];
    if (reasons.length <= MAX_REASONS) return reasons;
    return [...reasons.slice(0, MAX_REASONS - 1), `and ${reasons.length - MAX_REASONS + 1} reasons more`];
  }
}

function cut(sentence: string): string {
  return sentence.length <= MAX_SENTENCE_CHARACTERS ? sentence : `${sentence.slice(0, MAX_SENTENCE_CHARACTERS - 1)}…`;
}
