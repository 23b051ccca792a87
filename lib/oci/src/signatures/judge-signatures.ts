// Whether the signatures of an image are those that the policy asks for. Pure: signatures were verified, or not, by whoever calls.
import { OciError } from '../oci-error.ts';
import { canonicalName, parseReference, type Reference } from '../references/reference.ts';
import type { PolicyEntry, PolicySigner, SignedName } from './signature-policy.ts';
import type { SignedClaim } from './signed-claim.ts';

/** More would bury the others on the screen. */
const MAX_REASONS = 5;

/** A signature that is genuine, and of a signer whom the policy knows. */
export interface GenuineSignature {
  readonly signer: PolicySigner;
  /** The key or the identity, for a person. */
  readonly by: string;
  /** Where it lies, for a person. */
  readonly where: string;
  readonly claim: SignedClaim;
}

export interface CountedSignature {
  readonly signer: string;
  readonly by: string;
  readonly digest: string;
  readonly where: string;
}

export interface SignatureVerdict {
  readonly verdict: 'signed' | 'unsigned' | 'refused';
  /** One sentence. */
  readonly reason: string;
  /** Those by which it is let in. */
  readonly signatures: readonly CountedSignature[];
  /** Why others do not count, a sentence each. */
  readonly doubts: readonly string[];
}

export interface JudgedSignatures {
  /** undefined where the policy does not speak of the image. */
  readonly entry: PolicyEntry | undefined;
  /** As it was asked for, with its default tag. */
  readonly reference: Reference;
  /** Of the index and the manifest that the reference led to. */
  readonly digests: readonly string[];
  readonly genuine: readonly GenuineSignature[];
  /** Of those that are not. */
  readonly doubts: readonly string[];
}

export function judgeSignatures({ entry, reference, digests, genuine, doubts }: JudgedSignatures): SignatureVerdict {
  const name = canonicalName(reference);
  if (entry === undefined) return refused(`the policy does not speak of ${name}, so that nobody vouches for it`, []);
  if (entry.unsigned !== '') {
    const reason = `nobody must have signed ${name}: ${entry.unsigned}`;
    return { verdict: 'unsigned', reason, signatures: [], doubts: [] };
  }
  const judged = genuine.map((signature) => ({
    signature,
    outcome: weigh(signature, digests, reference, entry.signedName),
  }));
  const counted = judged.flatMap(({ signature: { signer, by, where }, outcome }) =>
    outcome.counts ? [{ signer: signer.name, by, where, digest: outcome.digest }] : [],
  );
  const all = [...judged.flatMap(({ outcome }) => (outcome.counts ? [] : [outcome.doubt])), ...doubts];
  const missing = entry.signedBy.filter(({ name: wanted }) => counted.every(({ signer }) => signer !== wanted));
  if (missing.length > 0) {
    const wanted = missing.map(({ name: signer }) => signer).join(' and ');
    const found = judged.length + doubts.length === 0 ? 'has no signature at all' : 'has no signature that counts';
    return refused(`${wanted} must have signed ${name}, and it ${found}`, all);
  }
  const who = entry.signedBy.map(({ name: wanted }) => counted.find(({ signer }) => signer === wanted));
  const signatures = who.flatMap((signature) => signature ?? []);
  const reason = `signed by ${signatures.map(({ signer, by }) => `${signer} (${by})`).join(' and by ')}`;
  return { verdict: 'signed', reason, signatures, doubts: [] };
}

type Outcome = { readonly counts: true; readonly digest: string } | { readonly counts: false; readonly doubt: string };

function weigh(
  { signer, by, where, claim }: GenuineSignature,
  digests: readonly string[],
  reference: Reference,
  signedName: SignedName,
): Outcome {
  const no = (why: string): Outcome => ({ counts: false, doubt: `${where}, by ${by}: ${why}` });
  if (claim.predicateType !== signer.predicateType)
    return no(`it states ${claim.predicateType.slice(0, 100)}, and ${signer.predicateType} was asked for`);
  const subjects = claim.subjects.filter(({ digest }) => digests.includes(digest));
  const [first] = subjects;
  if (first === undefined) return no(`it is of another image, ${claim.subjects[0]?.digest.slice(0, 19) ?? 'of none'}`);
  const named = subjects.find(({ name }) => isNamed(name, reference, signedName));
  if (named !== undefined) return { counts: true, digest: named.digest };
  return no(
    first.name === ''
      ? 'it states no name, and the policy asks for one: "signedName": "any" lets the digest alone count'
      : `it was signed as ${first.name.slice(0, 200)}`,
  );
}

function isNamed(stated: string, reference: Reference, signedName: SignedName): boolean {
  if (signedName === 'any') return true;
  try {
    const signed = parseReference(stated);
    if (canonicalName(signed) !== canonicalName(reference)) return false;
    // Whoever asks by digest says no tag that could be another.
    return signedName === 'repository' || reference.tag === undefined || signed.tag === reference.tag;
  } catch (error) {
    // The signer wrote it: it may be no name at all.
    if (error instanceof OciError) return false;
    throw error;
  }
}

function refused(reason: string, doubts: readonly string[]): SignatureVerdict {
  const more = doubts.length - MAX_REASONS;
  const shown = more > 0 ? [...doubts.slice(0, MAX_REASONS), `and ${String(more)} more that do not count`] : doubts;
  return { verdict: 'refused', reason, signatures: [], doubts: shown };
}
