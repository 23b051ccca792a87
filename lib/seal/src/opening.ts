// Opens a sealed object as it comes. What it gives is authentic the moment it is given: its place too, and that nothing before it
// is missing. Only the end says that nothing after it is: whoever must not act on a part waits for that.
import { equalBytes } from '@ringwall/bytes';
import { ByteReader, type ByteStream } from './byte-reader.ts';
import type { Opener } from './envelope.ts';
import { judgeEnd } from './end.ts';
import type { Manifest } from './manifest.ts';
import { leafOf, MerkleTree, type Digest } from './merkle-tree.ts';
import { openHead, type ObjectKeys } from './object-head.ts';
import { unpackPages, type Run } from './pages.ts';
import { RecordCipher } from './record-cipher.ts';
import { CHUNKS_UNDER_WAY } from './sealing.ts';
import { SealError } from './seal-error.ts';
import { altered, readRecords, type StoredRecord } from './stored-records.ts';

export type Piece =
  | { readonly kind: 'data'; readonly bytes: Uint8Array }
  /** A hole: so many zeros, which a file need not store. */
  | { readonly kind: 'zeros'; readonly length: number }
  /** So many bytes as in the parent, at the same place. */
  | { readonly kind: 'kept'; readonly length: number };

export interface OpenOptions {
  readonly openers: readonly Opener[];
  /** Zstandard; at most `atMost` bytes come out. */
  readonly decompress?: (bytes: Uint8Array, atMost: number) => Promise<Uint8Array>;
  /** Of the tree, where the caller has kept it: another object, also an older one with the same key, is refused. */
  readonly root?: Uint8Array;
  /** A faster BLAKE3 than the one that is here, where the caller has one. */
  readonly digest?: Digest;
}

export interface OpenedObject {
  readonly manifest: Manifest;
  /** To be read once, to its end. Throws SealError. */
  readonly contents: AsyncGenerator<Piece, void>;
}

/** Throws SealError before anything is read but its head. */
export async function openSealed(sealed: ByteStream, options: OpenOptions): Promise<OpenedObject> {
  const reader = new ByteReader(sealed);
  try {
    const keys = await openHead(reader, options.openers);
    const { manifest } = keys;
    if (manifest.compression !== 'none' && options.decompress === undefined) {
      throw new SealError('needs-codec', `compressed by ${manifest.compression}, which was not given`);
    }
    const cipher = await RecordCipher.create(keys.contentKey, manifest, keys.binding);
    const contents = new Opening(reader, { keys, cipher, options }).contents();
    return { manifest, contents };
  } catch (error) {
    await reader.close();
    throw error;
  }
}

interface Use {
  readonly keys: ObjectKeys;
  readonly cipher: RecordCipher;
  readonly options: OpenOptions;
}

interface UnderWay {
  readonly record: StoredRecord;
  readonly plaintext: Promise<Uint8Array>;
}

class Opening {
  readonly #reader: ByteReader;
  readonly #use: Use;
  readonly #manifest: Manifest;
  readonly #underWay: UnderWay[] = [];
  /** Bytes of the contents that were given. */
  #given = 0;
  /** What a chunk is that is due, and whose length only what follows says. */
  #owed: 'zeros' | 'kept' | undefined;

  constructor(reader: ByteReader, use: Use) {
    this.#reader = reader;
    this.#use = use;
    this.#manifest = use.keys.manifest;
  }

  async *contents(): AsyncGenerator<Piece, void> {
    const tree = new MerkleTree();
    try {
      tree.add(this.#use.keys.headLeaf);
      for await (const record of readRecords(this.#reader, this.#manifest)) {
        if (record.header.type === 'end') {
          yield* this.#give(0);
          yield* this.#end(record, tree.root());
          return;
        }
        tree.add(record.digest);
        const plaintext = this.#plaintextOf(record);
        // A failure is told in its turn.
        plaintext.catch(() => undefined);
        this.#underWay.push({ record, plaintext });
        yield* this.#give(CHUNKS_UNDER_WAY - 1);
      }
    } finally {
      await this.#reader.close();
      await Promise.allSettled(this.#underWay.map(({ plaintext }) => plaintext));
    }
  }

  /** In order, until so many are under way. */
  async *#give(atMost: number): AsyncGenerator<Piece, void> {
    const { chunkBytes } = this.#manifest;
    while (this.#underWay.length > atMost) {
      const next = this.#underWay.shift();
      if (next === undefined) return;
      const { record, plaintext } = next;
      const { type, chunks } = record.header;
      const bytes = await plaintext;
      if (this.#owed !== undefined) yield this.#without(this.#owed, chunkBytes);
      if (this.#given !== record.index * chunkBytes) throw altered(record, 'follows a chunk that was the last');
      this.#owed = type === 'zeros' || type === 'kept' ? type : undefined;
      if (this.#owed === undefined) {
        yield* this.#pieces(record, bytes);
      } else if (chunks > 1) {
        yield this.#without(this.#owed, (chunks - 1) * chunkBytes);
      }
    }
  }

  *#pieces(record: StoredRecord, bytes: Uint8Array): Generator<Piece, void> {
    if (record.header.type !== 'pages') {
      this.#given += bytes.length;
      yield { kind: 'data', bytes };
      return;
    }
    const runs = unpackPages(bytes, this.#manifest.chunkBytes);
    if (runs === undefined || (this.#manifest.parent === null && runs.some(isKept))) {
      throw altered(record, 'has no map of its pages');
    }
    for (const run of runs) {
      if (run.kind !== 'data') {
        yield this.#without(run.kind, run.length);
      } else {
        this.#given += run.length;
        yield { kind: 'data', bytes: run.bytes };
      }
    }
  }

  async *#end(record: StoredRecord, root: Uint8Array): AsyncGenerator<Piece, void> {
    const { headerBytes, index, ciphertext, digest } = record;
    const plaintext = await this.#use.cipher.open(headerBytes, index, ciphertext, digest);
    const { left } = judgeEnd(record, {
      ...{ plaintext, root, manifest: this.#manifest, given: this.#given, owes: this.#owed !== undefined },
      ...{ expectedRoot: this.#use.options.root },
    });
    if (this.#owed !== undefined) yield this.#without(this.#owed, left);
  }

  async #plaintextOf(record: StoredRecord): Promise<Uint8Array> {
    const { cipher, options } = this.#use;
    const { header, headerBytes, index, ciphertext, digest } = record;
    const plaintext = await cipher.open(headerBytes, index, ciphertext);
    if (plaintext === undefined) throw altered(record, 'is not what was sealed there');
    // The tag is right for whoever has the key; what the root is of, only the digest says.
    if (options.root !== undefined && !equalBytes(leafOf([headerBytes, ciphertext], options.digest), digest)) {
      throw altered(record, 'is not what its digest says');
    }
    if (header.type !== 'compressed' || options.decompress === undefined) return plaintext;
    const { chunkBytes } = this.#manifest;
    const bytes = await options.decompress(plaintext, chunkBytes);
    if (bytes.length === 0 || bytes.length > chunkBytes) throw altered(record, 'unpacks to no chunk');
    return bytes;
  }

  #without(kind: 'zeros' | 'kept', length: number): Piece {
    this.#given += length;
    return { kind, length };
  }
}

function isKept({ kind }: Run): boolean {
  return kind === 'kept';
}
