// The closed list of what is asked of vTPM evidence. A check that was never answered counts as failed, so that code
// which forgets one, or cannot come to it, refuses.
import type { Check } from './verdict.ts';

/** In the order in which they are asked; the title is the claim that holds where the check is ok. */
export const CHECK_TITLES = {
  policy: 'the policy can be read and demands something',
  reference: 'the reference values can be read and expect something',
  challenge: 'the challenge is one that a broker makes',
  'reference-signature': 'the reference values are those that were signed, where somebody signed them',
  'reference-time': 'the reference values count at this time',
  'reference-authority': 'the policy lets whoever signed the reference values say what is expected',
  'reference-quoted': 'every expected measurement is in a PCR that the policy demands',
  'evidence-kinds': 'every kind of evidence that the policy demands was there and held',
  'evidence-size': 'every part of the evidence is there, and no larger than its limit',
  'ek-form': 'the EK certificate is one X.509 certificate in DER, of an ECC P-256 key',
  'ek-chain': 'the EK certificate is signed by a vTPM CA that is trusted',
  'ek-validity': 'the EK certificate and its CA are valid at this time',
  'ek-usage': 'the EK certificate is for the endorsement key of a TPM, and for nothing else',
  'ek-machine': 'the EK certificate is for this machine',
  'ek-registered': 'the EK certificate is the one that this machine was registered with',
  'ak-form': 'the attestation key is an ECC P-256 key for ECDSA with SHA-256',
  'ak-attributes': 'the attestation key was made in a TPM, cannot leave it, and signs only what the TPM says',
  'quote-signature': 'the quote is signed by the attestation key',
  'quote-form': 'the quote is a TPM’s quote, whole and without anything after it',
  'quote-signer': 'the quote comes from the endorsement hierarchy',
  'quote-nonce': 'the quote answers this challenge, for this boot key',
  'quote-pcrs': 'the quote covers exactly the PCRs that the policy demands, in the SHA-256 bank alone',
  'quote-firmware': 'the TPM’s firmware is not older than the policy demands',
  'certify-signature': 'the certification of the boot key is signed by the attestation key',
  'certify-form': 'the certification is a TPM’s certification, whole and without anything after it',
  'certify-signer': 'the certification comes from the endorsement hierarchy',
  'certify-nonce': 'the certification answers this challenge, for this boot key',
  'certify-name': 'the key that was certified is the boot key',
  'boot-key-form': 'the boot key is an ECC P-256 key',
  'boot-key-attributes': 'the boot key was made in a TPM, cannot leave it, and decrypts only when its policy holds',
  'boot-key-hierarchy': 'the boot key is in the null hierarchy: it dies with this boot',
  'boot-key-policy': 'the boot key’s policy is the quoted PCR state',
  'same-run': 'quote and certification are of the same run of the same TPM',
  'log-form': 'the event log can be read, to its last byte',
  'log-banks': 'the event log has the SHA-256 bank and no other',
  'log-replay': 'the event log replays to the PCRs that were quoted',
  'log-covered': 'every event of the log is in a quoted PCR',
  'log-untouched': 'nothing has extended the PCRs that must be untouched',
  'log-data': 'event data is what was measured, where the event’s type says that it is',
  events: 'every measurement of the boot is one that was expected, in its order, and none is missing',
} as const;

export type CheckId = keyof typeof CHECK_TITLES;

/** An answer: whether the claim holds and what was seen. The detail of a failed one is a sentence for people. */
export interface Answer {
  readonly ok: boolean;
  readonly detail: string;
}

export const holds = (detail: string): Answer => ({ ok: true, detail });
export const fails = (detail: string): Answer => ({ ok: false, detail });

const NOT_SEEN = 'could not be checked: what it needs is missing or cannot be read';

/** A failed check, and why what it says may be untrue, where it rests on bytes whose signature failed. */
export interface Failure {
  readonly id: CheckId;
  readonly detail: string;
  readonly claim: string;
}

/** Collects the answers of one judgement. */
export class Findings {
  readonly #answers = new Map<CheckId, Answer & { readonly claim: string }>();
  #claim = '';

  /** From here on, what is said rests on bytes whose signature failed: `why` says which. `undefined` ends that. */
  claimsBecause(why: string | undefined): void {
    this.#claim = why === undefined ? '' : ` (a claim only: ${why})`;
  }

  /** Records an answer. A check asked twice keeps its failure. */
  record(id: CheckId, answer: Answer): boolean {
    const { ok, detail } = answer;
    if (this.#answers.get(id)?.ok !== false) this.#answers.set(id, { ok, detail, claim: this.#claim });
    return ok;
  }

  /** All checks of the list, in its order. */
  checks(): readonly Check[] {
    return CHECK_IDS.map((id) => {
      const { ok, detail, claim } = this.#answers.get(id) ?? { ...fails(NOT_SEEN), claim: '' };
      return { id, title: CHECK_TITLES[id], ok, detail: `${detail}${claim}` };
    });
  }

  /** The checks that were asked and failed. */
  failures(): readonly Failure[] {
    return CHECK_IDS.flatMap((id) => {
      const answer = this.#answers.get(id);
      return answer === undefined || answer.ok ? [] : [{ id, detail: answer.detail, claim: answer.claim }];
    });
  }
}

const CHECK_IDS: readonly CheckId[] = Object.keys(CHECK_TITLES).filter((id): id is CheckId => id in CHECK_TITLES);
