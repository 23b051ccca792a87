// Whether a signature is genuine, and whose: by the libraries of Sigstore (sigstore-js). Every byte of a bundle is a stranger's; what
// the library throws for it, whatever that is, means that it is not genuine.
import { createHash, type KeyObject } from 'node:crypto';
import {
  parseSimpleSigning,
  parseStatement,
  SIGNED_BY_COSIGN,
  STATEMENT_PAYLOAD_TYPE,
  type SignedClaim,
} from '@ringwall/oci';
import { bundleFromJSON, type Bundle } from '@sigstore/bundle';
import { toSignedEntity, Verifier, type Signer } from '@sigstore/verify';
import type { CheckedDocument } from '../images/index.ts';
import type { FoundSignature } from './find-signatures.ts';
import type { TrustRoot } from './signature-trust.ts';

/** One of each kind is usual; the library compares each with each. */
const MAX_ENTRIES = 8;
/** Of a Merkle tree: one for each bit of the number of its leaves. */
const MAX_PROOF_HASHES = 64;

/** A bundle in its form, and what it was signed over; nothing of it is verified. */
export interface OpenedSignature {
  readonly bundle: Bundle;
  readonly isByCertificate: boolean;
  readonly artifact: Buffer;
  /** Call it only after the signature was verified. Throws OciError. */
  readonly claim: () => SignedClaim;
}

/** Of a certificate that the trusted root vouches for. */
export interface CertifiedIdentity {
  readonly issuer: string;
  readonly subject: string;
}

/** A sentence where it is no bundle. `manifest` is what it is attached to. */
export function openSignature(
  { bundle: json, payload }: FoundSignature,
  manifest: CheckedDocument,
): OpenedSignature | string {
  let bundle: Bundle;
  try {
    bundle = bundleFromJSON(json);
  } catch {
    return 'is no bundle of Sigstore';
  }
  const { verificationMaterial, content } = bundle;
  const { tlogEntries, timestampVerificationData, content: material } = verificationMaterial;
  if (
    tlogEntries.length > MAX_ENTRIES ||
    (timestampVerificationData?.rfc3161Timestamps.length ?? 0) > MAX_ENTRIES ||
    tlogEntries.some(({ inclusionProof }) => (inclusionProof?.hashes.length ?? 0) > MAX_PROOF_HASHES)
  )
    return 'has more entries of logs, or timestamps, than anybody needs';
  const isByCertificate = material.$case !== 'publicKey';
  if (content.$case === 'dsseEnvelope') {
    const { payloadType, payload: statement } = content.dsseEnvelope;
    if (payloadType !== STATEMENT_PAYLOAD_TYPE) return `has a payload of type ${payloadType.slice(0, 100)}`;
    return { bundle, isByCertificate, artifact: statement, claim: () => parseStatement(statement) };
  }
  const artifact = Buffer.from(payload ?? manifest.bytes);
  // The entry of the log is held against this digest, and the signature against the artifact: they must be one.
  if (!createHash('sha256').update(artifact).digest().equals(content.messageSignature.messageDigest.digest))
    return 'is of something else than it is attached to';
  return {
    bundle,
    isByCertificate,
    artifact,
    claim: () =>
      payload === undefined
        ? { predicateType: SIGNED_BY_COSIGN, subjects: [{ digest: manifest.digest, name: '' }] }
        : parseSimpleSigning(payload),
  };
}

/** `root`: undefined where the log is not asked about. False where this key did not sign it. */
export function isSignedByKey(opened: OpenedSignature, key: KeyObject, root: TrustRoot | undefined): boolean {
  const { bundle, artifact, isByCertificate } = opened;
  if (isByCertificate) return false;
  const trust = root ?? { certificateAuthorities: [], timestampAuthorities: [], tlogs: [], ctlogs: [] };
  const wanted = root === undefined ? 0 : 1;
  const verifier = new Verifier(
    { ...trust, publicKey: () => ({ publicKey: key, validFor: () => true }) },
    { ctlogThreshold: 0, tlogThreshold: wanted, timestampThreshold: 0 },
  );
  try {
    const entity = toSignedEntity(bundle, artifact);
    // Where no log is trusted, nothing that a log may say counts, for or against it.
    verifier.verify(root === undefined ? { ...entity, tlogEntries: [], timestamps: [] } : entity);
    return true;
  } catch {
    return false;
  }
}

/**
 * A sentence where no authority of the root vouches for it. Logs that the root names must have the signature and its certificate, and
 * there must be a time at which the certificate was in force.
 */
export function certifiedIdentity({ bundle, artifact }: OpenedSignature, root: TrustRoot): CertifiedIdentity | string {
  const verifier = new Verifier(
    {
      ...root,
      publicKey: () => {
        throw new Error('no key is asked about');
      },
    },
    {
      ctlogThreshold: root.ctlogs.length > 0 ? 1 : 0,
      tlogThreshold: root.tlogs.length > 0 ? 1 : 0,
      timestampThreshold: 1,
    },
  );
  let signer: Signer;
  try {
    signer = verifier.verify(toSignedEntity(bundle, artifact));
  } catch (error) {
    return `is not genuine: ${error instanceof Error ? error.message.slice(0, 200) : 'it cannot be read'}`;
  }
  const issuer = signer.identity?.extensions?.issuer ?? '';
  const subject = signer.identity?.subjectAlternativeName ?? '';
  if (issuer === '' || subject === '') return 'has a certificate that does not say whose it is';
  return { issuer, subject };
}
