// Seals a stream as it comes: some chunks are encrypted while the next are read, and none is held longer than that.
import { concatBytes, firstNonZero, toHex, Writer } from '@ringwall/bytes';
import { ByteReader, type ByteStream } from './byte-reader.ts';
import { derive, KEY_BYTES, renderEnvelope, type Recipient } from './envelope.ts';
import { headLeafOf, renderHead } from './layout.ts';
import {
  bindingOf,
  DEFAULT_CHUNK_BYTES,
  renderManifest,
  type Cipher,
  type JsonValue,
  type Manifest,
} from './manifest.ts';
import { leafOf, MerkleTree } from './merkle-tree.ts';
import { RecordCipher, renderHeader, TAG_BYTES, type RecordType } from './records.ts';
import { SealError } from './seal-error.ts';

/** Chunks under way: enough for the threads of a pool, at some megabytes each. */
export const CHUNKS_UNDER_WAY = 8;
const OBJECT_ID_BYTES = 16;

export interface SealOptions {
  readonly recipients: readonly Recipient[];
  /** Of the contents, where it is known: then it is bound to every record, and a stream of another length is refused. */
  readonly bytes?: number;
  readonly about?: { readonly [key: string]: JsonValue };
  readonly cipher?: Cipher;
  /** 4 KiB to 16 MiB. */
  readonly chunkBytes?: number;
  /** Zstandard. Sizes then tell of the contents: not for memory of machines. */
  readonly compress?: (chunk: Uint8Array) => Promise<Uint8Array>;
}

export interface SealedSummary {
  readonly object: string;
  /** Of the contents. */
  readonly bytes: number;
  /** Of the tree over all that was written but the envelope, in hexadecimal: whoever keeps it can tell this object from any other. */
  readonly root: string;
}

/** Gives the sealed object in pieces, and what to keep of it at the end. Throws SealError `limit`. */
export async function* sealStream(
  contents: ByteStream,
  options: SealOptions,
): AsyncGenerator<Uint8Array, SealedSummary> {
  const { recipients, bytes = null, about = {}, cipher = 'aes-256-gcm', compress } = options;
  const object = toHex(crypto.getRandomValues(new Uint8Array(OBJECT_ID_BYTES)));
  const manifest: Manifest = {
    ...{ object, counter: 0, cipher, digest: 'sha-256', chunkBytes: options.chunkBytes ?? DEFAULT_CHUNK_BYTES },
    ...{ compression: compress === undefined ? 'none' : 'zstd', bytes, about },
  };
  const rendered = renderManifest(manifest);
  const binding = await bindingOf(rendered);
  const dataKey = crypto.getRandomValues(new Uint8Array(KEY_BYTES));
  const envelope = await renderEnvelope(dataKey, recipients, binding);
  yield renderHead({ envelope, manifest: rendered });

  const sealer = await Sealer.create(await derive(dataKey, 'content', binding), { manifest, binding, rendered });
  const reader = new ByteReader(contents);
  const underWay: Promise<SealedRecord>[] = [];
  const written = async function* (atMost: number): AsyncGenerator<Uint8Array> {
    while (underWay.length > atMost) {
      const next = await underWay.shift();
      if (next !== undefined) yield* sealer.place(next);
    }
  };
  let total = 0;
  let zeros = 0;
  try {
    for (;;) {
      const chunk = await reader.upTo(manifest.chunkBytes);
      const isZero = firstNonZero(chunk) === undefined;
      if (zeros > 0 && (!isZero || chunk.length === 0)) {
        underWay.push(settled(sealer.zeros(total, zeros)));
        zeros = 0;
      }
      if (chunk.length === 0) break;
      if (isZero) zeros += 1;
      else underWay.push(settled(sealer.data(total, chunk, compress)));
      total += chunk.length;
      yield* written(CHUNKS_UNDER_WAY - 1);
    }
    yield* written(0);
    if (bytes !== null && total !== bytes) {
      throw new SealError('limit', `${total} bytes came, and ${bytes} were said: what was written is no object`);
    }
  } finally {
    await reader.close();
    await Promise.allSettled(underWay);
  }
  const { pieces, root } = await sealer.end(total);
  yield* pieces;
  return { object, bytes: total, root: toHex(root) };
}

interface SealedRecord {
  /** Header and ciphertext. */
  readonly record: Uint8Array;
  readonly leaf: Uint8Array;
}

interface Bound {
  readonly manifest: Manifest;
  readonly binding: Uint8Array;
  readonly rendered: Uint8Array;
}

class Sealer {
  readonly #cipher: RecordCipher;
  readonly #chunkBytes: number;
  readonly #tree: MerkleTree = new MerkleTree();

  private constructor(cipher: RecordCipher, chunkBytes: number) {
    this.#cipher = cipher;
    this.#chunkBytes = chunkBytes;
  }

  static async create(contentKey: Uint8Array, { manifest, binding, rendered }: Bound): Promise<Sealer> {
    const sealer = new Sealer(await RecordCipher.create(contentKey, manifest, binding), manifest.chunkBytes);
    await sealer.#tree.add(await leafOf(...headLeafOf(rendered)));
    return sealer;
  }

  async data(offset: number, chunk: Uint8Array, compress: SealOptions['compress']): Promise<SealedRecord> {
    const smaller = await compress?.(chunk);
    if (smaller !== undefined && smaller.length < chunk.length) return this.#seal('compressed', 1, offset, smaller);
    return this.#seal('data', 1, offset, chunk);
  }

  /** `end`: the offset behind them. */
  zeros(end: number, chunks: number): Promise<SealedRecord> {
    const last = Math.ceil(end / this.#chunkBytes);
    return this.#seal('zeros', chunks, (last - chunks) * this.#chunkBytes, new Uint8Array());
  }

  async *place({ record, leaf }: SealedRecord): AsyncGenerator<Uint8Array> {
    await this.#tree.add(leaf);
    yield record;
    yield leaf;
  }

  async end(total: number): Promise<{ readonly pieces: readonly Uint8Array[]; readonly root: Uint8Array }> {
    const root = await this.#tree.root();
    const plaintext = new Writer().u64be(BigInt(total)).finish();
    const header = headerOf('end', 0, plaintext);
    const index = Math.ceil(total / this.#chunkBytes);
    return { pieces: [header, root, await this.#cipher.seal(header, index, plaintext, root)], root };
  }

  async #seal(type: RecordType, chunks: number, offset: number, plaintext: Uint8Array): Promise<SealedRecord> {
    const header = headerOf(type, chunks, plaintext);
    const index = offset / this.#chunkBytes;
    const record = concatBytes(header, await this.#cipher.seal(header, index, plaintext));
    return { record, leaf: await leafOf(record) };
  }
}

function headerOf(type: RecordType, chunks: number, plaintext: Uint8Array): Uint8Array<ArrayBuffer> {
  return renderHeader({ type, chunks, bytes: plaintext.length + TAG_BYTES });
}

/** A failure is told when its turn comes, not as a rejection that nobody has looked at yet. */
function settled<Value>(promise: Promise<Value>): Promise<Value> {
  promise.catch(() => undefined);
  return promise;
}
