// A key on its way from the broker to one host: sealed to an X25519 key that the host made for this one request, so that
// whoever relays it (ringwalld) cannot read it, and a recorded answer opens never again. The request is signed by the key
// with which the host stands for its reference values; the answer is bound to every word of the request.
//
// Sealed: ephemeral public key (32) ‖ ciphertext ‖ tag (16), AES-256-GCM under HKDF-SHA256 (RFC 5869) of the X25519 secret
// (RFC 7748) with both public keys as salt. The key is used once, so that its nonce can be zero (SP 800-38D, 8.2).
import {
  createCipheriv,
  createDecipheriv,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  hkdfSync,
  type KeyObject,
} from 'node:crypto';
import { RingwallError } from '@ringwall/api';
import type { DiskKeyRequest } from '@ringwall/api/disks';
import type { SnapshotKeyRequest } from '@ringwall/api/snapshots';
import { Secret } from './secret.ts';

const PUBLIC_KEY_BYTES = 32;
const TAG_BYTES = 16;
const NONCE = new Uint8Array(12);
const ECDSA_P256 = { name: 'ECDSA', namedCurve: 'P-256' } as const;

/** For the key of a disk, or of a snapshot. */
export type KeyRequest = DiskKeyRequest | SnapshotKeyRequest;
/** Before its host has signed it. */
export type UnsignedKeyRequest = Omit<DiskKeyRequest, 'signature'> | Omit<SnapshotKeyRequest, 'signature'>;

export interface Recipient {
  /** X25519, raw. */
  readonly publicKey: Uint8Array;
  /** Throws where it was altered, or sealed for another request. */
  readonly open: (sealed: Uint8Array, request: UnsignedKeyRequest) => Secret;
}

/** The two halves of one request's key. */
export function newRecipient(): Recipient {
  const { privateKey, publicKey } = generateKeyPairSync('x25519');
  const raw = rawOf(publicKey);
  return {
    publicKey: raw,
    open: (sealed, request) => {
      const ciphertext = sealed.subarray(PUBLIC_KEY_BYTES, sealed.length - TAG_BYTES);
      try {
        const sender = sealed.subarray(0, PUBLIC_KEY_BYTES);
        using key = sharedKey(privateKey, sender, [sender, raw]);
        const decipher = createDecipheriv('aes-256-gcm', key.expose(), NONCE, { authTagLength: TAG_BYTES });
        decipher.setAAD(keyRequestMessage(request));
        decipher.setAuthTag(sealed.subarray(sealed.length - TAG_BYTES));
        const plain = decipher.update(ciphertext);
        decipher.final();
        return Secret.take(plain);
      } catch (cause) {
        throw new RingwallError('conflict', 'the key that came is not sealed for this request', { cause });
      }
    },
  };
}

export function sealKey(key: Secret, request: KeyRequest): Uint8Array<ArrayBuffer> {
  const recipient = Buffer.from(request.publicKey, 'base64');
  const { privateKey, publicKey } = generateKeyPairSync('x25519');
  const own = rawOf(publicKey);
  let shared: Secret;
  try {
    shared = sharedKey(privateKey, recipient, [own, recipient]);
  } catch (cause) {
    // A point of small order would make the secret known to all.
    throw new RingwallError('bad-request', 'the public key of the request is no X25519 key', { cause });
  }
  using secret = shared;
  const cipher = createCipheriv('aes-256-gcm', secret.expose(), NONCE, { authTagLength: TAG_BYTES });
  cipher.setAAD(keyRequestMessage(request));
  const ciphertext = cipher.update(key.expose());
  cipher.final();
  return new Uint8Array(Buffer.concat([own, ciphertext, cipher.getAuthTag()]));
}

/** What a host signs: every word of the request, in lines, none of which can hold a line feed. */
export function keyRequestMessage(request: UnsignedKeyRequest): Uint8Array {
  const { use, publicKey, host } = request;
  const words =
    'disk' in request
      ? ['ringwall disk key request 1', request.disk, use, request.machine ?? '-', request.boot ?? '-']
      : ['ringwall snapshot key request 1', request.snapshot, use, request.machine, ...cloneOf(request)];
  return Buffer.from([...words, publicKey, host, ''].join('\n'));
}

function cloneOf({ clone }: Pick<SnapshotKeyRequest, 'clone'>): string[] {
  return clone === undefined ? [] : [clone];
}

export async function isSignedByItsHost(request: KeyRequest): Promise<boolean> {
  const point = new Uint8Array([4, ...Buffer.from(request.host, 'base64')]);
  try {
    const key = await crypto.subtle.importKey('raw', point, ECDSA_P256, false, ['verify']);
    const signature = new Uint8Array(Buffer.from(request.signature, 'base64'));
    const message = new Uint8Array(keyRequestMessage(request));
    return await crypto.subtle.verify({ name: 'ECDSA', hash: 'SHA-256' }, key, signature, message);
  } catch {
    return false; // no point of the curve
  }
}

function sharedKey(own: KeyObject, other: Uint8Array, salt: readonly Uint8Array[]): Secret {
  const jwk = { kty: 'OKP', crv: 'X25519', x: Buffer.from(other).toString('base64url') };
  const secret = diffieHellman({ privateKey: own, publicKey: createPublicKey({ key: jwk, format: 'jwk' }) });
  const key = hkdfSync('sha256', secret, Buffer.concat(salt), 'ringwall sealed key 1', 32);
  secret.fill(0);
  return Secret.take(new Uint8Array(key));
}

function rawOf(key: KeyObject): Uint8Array {
  const { x } = key.export({ format: 'jwk' });
  return Buffer.from(x ?? '', 'base64url');
}
