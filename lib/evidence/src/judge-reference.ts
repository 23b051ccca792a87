// The judgement of what a boot is compared with: can it be read, and does whoever says it have the right to?
import { equalBytes } from '@ringwall/bytes';
import { fails, holds, type Answer, type Findings } from './checks.ts';
import { messageOf, short } from './keys.ts';
import type { Policy } from './policy.ts';
import { checkReferenceTime } from './reference-manifest.ts';
import { parseReference, type ReferenceValues } from './reference.ts';
import {
  checkReferenceAuthority,
  checkReferenceSignature,
  isSignedReference,
  parsedReference,
  referenceValues,
  type SignedReference,
} from './signed-reference.ts';

/** Whose word the caller takes, whatever the policy says, and when they take it: the boot may be older. */
export interface ReferenceTrust {
  /** P-256, X and Y. */
  readonly signer?: Uint8Array | undefined;
  readonly at?: Date | undefined;
}

export interface GivenReference {
  readonly given: ReferenceValues | SignedReference;
  readonly policy: Policy | undefined;
  readonly trust: ReferenceTrust;
  readonly now: Date;
}

/** reference, reference-signature, reference-time and reference-authority. Undefined where they cannot be read. */
export async function judgeReference(
  findings: Findings,
  { given, policy, trust, now }: GivenReference,
): Promise<ReferenceValues | undefined> {
  try {
    const signed = isSignedReference(given) ? parsedReference(given) : undefined;
    const reference = signed === undefined ? parseReference(given) : referenceValues(signed);
    findings.record('reference', holds('read'));
    if (signed === undefined) judgeUnsigned(findings, policy, trust);
    else await judgeSigned(findings, signed, { policy, trust, now });
    return reference;
  } catch (error) {
    findings.record('reference', fails(`reference: ${messageOf(error)}`));
    return undefined;
  }
}

async function judgeSigned(
  findings: Findings,
  reference: SignedReference,
  { policy, trust, now }: Omit<GivenReference, 'given'>,
): Promise<void> {
  findings.record('reference-signature', await checkReferenceSignature(reference));
  findings.record('reference-time', checkReferenceTime(reference, now));
  if (trust.at !== undefined) findings.record('reference-time', checkReferenceTime(reference, trust.at));
  if (policy !== undefined) findings.record('reference-authority', checkReferenceAuthority(policy, reference));
  if (trust.signer !== undefined) findings.record('reference-authority', checkSigner(reference, trust.signer));
}

function checkSigner({ publicKey }: SignedReference, signer: Uint8Array): Answer {
  if (equalBytes(publicKey, signer)) return holds(`the caller takes the word of ${short(signer)}`);
  return fails(
    `the reference values are signed by ${short(publicKey)}, and the caller takes the word of ${short(signer)}`,
  );
}

function judgeUnsigned(findings: Findings, policy: Policy | undefined, { signer }: ReferenceTrust): void {
  findings.record('reference-signature', holds('nobody signed them: they are the caller’s own'));
  findings.record('reference-time', holds('they do not expire'));
  if (policy === undefined) return;
  const demanded = policy.version === 2 && policy.references !== undefined;
  const unnamed = fails('the policy names who may say what is expected, and nobody has signed the reference values');
  findings.record('reference-authority', demanded ? unnamed : holds('the policy names no signer'));
  if (signer === undefined) return;
  findings.record(
    'reference-authority',
    fails(`nobody has signed the reference values, and the caller takes the word of ${short(signer)}`),
  );
}
