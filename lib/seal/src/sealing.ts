// Seals a stream as it comes: some chunks are encrypted while the next are read, and none is held longer than that.
import { toHex, Writer } from '@ringwall/bytes';
import { ByteReader, type ByteStream } from './byte-reader.ts';
import { leafOf, MerkleTree, type Digest } from './merkle-tree.ts';
import { beginObject, type ObjectKeys, type ObjectOptions } from './object-head.ts';
import { PAGE_BYTES, packPages, runsOf, type IsKept, type Run } from './pages.ts';
import { RecordCipher } from './record-cipher.ts';
import { renderHeader, TAG_BYTES, type RecordType } from './records.ts';
import { SealError } from './seal-error.ts';

/** Chunks under way: enough for the threads of a pool, at some megabytes each. */
export const CHUNKS_UNDER_WAY = 8;

export interface SealOptions extends ObjectOptions {
  /** Zstandard. Sizes then tell of the contents: not for memory of machines. */
  readonly compress?: (chunk: Uint8Array) => Promise<Uint8Array>;
  /** Which pages of 4 KiB are as in the parent, by their numbers in the contents: nothing of them is stored. Needs `parent`. */
  readonly isKept?: IsKept;
  /** A faster BLAKE3 than the one that is here, where the caller has one. */
  readonly digest?: Digest;
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
  const { compress, digest } = options;
  const isKept = options.parent === undefined ? undefined : options.isKept;
  const { head, ...keys } = await beginObject(options, compress === undefined ? 'none' : 'zstd');
  const { manifest } = keys;
  yield head;

  const sealer = await Sealer.create(keys, digest);
  const reader = new ByteReader(contents);
  const underWay: Promise<SealedRecord>[] = [];
  const written = async function* (atMost: number): AsyncGenerator<Uint8Array> {
    while (underWay.length > atMost) {
      const next = await underWay.shift();
      if (next !== undefined) yield* sealer.place(next);
    }
  };
  let index = 0;
  let total = 0;
  let empty: { readonly kind: 'zeros' | 'kept'; chunks: number } | undefined;
  try {
    for (;;) {
      const chunk = await reader.upTo(manifest.chunkBytes);
      const runs = runsOf(chunk, (index * manifest.chunkBytes) / PAGE_BYTES, isKept);
      const kind = emptinessOf(runs);
      if (empty !== undefined && empty.kind !== kind) {
        underWay.push(settled(sealer.seal(empty.kind, empty.chunks, index - empty.chunks)));
        empty = undefined;
      }
      if (chunk.length === 0) break;
      if (kind !== undefined) empty = { kind, chunks: (empty?.chunks ?? 0) + 1 };
      else underWay.push(settled(sealer.chunk(index, chunk, { runs, compress })));
      index += 1;
      total += chunk.length;
      yield* written(CHUNKS_UNDER_WAY - 1);
    }
    yield* written(0);
    if (manifest.bytes !== null && total !== manifest.bytes) {
      throw new SealError(
        'limit',
        `${total} bytes came, and ${manifest.bytes} were said: what was written is no object`,
      );
    }
  } finally {
    await reader.close();
    await Promise.allSettled(underWay);
  }
  const { pieces, root } = await sealer.end(total);
  yield* pieces;
  return { object: manifest.object, bytes: total, root: toHex(root) };
}

/** What a chunk is that stores nothing; undefined for one that does. */
export function emptinessOf(runs: readonly Run[]): 'zeros' | 'kept' | undefined {
  const [first] = runs;
  return runs.length === 1 && first !== undefined && first.kind !== 'data' ? first.kind : undefined;
}

interface SealedRecord {
  /** Header and ciphertext. */
  readonly record: readonly Uint8Array[];
  readonly leaf: Uint8Array;
}

class Sealer {
  readonly #cipher: RecordCipher;
  readonly #chunkBytes: number;
  readonly #tree: MerkleTree = new MerkleTree();

  readonly #digest: Digest | undefined;

  private constructor(cipher: RecordCipher, { manifest, headLeaf }: ObjectKeys, digest: Digest | undefined) {
    this.#cipher = cipher;
    this.#digest = digest;
    this.#chunkBytes = manifest.chunkBytes;
    this.#tree.add(headLeaf);
  }

  static async create(keys: ObjectKeys, digest: Digest | undefined): Promise<Sealer> {
    return new Sealer(await RecordCipher.create(keys.contentKey, keys.manifest, keys.binding), keys, digest);
  }

  async chunk(
    index: number,
    chunk: Uint8Array,
    { runs, compress }: { readonly runs: readonly Run[]; readonly compress: SealOptions['compress'] },
  ): Promise<SealedRecord> {
    const type = recordTypeOf(runs, { isWhole: chunk.length === this.#chunkBytes, compresses: compress !== undefined });
    if (type === 'pages') return this.seal('pages', 1, index, packPages(chunk, runs));
    const smaller = await compress?.(chunk);
    if (smaller !== undefined && smaller.length < chunk.length) return this.seal('compressed', 1, index, smaller);
    return this.seal('data', 1, index, chunk);
  }

  async *place({ record, leaf }: SealedRecord): AsyncGenerator<Uint8Array> {
    this.#tree.add(leaf);
    yield* record;
    yield leaf;
  }

  async end(total: number): Promise<{ readonly pieces: readonly Uint8Array[]; readonly root: Uint8Array }> {
    const root = this.#tree.root();
    const plaintext = new Writer().u64be(BigInt(total)).finish();
    const header = headerOf('end', 0, plaintext);
    const index = Math.ceil(total / this.#chunkBytes);
    return { pieces: [header, root, await this.#cipher.seal(header, index, plaintext, root)], root };
  }

  async seal(type: RecordType, chunks: number, index: number, plaintext: Uint8Array = NOTHING): Promise<SealedRecord> {
    const header = headerOf(type, chunks, plaintext);
    const record = [header, await this.#cipher.seal(header, index, plaintext)];
    return { record, leaf: leafOf(record, this.#digest) };
  }
}

const NOTHING: Uint8Array = new Uint8Array();

/**
 * How a chunk with data is stored. A compressor sees to zeros itself; what is as in the parent, only pages can say; and of the last
 * chunk, where it is a short one, only its data says how long it is.
 */
export function recordTypeOf(
  runs: readonly Run[],
  { isWhole, compresses }: { readonly isWhole: boolean; readonly compresses: boolean },
): 'data' | 'pages' {
  const hasKept = runs.some(({ kind }) => kind === 'kept');
  return isWhole && runs.length > 1 && (hasKept || !compresses) ? 'pages' : 'data';
}

function headerOf(type: RecordType, chunks: number, plaintext: Uint8Array): Uint8Array<ArrayBuffer> {
  return renderHeader({ type, chunks, bytes: plaintext.length + TAG_BYTES });
}

/** A failure is told when its turn comes, not as a rejection that nobody has looked at yet. */
function settled<Value>(promise: Promise<Value>): Promise<Value> {
  promise.catch(() => undefined);
  return promise;
}
