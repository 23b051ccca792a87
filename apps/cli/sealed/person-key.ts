// The key of a person whose word counts (Ed25519): one line in a file, as `ringwall keygen --person` writes it.
import { createPrivateKey, createPublicKey, randomBytes, sign, type KeyObject } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { RingwallError } from '@ringwall/api/errors';
import { fromHex, toHex } from '@ringwall/bytes';

const FILE = /^ringwall-person-key:([0-9a-f]{64})$/;
const PERSON = /^ringwall-person:([0-9a-f]{64})$/;
const SEED_BYTES = 32;
/** A line; what is longer is another file, named by mistake. */
const MAX_FILE_BYTES = 200;
/** PKCS #8 of an Ed25519 key is these bytes and its seed (RFC 8410, section 7). */
const PKCS8_PREFIX: Uint8Array = fromHex('302e020100300506032b657004220420');

export interface PersonKey {
  /** In hexadecimal. */
  readonly key: string;
  /** RFC 8032, in hexadecimal. */
  readonly sign: (statement: string) => string;
}

export function newPersonKey(): { readonly file: string; readonly person: string } {
  const seed = randomBytes(SEED_BYTES);
  return { file: `ringwall-person-key:${toHex(seed)}\n`, person: `ringwall-person:${publicOf(keyOf(seed))}` };
}

/** Throws RingwallError. Nothing of the file is repeated in it. */
export function readPersonKey(file: string): PersonKey {
  const [, seed] = FILE.exec(readSmall(file).trim()) ?? [];
  if (seed === undefined) {
    throw new RingwallError('bad-request', `${file} holds no key of a person`, {
      hint: 'one is made by: ringwall keygen --person -o FILE',
    });
  }
  const key = keyOf(fromHex(seed));
  return { key: publicOf(key), sign: (statement) => toHex(sign(null, Buffer.from(statement), key)) };
}

/** As `keygen --person` prints it. */
export function parsePerson(text: string): string {
  const [, key] = PERSON.exec(text.trim()) ?? [];
  if (key !== undefined) return key;
  throw new RingwallError('bad-request', `${JSON.stringify(text.slice(0, 100))} is no person`, {
    hint: 'as ringwall keygen --person prints it: ringwall-person: and 64 hexadecimal digits',
  });
}

function keyOf(seed: Uint8Array): KeyObject {
  return createPrivateKey({ key: Buffer.concat([PKCS8_PREFIX, seed]), format: 'der', type: 'pkcs8' });
}

function publicOf(key: KeyObject): string {
  const { x = '' } = createPublicKey(key).export({ format: 'jwk' });
  return Buffer.from(x, 'base64url').toString('hex');
}

function readSmall(file: string): string {
  try {
    if (statSync(file).size > MAX_FILE_BYTES) throw new RingwallError('bad-request', `${file} is too long for a key`);
    return readFileSync(file, 'latin1');
  } catch (cause) {
    if (cause instanceof RingwallError) throw cause;
    throw new RingwallError('not-found', `the key file ${file} cannot be read`, { cause });
  }
}
