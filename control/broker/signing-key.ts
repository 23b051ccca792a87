// The broker's signing key, ECDSA P-256: releases and proofs carry its signature, and each guest's measured command
// line names it. Made once; its private half lies wrapped by the root key.
import { RingwallError } from '@ringwall/api';
import { readFileBounded, removeUnfinished, writeFileAtomic } from '../files/index.ts';
import { Secret, unwrapKey, wrapKey, type KeyIdentity } from '../keys/index.ts';

/** A wrapped PKCS #8 key has about 180 bytes. */
const FILE_LIMIT_BYTES = 4096;
const ECDSA_P256 = { name: 'ECDSA', namedCurve: 'P-256' } as const;
const IDENTITY: KeyIdentity = { kind: 'signing-key', id: 'broker', version: 1 };

export interface SigningKey {
  /** X and Y, 64 bytes. */
  readonly publicKey: Uint8Array;
  /** ECDSA with SHA-256 over `message`: r and s, 64 bytes. */
  readonly sign: (message: Uint8Array) => Promise<Uint8Array<ArrayBuffer>>;
}

/** Opens the key, or makes it. `mayCreate`: false where guests know one already, which a new one would lock out. */
export async function openSigningKey(path: string, root: Secret, mayCreate: boolean): Promise<SigningKey> {
  await removeUnfinished(path);
  const stored = await readFileBounded(path, FILE_LIMIT_BYTES);
  if (stored !== undefined) return asSigningKey(unwrapKey(root, IDENTITY, stored));
  if (!mayCreate) {
    throw new RingwallError('conflict', `the signing key ${path} is missing, but machines are registered`, {
      hint: 'restore it from a backup',
    });
  }
  const pair = await crypto.subtle.generateKey(ECDSA_P256, true, ['sign', 'verify']);
  const secret = Secret.take(new Uint8Array(await crypto.subtle.exportKey('pkcs8', pair.privateKey)));
  await writeFileAtomic(path, wrapKey(root, IDENTITY, secret));
  return asSigningKey(secret);
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
