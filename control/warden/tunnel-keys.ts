// This host's keys for tunnels to another one. Of each generation there are WireGuard's pair, and what the two hosts come to a secret
// by (ML-KEM-768, FIPS 203), which WireGuard has as its preshared key: the one offers an encapsulation key in its signed word, the
// other answers with a ciphertext. Neither word has a secret in it, and who breaks X25519 one day has not got this.
import { createHash, createPrivateKey, createPublicKey, decapsulate, encapsulate, hkdfSync } from 'node:crypto';
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { RingwallError } from '@ringwall/api';
import { toHex } from '@ringwall/bytes';
import { newTunnelKey, tunnelPublicKey } from '@ringwall/host/network/tunnels';
import type { PeerKey } from '@ringwall/netpolicy';
import { z } from 'zod';
import { Secret } from '../keys/index.ts';

const KEM = 'ml-kem-768';
/** RFC 7748, and FIPS 203, 7.1: d and z, of which a decapsulation key is made. */
const PRIVATE_KEY_BYTES = 32;
const SHARED_KEY_BYTES = 32;

/** As it is written down; `wrapped` is WireGuard's private key, and the seed of an offer or the secret of an answer. */
export const tunnelKeySchema = z.strictObject({
  generation: z.int().min(1),
  listenPort: z.int(),
  wrapped: z.base64(),
  answer: z.strictObject({ ciphertext: z.base64(), to: z.base64() }).optional(),
  /** When its tunnel was first seen to work. */
  worksSinceMs: z.number().optional(),
});
export type TunnelKey = z.infer<typeof tunnelKeySchema>;

export interface NewKey {
  readonly secret: Secret;
  readonly answer?: NonNullable<TunnelKey['answer']>;
}

/** `privateKey`: WireGuard's, where there is one already. */
export function makeOffer(privateKey: Uint8Array = newTunnelKey()): NewKey {
  const seed = generateKeyPairSync(KEM).privateKey.export({ format: 'raw-seed' });
  return { secret: joined(privateKey, seed) };
}

/** Throws where what is offered is no such key. */
export function makeAnswer(offer: Uint8Array, privateKey: Uint8Array = newTunnelKey()): NewKey {
  const { sharedKey, ciphertext } = encapsulate(readOffer(offer));
  const answer = { ciphertext: ciphertext.toString('base64'), to: digestOf(offer).toString('base64') };
  return { secret: joined(privateKey, sharedKey), answer };
}

/** What the other host is told of it. */
export function tellKey({ generation, listenPort, answer }: TunnelKey, secret: Secret): PeerKey {
  const agreement =
    answer === undefined ? { offer: offerOf(secret) } : { answer: bytesOf(answer.ciphertext), to: bytesOf(answer.to) };
  return { generation, port: listenPort, publicKey: tunnelPublicKey(privateKeyOf(secret)), agreement };
}

/** Whether both words belong together: the one an offer, the other the answer to this very one. */
export function answersOffer(own: PeerKey, theirs: PeerKey): boolean {
  if (own.generation !== theirs.generation) return false;
  const [one, other] = [own.agreement, theirs.agreement];
  if ('offer' in one) return 'answer' in other && digestOf(one.offer).equals(other.to);
  return 'offer' in other && digestOf(other.offer).equals(one.to);
}

/** The preshared key of two such. It is for these keys of these hosts and nothing else. */
export function agreedKey(network: string, secret: Secret, own: PeerKey, theirs: PeerKey): Uint8Array {
  const [, rest] = split(secret);
  const shared = 'answer' in theirs.agreement ? decapsulate(readSeed(rest), theirs.agreement.answer) : rest;
  const keys = [own, theirs].map(({ publicKey }) => toHex(publicKey)).toSorted();
  const info = ['ringwall tunnel', network, String(own.generation), ...keys].join('\n');
  return new Uint8Array(hkdfSync('sha256', shared, '', info, SHARED_KEY_BYTES));
}

export function privateKeyOf(secret: Secret): Uint8Array {
  return split(secret)[0];
}

function split(secret: Secret): [privateKey: Uint8Array, rest: Uint8Array] {
  const bytes = secret.expose();
  return [bytes.slice(0, PRIVATE_KEY_BYTES), bytes.slice(PRIVATE_KEY_BYTES)];
}

function joined(privateKey: Uint8Array, rest: Uint8Array): Secret {
  return Secret.take(new Uint8Array([...privateKey, ...rest]));
}

function offerOf(secret: Secret): Uint8Array {
  const [, seed] = split(secret);
  return new Uint8Array(createPublicKey(readSeed(seed)).export({ format: 'raw-public' }));
}

function readSeed(seed: Uint8Array): KeyObject {
  return createPrivateKey({ key: Buffer.from(seed), format: 'raw-seed', asymmetricKeyType: KEM });
}

function readOffer(offer: Uint8Array): KeyObject {
  try {
    return createPublicKey({ key: Buffer.from(offer), format: 'raw-public', asymmetricKeyType: KEM });
  } catch (cause) {
    throw new RingwallError('policy-invalid', 'what it offers is no key of ML-KEM-768', { cause });
  }
}

function digestOf(offer: Uint8Array): Buffer {
  return createHash('sha256').update(offer).digest();
}

function bytesOf(base64: string): Uint8Array {
  return new Uint8Array(Buffer.from(base64, 'base64'));
}
