// Encryption to somebody's public key: HPKE, RFC 9180, base mode, single shot. Suite: DHKEM(X25519, HKDF-SHA256),
// HKDF-SHA256, AES-256-GCM; the tests hold AES-128-GCM to the vectors of appendix A.1, where the RFC has that one.
import { concatBytes, unshared, utf8 } from '@ringwall/bytes';

export const X25519_KEY_BYTES = 32;

/** RFC 9180, section 7. */
const KEM_X25519 = 0x0020;
const KDF_SHA256 = 0x0001;
const NONCE_BYTES = 12;
const DIGEST_BYTES = 32;
const MODE_BASE = 0;

export interface HpkeAead {
  readonly id: number;
  readonly keyBytes: number;
}

export const AES_256_GCM: HpkeAead = { id: 0x0002, keyBytes: 32 };

export interface KeyPair {
  /** 32 bytes each, as in RFC 7748. */
  readonly publicKey: Uint8Array;
  readonly privateKey: Uint8Array;
}

export interface HpkeContext {
  readonly info: Uint8Array;
  readonly aad: Uint8Array;
  readonly aead?: HpkeAead;
}

/** PKCS #8 of an X25519 key is these bytes and the key (RFC 8410, section 7): WebCrypto takes private keys in no shorter form. */
const PKCS8_PREFIX: Uint8Array<ArrayBuffer> = Uint8Array.of(
  ...[0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x6e, 0x04, 0x22, 0x04, 0x20],
);

export async function makeKeyPair(): Promise<KeyPair> {
  const pair = await crypto.subtle.generateKey('X25519', true, ['deriveBits']);
  if (!('privateKey' in pair)) throw new TypeError('X25519 gave no pair of keys');
  const pkcs8 = new Uint8Array(await crypto.subtle.exportKey('pkcs8', pair.privateKey));
  return {
    publicKey: new Uint8Array(await crypto.subtle.exportKey('raw', pair.publicKey)),
    privateKey: pkcs8.subarray(PKCS8_PREFIX.length),
  };
}

/** Of a private key that was kept: WebCrypto computes it as the shared secret with the base point (RFC 7748, section 6.1). */
export async function publicKeyOf(privateKey: Uint8Array): Promise<Uint8Array> {
  const basePoint = new Uint8Array(X25519_KEY_BYTES);
  basePoint[0] = 9;
  return sharedSecret(privateKey, basePoint);
}

/** Gives `enc`, 32 bytes, and the ciphertext with its tag. `ephemeral` is for test vectors alone. */
export async function sealTo(
  publicKey: Uint8Array,
  plaintext: Uint8Array,
  context: HpkeContext,
  ephemeral?: KeyPair,
): Promise<{ readonly enc: Uint8Array; readonly ciphertext: Uint8Array }> {
  const { privateKey, publicKey: enc } = ephemeral ?? (await makeKeyPair());
  const shared = await decapsulated(privateKey, publicKey, concatBytes(enc, publicKey));
  const { key, nonce } = await schedule(shared, context);
  const algorithm = { name: 'AES-GCM', iv: nonce, additionalData: unshared(context.aad) };
  return { enc, ciphertext: new Uint8Array(await crypto.subtle.encrypt(algorithm, key, unshared(plaintext))) };
}

/** Undefined where it was not sealed to this key, for this context. */
export async function openWith(
  own: KeyPair,
  { enc, ciphertext }: { readonly enc: Uint8Array; readonly ciphertext: Uint8Array },
  context: HpkeContext,
): Promise<Uint8Array | undefined> {
  try {
    const shared = await decapsulated(own.privateKey, enc, concatBytes(enc, own.publicKey));
    const { key, nonce } = await schedule(shared, context);
    const algorithm = { name: 'AES-GCM', iv: nonce, additionalData: unshared(context.aad) };
    return new Uint8Array(await crypto.subtle.decrypt(algorithm, key, unshared(ciphertext)));
  } catch (error) {
    // A point of small order, or a tag that does not fit: WebCrypto has one name for both.
    if (error instanceof DOMException) return undefined;
    throw error;
  }
}

/** Section 4.1: ExtractAndExpand over the shared secret. */
async function decapsulated(
  privateKey: Uint8Array,
  publicKey: Uint8Array,
  kemContext: Uint8Array,
): Promise<Uint8Array> {
  const dh = await sharedSecret(privateKey, publicKey);
  const suite = concatBytes(utf8('KEM'), u16(KEM_X25519));
  const prk = await labeledExtract(suite, new Uint8Array(), 'eae_prk', dh);
  return labeledExpand(suite, prk, 'shared_secret', kemContext, DIGEST_BYTES);
}

/** X25519 of RFC 7748. */
async function sharedSecret(privateKey: Uint8Array, publicKey: Uint8Array): Promise<Uint8Array> {
  const pkcs8 = concatBytes(PKCS8_PREFIX, privateKey);
  const own = await crypto.subtle.importKey('pkcs8', pkcs8, 'X25519', false, ['deriveBits']);
  const theirs = await crypto.subtle.importKey('raw', unshared(publicKey), 'X25519', false, []);
  return new Uint8Array(await crypto.subtle.deriveBits({ name: 'X25519', public: theirs }, own, 256));
}

/** Section 5.1, KeySchedule. */
async function schedule(
  shared: Uint8Array,
  { info, aead = AES_256_GCM }: HpkeContext,
): Promise<{ readonly key: CryptoKey; readonly nonce: Uint8Array<ArrayBuffer> }> {
  const suite = concatBytes(utf8('HPKE'), u16(KEM_X25519), u16(KDF_SHA256), u16(aead.id));
  const empty = new Uint8Array();
  const context = concatBytes(
    Uint8Array.of(MODE_BASE),
    await labeledExtract(suite, empty, 'psk_id_hash', empty),
    await labeledExtract(suite, empty, 'info_hash', info),
  );
  const secret = await labeledExtract(suite, shared, 'secret', empty);
  const key = await labeledExpand(suite, secret, 'key', context, aead.keyBytes);
  const nonce = await labeledExpand(suite, secret, 'base_nonce', context, NONCE_BYTES);
  return { key: await crypto.subtle.importKey('raw', key, 'AES-GCM', false, ['encrypt', 'decrypt']), nonce };
}

function labeledExtract(
  suite: Uint8Array,
  salt: Uint8Array,
  label: string,
  ikm: Uint8Array,
): Promise<Uint8Array<ArrayBuffer>> {
  return hmac(salt.length === 0 ? new Uint8Array(DIGEST_BYTES) : salt, utf8('HPKE-v1'), suite, utf8(label), ikm);
}

/** RFC 5869, section 2.3, with the label in its info. Nothing here is longer than one digest. */
async function labeledExpand(
  suite: Uint8Array,
  prk: Uint8Array,
  label: string,
  info: Uint8Array,
  length: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const block = await hmac(prk, u16(length), utf8('HPKE-v1'), suite, utf8(label), info, Uint8Array.of(1));
  return block.slice(0, length);
}

async function hmac(key: Uint8Array, ...parts: readonly Uint8Array[]): Promise<Uint8Array<ArrayBuffer>> {
  const imported = await crypto.subtle.importKey('raw', unshared(key), { name: 'HMAC', hash: 'SHA-256' }, false, [
    'sign',
  ]);
  return new Uint8Array(await crypto.subtle.sign('HMAC', imported, concatBytes(...parts)));
}

function u16(value: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.of(value >> 8, value & 0xff);
}
