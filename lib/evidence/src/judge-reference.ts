// The judgement of what a boot is compared with: can it be read, and does whoever says it have the right to?
import { fails, holds, type Findings } from './checks.ts';
import { messageOf } from './keys.ts';
import type { Policy } from './policy.ts';
import { parseReference, type ReferenceValues } from './reference.ts';
import {
  checkReferenceAuthority,
  checkReferenceSignature,
  checkReferenceTime,
  parsedReference,
  referenceValues,
  type SignedReference,
} from './signed-reference.ts';

export interface GivenReference {
  readonly given: ReferenceValues | SignedReference;
  readonly policy: Policy | undefined;
  readonly now: Date;
}

/** reference, reference-signature, reference-time and reference-authority. Undefined where they cannot be read. */
export async function judgeReference(
  findings: Findings,
  { given, policy, now }: GivenReference,
): Promise<ReferenceValues | undefined> {
  try {
    const signed = isSigned(given) ? parsedReference(given) : undefined;
    const reference = signed === undefined ? parseReference(given) : referenceValues(signed);
    findings.record('reference', holds('read'));
    if (signed === undefined) judgeUnsigned(findings, policy);
    else await judgeSigned(findings, signed, policy, now);
    return reference;
  } catch (error) {
    findings.record('reference', fails(`reference: ${messageOf(error)}`));
    return undefined;
  }
}

async function judgeSigned(
  findings: Findings,
  reference: SignedReference,
  policy: Policy | undefined,
  now: Date,
): Promise<void> {
  findings.record('reference-signature', await checkReferenceSignature(reference));
  findings.record('reference-time', checkReferenceTime(reference, now));
  if (policy !== undefined) findings.record('reference-authority', checkReferenceAuthority(policy, reference));
}

function judgeUnsigned(findings: Findings, policy: Policy | undefined): void {
  findings.record('reference-signature', holds('nobody signed them: they are the caller’s own'));
  findings.record('reference-time', holds('they do not expire'));
  if (policy === undefined) return;
  const demanded = policy.version === 2 && policy.references !== undefined;
  const unnamed = fails('the policy names who may say what is expected, and nobody has signed the reference values');
  findings.record('reference-authority', demanded ? unnamed : holds('the policy names no signer'));
}

function isSigned(reference: unknown): reference is SignedReference {
  return typeof reference === 'object' && reference !== null && 'format' in reference;
}
