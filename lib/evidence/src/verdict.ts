// What a judgement says: checks for engineers, sentences for people, and the brand that only a passed judgement gives.

/** One question that was asked of the evidence. */
export interface Check {
  /** Stable, for programs: `quote-nonce`. */
  readonly id: string;
  /** The claim that holds where `ok` is true: `the quote answers this challenge`. */
  readonly title: string;
  readonly ok: boolean;
  /** What was seen. Where a signature failed before, it says that it speaks of unproven claims. */
  readonly detail: string;
}

/**
 * `altered`: an event of that kind was expected here, with another digest. `allowed`: it differs from the reference, and a
 * rule of the policy lets it pass. `denied`: a rule refuses it. `not-measured`: EV_NO_ACTION, informative.
 */
export type EventStatus = 'expected' | 'allowed' | 'unexpected' | 'missing' | 'altered' | 'denied' | 'not-measured';

/** Statuses of events with which a boot may still be accepted. */
export const GOOD_STATUSES: ReadonlySet<EventStatus> = new Set<EventStatus>(['expected', 'allowed', 'not-measured']);

/** One event of the log beside what the reference expects at its place. */
export interface JudgedEvent {
  readonly status: EventStatus;
  readonly pcr: number;
  readonly type: string;
  /** From the reference, never from the log: `kernel`. Empty where nothing was expected. */
  readonly what: string;
  /** SHA-256, hexadecimal; undefined where the event is missing. */
  readonly measured: string | undefined;
  /** SHA-256, hexadecimal; undefined where none was expected. */
  readonly expected: string | undefined;
  /** Position in the log; undefined where the event is missing. */
  readonly index: number | undefined;
  /** `kernel (PCR 4, EV_EFI_BOOT_SERVICES_APPLICATION): measured ab12…, expected cd34…` */
  readonly sentence: string;
}

export interface Verdict {
  readonly outcome: 'accepted' | 'refused';
  readonly checks: readonly Check[];
  readonly events: readonly JudgedEvent[];
  /** Sentences for people; empty unless accepted. */
  readonly proven: readonly string[];
  /** Sentences that say why it was refused; empty unless refused. */
  readonly reasons: readonly string[];
}
