// The records of a sealed object, one for each chunk or run of zero chunks, and one at the end: docs/sealed-format.md, "Records".
// A record is bound to the manifest, to its place and to the number of all: none can be left out, repeated, or put elsewhere.
import { concatBytes, Cursor, unshared, Writer } from '@ringwall/bytes';
import { MAX_CHUNKS, type Cipher, type Manifest } from './manifest.ts';
import { SealError } from './seal-error.ts';

export const RECORD_HEADER_BYTES = 12;
export const TAG_BYTES = 16;
export const END_BYTES = 8;

/** `data`: a chunk. `zeros`: so many chunks of zeros. `compressed`: a chunk, as the manifest's compression has it. */
export const RECORD_TYPES = { data: 1, zeros: 2, compressed: 3, end: 127 } as const;
export type RecordType = keyof typeof RECORD_TYPES;

export interface RecordHeader {
  readonly type: RecordType;
  /** Chunks that it stands for; 0 at the end. */
  readonly chunks: number;
  /** Of the ciphertext, its tag included. */
  readonly bytes: number;
}

export function renderHeader({ type, chunks, bytes }: RecordHeader): Uint8Array<ArrayBuffer> {
  return unshared(new Writer().u32be(RECORD_TYPES[type]).u32be(chunks).u32be(bytes).finish());
}

/** Throws SealError `altered`: `offset` is where it lies. */
export function parseHeader(bytes: Uint8Array, { chunkBytes }: Manifest, offset: number): RecordHeader {
  const cursor = new Cursor(bytes, offset);
  const number = cursor.u32be('type');
  const chunks = cursor.u32be('chunks');
  const length = cursor.u32be('bytes');
  const type = TYPES.get(number);
  const isRight =
    (type === 'data' && chunks === 1 && length > TAG_BYTES && length <= chunkBytes + TAG_BYTES) ||
    (type === 'compressed' && chunks === 1 && length > TAG_BYTES && length < chunkBytes + TAG_BYTES) ||
    (type === 'zeros' && chunks > 0 && length === TAG_BYTES) ||
    (type === 'end' && chunks === 0 && length === END_BYTES + TAG_BYTES);
  if (type === undefined || !isRight) {
    throw new SealError('altered', `a record of type ${number}, ${chunks} chunks and ${length} bytes is none`, {
      offset,
    });
  }
  return { type, chunks, bytes: length };
}

const TYPES: ReadonlyMap<number, RecordType> = new Map([
  [RECORD_TYPES.data, 'data'],
  [RECORD_TYPES.zeros, 'zeros'],
  [RECORD_TYPES.compressed, 'compressed'],
  [RECORD_TYPES.end, 'end'],
]);

/** Seals and opens records of one object. */
export class RecordCipher {
  readonly #key: CryptoKey;
  readonly #cipher: Cipher;
  readonly #counter: number;
  readonly #bound: Uint8Array;

  private constructor(key: CryptoKey, { cipher, counter }: Manifest, bound: Uint8Array) {
    this.#key = key;
    this.#cipher = cipher;
    this.#counter = counter;
    this.#bound = bound;
  }

  /** `contentKey`: 32 bytes. Throws SealError `limit` where this engine lacks the cipher. */
  static async create(contentKey: Uint8Array, manifest: Manifest, binding: Uint8Array): Promise<RecordCipher> {
    const total = manifest.bytes === null ? UNKNOWN_TOTAL : Math.ceil(manifest.bytes / manifest.chunkBytes);
    const bound = concatBytes(binding, new Writer().u64be(BigInt(total)).finish());
    try {
      const key = await importKey(contentKey, manifest.cipher);
      return new RecordCipher(key, manifest, bound);
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
    root: Uint8Array = NOTHING,
  ): Promise<Uint8Array<ArrayBuffer>> {
    const algorithm = this.#algorithm(header, index, root);
    return new Uint8Array(await crypto.subtle.encrypt(algorithm, this.#key, unshared(plaintext)));
  }

  /** Undefined where it is not what was sealed here. */
  async open(
    header: Uint8Array,
    index: number,
    ciphertext: Uint8Array,
    root: Uint8Array = NOTHING,
  ): Promise<Uint8Array<ArrayBuffer> | undefined> {
    try {
      const algorithm = this.#algorithm(header, index, root);
      return new Uint8Array(await crypto.subtle.decrypt(algorithm, this.#key, unshared(ciphertext)));
    } catch (error) {
      if (error instanceof DOMException) return undefined;
      throw error;
    }
  }

  #algorithm(header: Uint8Array, index: number, root: Uint8Array): AesGcmParams {
    if (index > MAX_CHUNKS) throw new SealError('limit', `more than ${MAX_CHUNKS} chunks`);
    const place = new Writer().u64be(BigInt(index)).finish();
    const iv = concatBytes(new Writer().u32be(this.#counter).finish(), place);
    const additionalData = concatBytes(this.#bound, place, header, root);
    return { name: NAMES[this.#cipher], iv, additionalData };
  }
}

/** What stands for the number of chunks while nobody knows it: no object has as many. */
const UNKNOWN_TOTAL: number = 2 ** 53 - 1;
const NOTHING: Uint8Array = new Uint8Array();
/** ChaCha20-Poly1305 as "Modern Algorithms in the Web Cryptography API" of the W3C's incubator has it. */
const NAMES: Readonly<Record<Cipher, string>> = { 'aes-256-gcm': 'AES-GCM', 'chacha20-poly1305': 'ChaCha20-Poly1305' };

/** As JWK, which is the one form that both have in common. */
function importKey(key: Uint8Array, cipher: Cipher): Promise<CryptoKey> {
  const k = btoa(String.fromCharCode(...key))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replaceAll('=', '');
  return crypto.subtle.importKey('jwk', { kty: 'oct', k }, NAMES[cipher], false, ['encrypt', 'decrypt']);
}
