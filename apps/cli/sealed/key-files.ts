// Keys of sealed files as they lie in files: an identity (the private half of an X25519 key), or 32 bytes that both ends have.
// One line of text each, as `ringwall keygen` writes them; 32 bytes alone are taken, too.
import { readFileSync, statSync } from 'node:fs';
import { RingwallError } from '@ringwall/api/errors';
import { fromHex, toHex } from '@ringwall/bytes';
import { KEY_BYTES, publicKeyOf, X25519_KEY_BYTES, type Opener, type Recipient } from '@ringwall/seal';

const IDENTITY = /^ringwall-identity:([0-9a-f]{64})$/;
const SHARED = /^ringwall-key:([0-9a-f]{64})$/;
const RECIPIENT = /^ringwall-recipient:([0-9a-f]{64})$/;
/** A line and a newline; what is longer is another file, named by mistake. */
const MAX_KEY_FILE_BYTES = 200;

export function renderIdentity(privateKey: Uint8Array): string {
  return `ringwall-identity:${toHex(privateKey)}\n`;
}

export function renderRecipient(publicKey: Uint8Array): string {
  return `ringwall-recipient:${toHex(publicKey)}`;
}

/** Throws RingwallError. */
export function parseRecipient(text: string): Recipient {
  const [, hex] = RECIPIENT.exec(text.trim()) ?? [];
  if (hex === undefined) {
    throw new RingwallError('bad-request', `${JSON.stringify(text.slice(0, 100))} is no recipient`, {
      hint: 'as ringwall keygen prints it: ringwall-recipient: and 64 hexadecimal digits',
    });
  }
  return { kind: 'x25519', publicKey: fromHex(hex) };
}

/** Throws RingwallError. Nothing of the file is repeated in it. */
export async function readOpener(file: string): Promise<Opener> {
  const bytes = readSmall(file);
  const text = bytes.toString('latin1').trim();
  const [, identity] = IDENTITY.exec(text) ?? [];
  if (identity !== undefined) {
    const privateKey = fromHex(identity);
    return { kind: 'x25519', pair: { privateKey, publicKey: await publicKeyOf(privateKey) } };
  }
  const [, shared] = SHARED.exec(text) ?? [];
  if (shared !== undefined) return { kind: 'key', key: fromHex(shared) };
  if (bytes.length === KEY_BYTES) return { kind: 'key', key: new Uint8Array(bytes) };
  if (RECIPIENT.test(text)) {
    throw new RingwallError('bad-request', `${file} holds the public half of a key`, {
      hint: 'to open takes the file that ringwall keygen wrote; to seal for it: --to',
    });
  }
  throw new RingwallError('bad-request', `${file} holds no key`, {
    hint: `an identity or a key of ringwall keygen, or ${String(X25519_KEY_BYTES)} bytes`,
  });
}

/** To seal for whoever holds the file. */
export async function readRecipient(file: string): Promise<Recipient> {
  const opener = await readOpener(file);
  return opener.kind === 'key' ? opener : { kind: 'x25519', publicKey: opener.pair.publicKey };
}

function readSmall(file: string): Buffer {
  try {
    if (statSync(file).size > MAX_KEY_FILE_BYTES)
      throw new RingwallError('bad-request', `${file} is too long for a key`);
    return readFileSync(file);
  } catch (cause) {
    if (cause instanceof RingwallError) throw cause;
    throw new RingwallError('not-found', `the key file ${file} cannot be read`, { cause });
  }
}
