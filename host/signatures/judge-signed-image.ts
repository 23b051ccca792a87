// Who signed an image, and whether that is whom the policy asks for. Signatures are looked for until they are enough.
import {
  canonicalName,
  canonicalReference,
  entryFor,
  judgeSignatures,
  matchesPattern,
  OciError,
  type GenuineSignature,
  type PolicyEntry,
  type PolicySigner,
  type Reference,
  type SignatureVerdict,
} from '@ringwall/oci';
import type { AttachmentStore, CheckedDocument, StoredImage } from '../images/index.ts';
import { findSignatures, type FoundSignature } from './find-signatures.ts';
import type { SignatureTrust } from './signature-trust.ts';
import { certifiedIdentity, isSignedByKey, openSignature, type OpenedSignature } from './verify-signature.ts';

export interface SignedImage {
  readonly trail: StoredImage['trail'];
  readonly attached: AttachmentStore;
}

export interface JudgedName {
  /** With its default tag. */
  readonly reference: Reference;
  /** Nobody asked for it: only the copy says that it is called so, and whoever made that says what they like. */
  readonly isClaimed: boolean;
}

/** Throws RegistryError where a registry cannot be asked. */
export async function judgeSignedImage(
  { trail, attached }: SignedImage,
  { reference, isClaimed }: JudgedName,
  trust: SignatureTrust,
  signal: AbortSignal,
): Promise<SignatureVerdict> {
  const entry = entryFor(trust.policy, canonicalName(reference));
  const digests = trail.map(({ digest }) => digest);
  const genuine: GenuineSignature[] = [];
  const doubts: string[] = [];
  const { digest: asked } = reference;
  if (asked !== undefined && !digests.includes(`${asked.algorithm}:${asked.hex}`))
    return refused(
      `${canonicalReference(reference)} was asked for, and this is ${digests.at(-1) ?? 'without a digest'}`,
    );
  // A signature is of a digest, so that a false name helps nobody; where none is asked for, it would be all that counts.
  if (isClaimed && entry?.unsigned !== undefined && entry.unsigned !== '')
    return refused(
      `nobody must have signed ${canonicalName(reference)}, but that this is it, only the copy itself says: it needs your word (--as)`,
    );
  const judge = (): SignatureVerdict => judgeSignatures({ entry, reference, digests, genuine, doubts });
  if (entry === undefined || entry.signedBy.length === 0) return judge();
  for (const manifest of trail) {
    // oxlint-disable-next-line no-await-in-loop -- the manifest's only where the index has none
    for await (const found of findSignatures(attached, manifest.digest, signal)) {
      if (typeof found === 'string') doubts.push(found);
      else {
        const outcome = verify(found, manifest, entry, trust);
        genuine.push(...outcome.genuine);
        if (outcome.doubt !== '') doubts.push(`${found.where} ${outcome.doubt}`);
      }
      const verdict = judge();
      if (verdict.verdict === 'signed') return verdict;
    }
  }
  return judge();
}

function refused(reason: string): SignatureVerdict {
  return { verdict: 'refused', reason, signatures: [], doubts: [] };
}

interface Outcome {
  readonly genuine: readonly GenuineSignature[];
  /** '' where somebody whom the policy names has signed. */
  readonly doubt: string;
}

function verify(found: FoundSignature, manifest: CheckedDocument, entry: PolicyEntry, trust: SignatureTrust): Outcome {
  const opened = openSignature(found, manifest);
  if (typeof opened === 'string') return { genuine: [], doubt: opened };
  const whose = opened.isByCertificate ? byIdentity(opened, entry, trust) : byKey(opened, entry, trust);
  if (typeof whose === 'string') return { genuine: [], doubt: whose };
  try {
    const claim = opened.claim();
    const { where } = found;
    return { genuine: whose.map(({ signer, by }) => ({ signer, by, where, claim })), doubt: '' };
  } catch (error) {
    if (error instanceof OciError) return { genuine: [], doubt: error.message };
    throw error;
  }
}

interface KnownSigner {
  readonly signer: PolicySigner;
  readonly by: string;
}

function byKey(
  opened: OpenedSignature,
  { signedBy }: PolicyEntry,
  { keys, root }: SignatureTrust,
): KnownSigner[] | string {
  const known = signedBy.flatMap((signer) => {
    const file = signer.keys.find((name) => {
      const key = keys.get(name);
      return key !== undefined && isSignedByKey(opened, key, signer.mustBeLogged ? root : undefined);
    });
    return file === undefined ? [] : [{ signer, by: `key ${file}` }];
  });
  if (known.length > 0) return known;
  return signedBy.some(({ mustBeLogged }) => mustBeLogged)
    ? 'is of no key of the policy, or not in the log'
    : 'is of no key that the policy names for this image';
}

function byIdentity(
  opened: OpenedSignature,
  { signedBy }: PolicyEntry,
  { root }: SignatureTrust,
): KnownSigner[] | string {
  if (root === undefined) return 'is by a certificate, and the policy names only keys';
  const identity = certifiedIdentity(opened, root);
  if (typeof identity === 'string') return identity;
  const { issuer, subject } = identity;
  const by = `${subject}, by ${issuer}`;
  const known = signedBy.filter(({ identities }) =>
    identities.some((wanted) => wanted.issuer === issuer && matchesPattern(wanted.subject, subject)),
  );
  return known.length > 0
    ? known.map((signer) => ({ signer, by }))
    : `is of ${by}, whom the policy does not name for this image`;
}
