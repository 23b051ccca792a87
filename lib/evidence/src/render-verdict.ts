// From answered checks to a verdict: what a person reads.
import type { Challenge } from './challenge.ts';
import type { Findings } from './checks.ts';
import { short } from './keys.ts';
import { isLearned, LEARNED_PREFIX } from './learned.ts';
import type { ReferenceValues } from './reference.ts';
import { GOOD_STATUSES, type JudgedEvent, type Verdict } from './verdict.ts';

/** More sentences help nobody, and each is a line of the attestation protocol. */
const MAX_REASONS = 24;
/** A verdict travels and is stored: a log of thousands of events refuses, and need not be kept in full to say why. */
export const MAX_EVENTS_KEPT = 512;
/** A line of the protocol has 4,096 bytes; a sentence that long is none. */
const MAX_SENTENCE_CHARACTERS = 400;

export interface VerdictContext {
  readonly events: readonly JudgedEvent[];
  readonly reference: ReferenceValues | undefined;
  readonly challenge: Challenge | undefined;
  /** Name of the CA that signed the EK certificate. */
  readonly issuer: string;
}

export function renderVerdict(findings: Findings, context: VerdictContext): Verdict {
  const { reference, challenge } = context;
  const checks = findings.checks();
  const events = context.events.slice(0, MAX_EVENTS_KEPT);
  const accepted = checks.every(({ ok }) => ok) && reference !== undefined && challenge !== undefined;
  if (accepted) {
    const proven = provenSentences(reference, challenge, context);
    return { outcome: 'accepted', checks, events, proven, reasons: [] };
  }
  return { outcome: 'refused', checks, events, proven: [], reasons: reasonSentences(findings, context.events) };
}

function provenSentences(
  reference: ReferenceValues,
  challenge: Challenge,
  { events, issuer }: Pick<VerdictContext, 'events' | 'issuer'>,
): string[] {
  const { firmware, image } = reference;
  const allowed = events.filter(({ status }) => status === 'allowed').map(({ sentence }) => sentence);
  const all = `all ${reference.events.length} measurements of the boot are expected ones`;
  if (isLearned(image)) {
    return [
      `the firmware is ${firmware.name}, as in the manifest (sha256 ${short(firmware.digest)})`,
      `boot loader, kernel and command line are those that were learned and accepted for ${image.name.slice(LEARNED_PREFIX.length)}; what the system does with them, and its disk, is no part of this`,
      ...(allowed.length === 0 ? [`nothing else was measured: ${all}`] : allowed),
      `the TPM that says so was made for ${challenge.machine}, certified by ${issuer}`,
      'the evidence was made for this question: it answers the nonce of this boot and no other',
    ].map((sentence) => cut(sentence));
  }
  return [
    `the firmware is ${firmware.name}, as in the manifest (sha256 ${short(firmware.digest)})`,
    `the kernel, initrd and command line are those of image ${image.name} (sha256 ${short(image.digest)})`,
    ...(allowed.length === 0 ? [`nothing else was measured: ${all}`] : allowed),
    `the key opens only in the TPM that was made for ${challenge.machine}, certified by ${issuer}`,
    'the key opens only in this boot and in this state of the machine, and only once',
    'the evidence was made for this question: it answers the nonce of this boot and no other',
  ].map((sentence) => cut(sentence));
}

function reasonSentences(findings: Findings, events: readonly JudgedEvent[]): string[] {
  const wrong = events.filter(({ status }) => !GOOD_STATUSES.has(status));
  const reasons = findings
    .failures()
    .flatMap(({ id, detail, claim }) =>
      id === 'events' ? wrong.map(({ sentence }) => `${sentence}${claim}`) : [`${detail}${claim}`],
    );
  if (reasons.length === 0) return ['a check could not be answered'];
  if (reasons.length <= MAX_REASONS) return reasons.map((reason) => cut(reason));
  const more = `and ${reasons.length - MAX_REASONS + 1} reasons more`;
  return [...reasons.slice(0, MAX_REASONS - 1).map((reason) => cut(reason)), more];
}

function cut(sentence: string): string {
  return sentence.length <= MAX_SENTENCE_CHARACTERS ? sentence : `${sentence.slice(0, MAX_SENTENCE_CHARACTERS - 1)}…`;
}
