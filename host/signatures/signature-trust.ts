// Whom the operator trusts to sign images: the policy, and the public keys and the trusted root that it names. Read from files, and
// from nowhere else: nothing is fetched. Sigstore's "Trusted Root" (protobuf-specs, sigstore_trustroot.proto).
import { createPublicKey, type KeyObject } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { OciError, parseSignaturePolicy, type SignaturePolicy } from '@ringwall/oci';
import { TrustedRoot } from '@sigstore/protobuf-specs';
import { toTrustMaterial, type TrustMaterial } from '@sigstore/verify';

/** The public-good instance's has some 10 KiB. */
const MAX_FILE_BYTES: number = 1024 * 1024;
/** NIST SP 800-131A. */
const MIN_RSA_BITS = 2048;
const PUBLIC_KEY = /^-----BEGIN (?:RSA )?PUBLIC KEY-----/m;

/** All that the library asks for, but keys: those are given to it one by one. */
export type TrustRoot = Omit<TrustMaterial, 'publicKey'>;

export interface SignatureTrust {
  readonly policy: SignaturePolicy;
  /** By their files, as the policy names them. */
  readonly keys: ReadonlyMap<string, KeyObject>;
  /** undefined where the policy names none. */
  readonly root: TrustRoot | undefined;
}

/** Throws OciError: whoever cannot be read trusts nobody. */
export function openSignatureTrust(file: string): SignatureTrust {
  const policy = parseSignaturePolicy(readSmall(file));
  const signers = new Set(policy.images.flatMap(({ signedBy }) => signedBy));
  const beside = (name: string): string => resolve(dirname(file), name);
  const keys = new Map([...signers].flatMap((signer) => signer.keys.map((name) => [name, readKey(beside(name))])));
  const root = policy.trustedRoot === '' ? undefined : readRoot(beside(policy.trustedRoot));
  for (const { name, identities, mustBeLogged } of signers) {
    if (identities.length > 0 && (root?.certificateAuthorities.length ?? 0) === 0)
      throw new OciError(
        'malformed',
        `${policy.trustedRoot} has no certificate authority, by which alone ${name} can be judged`,
      );
    if (mustBeLogged && (root?.tlogs.length ?? 0) === 0)
      throw new OciError('malformed', `${policy.trustedRoot} has no log, in which signatures of ${name} must be`);
  }
  return { policy, keys, root };
}

function readRoot(file: string): TrustRoot {
  const bytes = readSmall(file);
  try {
    return toTrustMaterial(TrustedRoot.fromJSON(JSON.parse(new TextDecoder().decode(bytes))));
  } catch (cause) {
    throw new OciError('malformed', `${file} is no trusted root of Sigstore`, { cause });
  }
}

function readKey(file: string): KeyObject {
  const text = new TextDecoder().decode(readSmall(file));
  // A private key would do as well, and has no place beside a policy.
  if (!PUBLIC_KEY.test(text)) throw new OciError('malformed', `${file} is no public key (PEM)`);
  let key: KeyObject;
  try {
    key = createPublicKey(text);
  } catch (cause) {
    throw new OciError('malformed', `${file} is no public key (PEM)`, { cause });
  }
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key;
  if (type === 'ec' || (type === 'rsa' && (details?.modulusLength ?? 0) >= MIN_RSA_BITS)) return key;
  throw new OciError(
    'malformed',
    `${file} is a key of ${String(type)}: ECDSA, or RSA of ${String(MIN_RSA_BITS)} bits or more`,
  );
}

function readSmall(file: string): Uint8Array {
  try {
    const stat = statSync(file);
    if (!stat.isFile()) throw new OciError('malformed', `${file} is no file`);
    if (stat.size > MAX_FILE_BYTES)
      throw new OciError('limit', `${file} has more than ${String(MAX_FILE_BYTES)} bytes`);
    return readFileSync(file);
  } catch (cause) {
    if (cause instanceof OciError) throw cause;
    throw new OciError('malformed', `${file} cannot be read`, { cause });
  }
}
