// Seals and opens the records of one object by WebCrypto, which every engine has; @ringwall/host/seal does the same on threads.
import { unshared } from '@ringwall/bytes';
import type { Cipher, Manifest } from './manifest.ts';
import { RecordFrame } from './records.ts';
import { SealError } from './seal-error.ts';

export class RecordCipher {
  readonly #key: CryptoKey;
  readonly #name: string;
  readonly #frame: RecordFrame;

  private constructor(key: CryptoKey, name: string, frame: RecordFrame) {
    this.#key = key;
    this.#name = name;
    this.#frame = frame;
  }

  /** `contentKey`: 32 bytes. Throws SealError `limit` where this engine lacks the cipher. */
  static async create(contentKey: Uint8Array, manifest: Manifest, binding: Uint8Array): Promise<RecordCipher> {
    const name = NAMES[manifest.cipher];
    try {
      return new RecordCipher(await importKey(contentKey, name), name, new RecordFrame(manifest, binding));
    } catch (cause) {
      if (!(cause instanceof DOMException)) throw cause;
      throw new SealError('limit', `this engine has no ${manifest.cipher}`, { cause });
    }
  }

  /** `index`: of the record's first chunk. `root`: of the tree, at the end. */
  async seal(
    header: Uint8Array,
    index: number,
    plaintext: Uint8Array,
    root?: Uint8Array,
  ): Promise<Uint8Array<ArrayBuffer>> {
    const algorithm = this.#algorithm(header, index, root);
    return new Uint8Array(await crypto.subtle.encrypt(algorithm, this.#key, unshared(plaintext)));
  }

  /** Undefined where it is not what was sealed here. */
  async open(
    header: Uint8Array,
    index: number,
    ciphertext: Uint8Array,
    root?: Uint8Array,
  ): Promise<Uint8Array<ArrayBuffer> | undefined> {
    try {
      const algorithm = this.#algorithm(header, index, root);
      return new Uint8Array(await crypto.subtle.decrypt(algorithm, this.#key, unshared(ciphertext)));
    } catch (error) {
      if (error instanceof DOMException) return undefined;
      throw error;
    }
  }

  #algorithm(header: Uint8Array, index: number, root: Uint8Array | undefined): AesGcmParams {
    const { nonce, associatedData } = this.#frame.parametersOf(header, index, root);
    return { name: this.#name, iv: nonce, additionalData: associatedData };
  }
}

/** ChaCha20-Poly1305 as "Modern Algorithms in the Web Cryptography API" of the W3C's incubator has it. */
const NAMES: Readonly<Record<Cipher, string>> = { 'aes-256-gcm': 'AES-GCM', 'chacha20-poly1305': 'ChaCha20-Poly1305' };

/** As JWK, which is the one form that both have in common. */
function importKey(key: Uint8Array, name: string): Promise<CryptoKey> {
  const k = btoa(String.fromCharCode(...key))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replaceAll('=', '');
  return crypto.subtle.importKey('jwk', { kty: 'oct', k }, name, false, ['encrypt', 'decrypt']);
}
