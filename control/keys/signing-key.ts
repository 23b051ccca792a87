// A key that signs, ECDSA P-256: the broker's, whose signature releases and proofs carry and whose name is in each guest's
// measured command line, and a host's, which stands for its reference values. Made once; its private half lies wrapped.
import { RingwallError } from '@ringwall/api';
import { readFileBounded, removeUnfinished, writeFileAtomic } from '../files/index.ts';
import { Secret } from './secret.ts';
import { unwrapKey, wrapKey, type KeyIdentity } from './wrapped-key.ts';

/** A wrapped PKCS #8 key has about 180 bytes. */
const FILE_LIMIT_BYTES = 4096;
const ECDSA_P256 = { name: 'ECDSA', namedCurve: 'P-256' } as const;

export interface SigningKey {
  /** X and Y, 64 bytes. */
  readonly publicKey: Uint8Array;
  /** ECDSA with SHA-256 over `message`: r and s, 64 bytes. */
  readonly sign: (message: Uint8Array) => Promise<Uint8Array<ArrayBuffer>>;
}

/** Opens the key, or makes it. `mayCreate`: false where somebody knows one already, whom a new one would lock out. */
export async function openSigningKey(
  path: string,
  root: Secret,
  { id, mayCreate }: { readonly id: 'broker' | 'reference'; readonly mayCreate: boolean },
): Promise<SigningKey> {
  const identity: KeyIdentity = { kind: 'signing-key', id, version: 1 };
  await removeUnfinished(path);
  const stored = await readFileBounded(path, FILE_LIMIT_BYTES);
  if (stored !== undefined) return asSigningKey(unwrapKey(root, identity, stored));
  if (!mayCreate) {
    throw new RingwallError('conflict', `the signing key ${path} is missing, but others know it already`, {
      hint: 'restore it from a backup',
    });
  }
  const pair = await crypto.subtle.generateKey(ECDSA_P256, true, ['sign', 'verify']);
  const secret = Secret.take(new Uint8Array(await crypto.subtle.exportKey('pkcs8', pair.privateKey)));
  await writeFileAtomic(path, wrapKey(root, identity, secret));
  return asSigningKey(secret);
}

/** The file of a key as it is under another root key. */
export async function rewrapSigningKey(
  path: string,
  root: Secret,
  fresh: Secret,
  id: 'broker' | 'reference',
): Promise<Uint8Array> {
  const identity: KeyIdentity = { kind: 'signing-key', id, version: 1 };
  const stored = await readFileBounded(path, FILE_LIMIT_BYTES);
  if (stored === undefined) throw new RingwallError('conflict', `the signing key ${path} is missing`);
  using key = unwrapKey(root, identity, stored);
  return wrapKey(fresh, identity, key);
}

async function asSigningKey(pkcs8: Secret): Promise<SigningKey> {
  using secret = pkcs8;
  const extractable = await crypto.subtle.importKey('pkcs8', secret.expose(), ECDSA_P256, true, ['sign']);
  const { x, y } = await crypto.subtle.exportKey('jwk', extractable);
  if (x === undefined || y === undefined) throw new TypeError('an ECDSA key without a point');
  // What signs from here on cannot be read out of WebCrypto again.
  const key = await crypto.subtle.importKey('pkcs8', secret.expose(), ECDSA_P256, false, ['sign']);
  return {
    publicKey: new Uint8Array(Buffer.concat([Buffer.from(x, 'base64url'), Buffer.from(y, 'base64url')])),
    sign: async (message) => {
      const signed = await crypto.subtle.sign({ name: 'ECDSA', hash: 'SHA-256' }, key, new Uint8Array(message));
      return new Uint8Array(signed);
    },
  };
}
