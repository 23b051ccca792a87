// Machines that boot a system of their own: what they must measure was learned at a boot, and accepted by a person. The host
// is asked for no more than what its firmware measures. docs/decisions/2026-11-21-foreign-systems-have-a-witness.md
import { ParseError } from '@ringwall/bytes';
import {
  EvidenceError,
  isLearned,
  learnedContent,
  learnedImage,
  signReference,
  type CheckId,
  type SignedReference,
  type Signer,
  type UnsignedProof,
  type Verdict,
  type VtpmEvidence,
} from '@ringwall/evidence';
import type { SigningKey } from '../keys/index.ts';
import type { JudgedBy, References } from './references.ts';
import { sealProof } from './seal-proof.ts';
import type { BootRecord, MachineRecord } from './machine-records.ts';
import type { Outcome } from './store.ts';
import { storedReference } from './stored-texts.ts';

/** A kernel's update comes sooner; and whoever accepted it should look again some day. */
const LEARNED_LIFE_MS = 365 * 24 * 3600 * 1000;
const CLOCK_SKEW_MS = 5 * 60 * 1000;
/** Of a boot's measurements, shown as what was learned: a verdict holds some dozens of sentences. */
const MAX_SHOWN = 48;
const SHORT = 12;

export interface Learned {
  readonly reference: SignedReference;
  /** One sentence for each measurement, for whoever is to accept them. */
  readonly sentences: readonly string[];
  /** Nothing was accepted for this machine before. */
  readonly isFirst: boolean;
}

export interface Basis extends JudgedBy {
  /** Of a machine that boots its own disk: what this boot would be expected to measure, were it accepted. */
  readonly learned?: Learned;
}

interface Sent {
  readonly machine: MachineRecord;
  readonly record: BootRecord;
  readonly evidence: VtpmEvidence;
}

/** A boot that was not judged, for there was nothing to judge it by: its measurements wait for a person. */
export function wasLearned(record: BootRecord): boolean {
  return record.state === 'refused' && record.proven.length > 0;
}

/** What the evidence of this boot is judged by. Where nothing was accepted yet, by itself: it can only be learned then. */
export async function basisOf(
  sent: Sent,
  use: { readonly references: References; readonly signer: Signer; readonly now: () => Date },
): Promise<Basis> {
  const proposed = storedReference(sent.record.reference);
  if (!isLearned(proposed.for.image)) return use.references.judgedBy(proposed);
  const image = await learnedImage(sent.machine);
  const accepted = use.references
    .list(image.name)
    .find(({ state, reference }) => state === 'accepted' && reference.for.image.digest === image.digest)?.reference;
  try {
    const content = await learnedContent(image, sent.evidence.eventLog, proposed);
    const now = use.now().getTime();
    const by = `the broker, from boot ${sent.record.boot}`;
    const life = { notBefore: new Date(now - CLOCK_SKEW_MS), notAfter: new Date(now + LEARNED_LIFE_MS) };
    const reference = await signReference({ ...content, by, ...life }, use.signer);
    const learned = { reference, sentences: sentencesOf(reference), isFirst: accepted === undefined };
    return { reference: accepted ?? reference, refusal: undefined, learned };
  } catch (error) {
    if (!(error instanceof EvidenceError || error instanceof ParseError)) throw error;
    return { reference: accepted ?? proposed, refusal: `nothing can be learned from this boot: ${error.message}` };
  }
}

/** Whether all but this one check passed. */
export function onlyLacks({ checks }: Verdict, lacking: CheckId): boolean {
  return checks.every(({ id, ok }) => ok === (id !== lacking));
}

/** There was nothing to judge it by: the boot goes on, is not attested, and what it measured waits for a person. */
export async function learnedOutcome(
  { reference, sentences: proven }: Learned,
  unsigned: UnsignedProof,
  use: { readonly references: References; readonly signer: SigningKey },
): Promise<Outcome & { readonly state: 'refused' }> {
  const { name } = reference.for.image;
  const reasons = [`nobody has accepted yet what it measures: look at it, then ringwall reference accept ${name}`];
  const text = await sealProof({ ...unsigned, verdict: { outcome: 'refused', proven: [], reasons } }, use.signer);
  use.references.keepLearned(reference);
  return { state: 'refused', reasons, proven, at: unsigned.at, proof: { kind: 'refused', text } };
}

function sentencesOf({ events }: SignedReference): readonly string[] {
  const all = events.map(({ pcr, what, digest }) => `PCR ${String(pcr)}: ${what} (sha256 ${digest.slice(0, SHORT)})`);
  const more = all.length - MAX_SHOWN;
  return more > 0 ? [...all.slice(0, MAX_SHOWN), `and ${String(more)} more`] : all;
}
