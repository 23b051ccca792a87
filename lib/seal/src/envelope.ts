// Who may open: the data key, wrapped for each of them, with all of them authenticated by the data key itself, so that nobody
// without it adds or takes away a name. Wrapping anew changes nothing behind it: docs/sealed-format.md, "Envelope".
import { concatBytes, equalBytes, fromHex, toHex, unshared, utf8 } from '@ringwall/bytes';
import { openWith, sealTo, X25519_KEY_BYTES, type KeyPair } from './hpke.ts';
import { FORMAT, isObject, parseJson, type JsonValue } from './manifest.ts';
import { SealError } from './seal-error.ts';

export const KEY_BYTES = 32;
/** Some hundred recipients; a larger circle shares a key. */
export const MAX_ENVELOPE_BYTES: number = 64 * 1024;
export const MAX_RECIPIENTS = 100;
/** Room for a wrapping that is longer than the one before, so that it can be exchanged in place. */
export const ENVELOPE_STEP_BYTES = 1024;
const NONCE_BYTES = 12;
const ID_BYTES = 8;

/** Whom to seal for: who holds the same 32 bytes, or the private half of an X25519 key. */
export type Recipient =
  | { readonly kind: 'key'; readonly key: Uint8Array }
  | { readonly kind: 'x25519'; readonly publicKey: Uint8Array };

/** What to open with. */
export type Opener =
  | { readonly kind: 'key'; readonly key: Uint8Array }
  | { readonly kind: 'x25519'; readonly pair: KeyPair };

interface Stanza {
  readonly kind: Recipient['kind'];
  /** Which key it is: a digest, cut short. It says who may open, and nothing of the key. */
  readonly id: string;
  /** A nonce, or an ephemeral public key. */
  readonly enc: string;
  readonly wrapped: string;
}

/** Padded to whole steps. Throws SealError `limit`. */
export async function renderEnvelope(
  dataKey: Uint8Array,
  recipients: readonly Recipient[],
  binding: Uint8Array,
): Promise<Uint8Array<ArrayBuffer>> {
  if (recipients.length === 0 || recipients.length > MAX_RECIPIENTS) {
    throw new SealError('limit', `sealed for ${recipients.length}, expected 1..${MAX_RECIPIENTS}`);
  }
  const keys = await Promise.all(recipients.map((recipient) => wrap(dataKey, recipient, binding)));
  const mac = await macOf(dataKey, keys, binding);
  const text = utf8(JSON.stringify({ keys, mac: toHex(mac) }));
  const padded = new Uint8Array(Math.ceil(text.length / ENVELOPE_STEP_BYTES) * ENVELOPE_STEP_BYTES).fill(0x20);
  padded.set(text);
  return padded;
}

/** The data key. Throws SealError `needs-key`, `wrong-key`, `altered`. */
export async function openEnvelope(
  envelope: Uint8Array,
  openers: readonly Opener[],
  binding: Uint8Array,
): Promise<Uint8Array<ArrayBuffer>> {
  const { keys, mac } = parseEnvelope(envelope);
  let named = false;
  for (const opener of openers) {
    const id = await idOf(opener.kind, opener.kind === 'key' ? opener.key : opener.pair.publicKey);
    for (const stanza of keys) {
      if (stanza.kind !== opener.kind || stanza.id !== id) continue;
      named = true;
      const dataKey = await unwrap(stanza, opener, binding);
      if (dataKey?.length !== KEY_BYTES) continue;
      if (!equalBytes(await macOf(dataKey, keys, binding), mac)) {
        throw new SealError('altered', 'the list of those who may open it was changed by somebody who may not');
      }
      return unshared(dataKey);
    }
  }
  if (named)
    throw new SealError('wrong-key', 'its envelope or its manifest is not the one that was sealed for this key');
  throw new SealError('needs-key', `sealed for ${keys.map(({ kind, id }) => `${kind} ${id}`).join(', ')}`);
}

/** Names a key in envelopes; of X25519 the public half. 16 hexadecimal digits. */
export async function idOf(kind: Recipient['kind'], key: Uint8Array): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-256', concatBytes(utf8(`${FORMAT} ${kind}\0`), key));
  return toHex(new Uint8Array(digest, 0, ID_BYTES));
}

/** A key for one purpose: HKDF-SHA256 (RFC 5869) of the data key, salted with what all is bound to. */
export async function derive(
  dataKey: Uint8Array,
  purpose: 'content' | 'envelope',
  binding: Uint8Array,
): Promise<Uint8Array<ArrayBuffer>> {
  const base = await crypto.subtle.importKey('raw', unshared(dataKey), 'HKDF', false, ['deriveBits']);
  const info = utf8(`${FORMAT} ${purpose}`);
  const algorithm = { name: 'HKDF', hash: 'SHA-256', salt: unshared(binding), info };
  return new Uint8Array(await crypto.subtle.deriveBits(algorithm, base, KEY_BYTES * 8));
}

async function wrap(dataKey: Uint8Array, recipient: Recipient, binding: Uint8Array): Promise<Stanza> {
  const info = wrappingInfo(binding);
  if (recipient.kind === 'x25519') {
    const { publicKey } = recipient;
    checkKey(publicKey, X25519_KEY_BYTES);
    const { enc, ciphertext } = await sealTo(publicKey, dataKey, { info, aad: new Uint8Array() });
    return { kind: 'x25519', id: await idOf('x25519', publicKey), enc: toHex(enc), wrapped: toHex(ciphertext) };
  }
  checkKey(recipient.key, KEY_BYTES);
  const iv = crypto.getRandomValues(new Uint8Array(NONCE_BYTES));
  const key = await importWrappingKey(recipient.key);
  const wrapped = await crypto.subtle.encrypt({ name: 'AES-GCM', iv, additionalData: info }, key, unshared(dataKey));
  return { kind: 'key', id: await idOf('key', recipient.key), enc: toHex(iv), wrapped: toHex(new Uint8Array(wrapped)) };
}

async function unwrap({ enc, wrapped }: Stanza, opener: Opener, binding: Uint8Array): Promise<Uint8Array | undefined> {
  const info = wrappingInfo(binding);
  const ciphertext = fromHex(wrapped);
  if (opener.kind === 'x25519') {
    return openWith(opener.pair, { enc: fromHex(enc), ciphertext }, { info, aad: new Uint8Array() });
  }
  checkKey(opener.key, KEY_BYTES);
  try {
    const key = await importWrappingKey(opener.key);
    const algorithm = { name: 'AES-GCM', iv: fromHex(enc), additionalData: info };
    return new Uint8Array(await crypto.subtle.decrypt(algorithm, key, ciphertext));
  } catch (error) {
    if (error instanceof DOMException) return undefined;
    throw error;
  }
}

async function macOf(
  dataKey: Uint8Array,
  keys: readonly Stanza[],
  binding: Uint8Array,
): Promise<Uint8Array<ArrayBuffer>> {
  const macKey = await derive(dataKey, 'envelope', binding);
  const key = await crypto.subtle.importKey('raw', macKey, { name: 'HMAC', hash: 'SHA-256' }, false, ['sign']);
  return new Uint8Array(await crypto.subtle.sign('HMAC', key, utf8(JSON.stringify(keys))));
}

function parseEnvelope(envelope: Uint8Array): { readonly keys: readonly Stanza[]; readonly mac: Uint8Array } {
  const { keys, mac } = parseJson(envelope, 'envelope');
  const stanzas = Array.isArray(keys) ? keys.slice(0, MAX_RECIPIENTS + 1).flatMap(asStanza) : [];
  if (stanzas.length === 0 || stanzas.length > MAX_RECIPIENTS || typeof mac !== 'string' || !HEX.test(mac)) {
    throw new SealError('altered', 'the envelope is none');
  }
  // What the parser passes over is written by nobody: one text for one envelope.
  const rendered = utf8(JSON.stringify({ keys: stanzas, mac }));
  const rest = envelope.subarray(rendered.length);
  if (!equalBytes(envelope.subarray(0, rendered.length), rendered) || rest.some((byte) => byte !== 0x20)) {
    throw new SealError('altered', 'the envelope says more than an envelope says');
  }
  return { keys: stanzas, mac: fromHex(mac) };
}

const HEX = /^(?:[0-9a-f]{2}){1,128}$/;

function asStanza(value: JsonValue): Stanza[] {
  if (!isObject(value)) return [];
  const { kind, id, enc, wrapped } = value;
  if ((kind !== 'key' && kind !== 'x25519') || typeof id !== 'string' || !HEX.test(id)) return [];
  if (typeof enc !== 'string' || !HEX.test(enc) || typeof wrapped !== 'string' || !HEX.test(wrapped)) return [];
  return [{ kind, id, enc, wrapped }];
}

function wrappingInfo(binding: Uint8Array): Uint8Array<ArrayBuffer> {
  return concatBytes(utf8(`${FORMAT} key\0`), binding);
}

function importWrappingKey(key: Uint8Array): Promise<CryptoKey> {
  return crypto.subtle.importKey('raw', unshared(key), 'AES-GCM', false, ['encrypt', 'decrypt']);
}

function checkKey(key: Uint8Array, bytes: number): void {
  if (key.length !== bytes) throw new SealError('limit', `a key of ${key.length} bytes, expected ${bytes}`);
}
