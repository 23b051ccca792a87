// Opens a sealed object as it comes. What it gives is authentic the moment it is given: its place too, and that nothing before it
// is missing. Only the end says that nothing after it is: whoever must not act on a part waits for that.
import { Cursor, equalBytes } from '@ringwall/bytes';
import { ByteReader, type ByteStream } from './byte-reader.ts';
import { derive, openEnvelope, type Opener } from './envelope.ts';
import { headLeafOf, readHead } from './layout.ts';
import { bindingOf, parseManifest, type Manifest } from './manifest.ts';
import { leafOf, MerkleTree } from './merkle-tree.ts';
import { RecordCipher } from './records.ts';
import { CHUNKS_UNDER_WAY } from './sealing.ts';
import { SealError } from './seal-error.ts';
import { readRecords, type StoredRecord } from './stored-records.ts';

export type Piece =
  | { readonly kind: 'data'; readonly bytes: Uint8Array }
  /** A hole: so many zeros, which a file need not store. */
  | { readonly kind: 'zeros'; readonly length: number };

export interface OpenOptions {
  readonly openers: readonly Opener[];
  /** Zstandard; at most `atMost` bytes come out. */
  readonly decompress?: (bytes: Uint8Array, atMost: number) => Promise<Uint8Array>;
  /** Of the tree, where the caller has kept it: another object, also an older one with the same key, is refused. */
  readonly root?: Uint8Array;
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
    const { envelope, manifest: rendered } = await readHead(reader);
    const binding = await bindingOf(rendered);
    const manifest = parseManifest(rendered);
    if (manifest.compression !== 'none' && options.decompress === undefined) {
      throw new SealError('needs-codec', `compressed by ${manifest.compression}, which was not given`);
    }
    const dataKey = await openEnvelope(envelope, options.openers, binding);
    const cipher = await RecordCipher.create(await derive(dataKey, 'content', binding), manifest, binding);
    const contents = new Opening(reader, { manifest, rendered, cipher, options }).contents();
    return { manifest, contents };
  } catch (error) {
    await reader.close();
    throw error;
  }
}

interface Use {
  readonly manifest: Manifest;
  readonly rendered: Uint8Array;
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
  readonly #underWay: UnderWay[] = [];
  /** Bytes of the contents that were given. */
  #given = 0;
  /** Whether a chunk of zeros is due, whose length only what follows says. */
  #owesZeros = false;

  constructor(reader: ByteReader, use: Use) {
    this.#reader = reader;
    this.#use = use;
  }

  async *contents(): AsyncGenerator<Piece, void> {
    const { manifest, rendered } = this.#use;
    const tree = new MerkleTree();
    try {
      await tree.add(await leafOf(...headLeafOf(rendered)));
      for await (const record of readRecords(this.#reader, manifest)) {
        if (record.header.type === 'end') {
          yield* this.#give(0);
          yield* this.#end(record, await tree.root());
          return;
        }
        await tree.add(record.digest);
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
    const { chunkBytes } = this.#use.manifest;
    while (this.#underWay.length > atMost) {
      const next = this.#underWay.shift();
      if (next === undefined) return;
      const { record, plaintext } = next;
      const bytes = await plaintext;
      if (this.#owesZeros) yield this.#zeros(chunkBytes);
      this.#owesZeros = record.header.type === 'zeros';
      if (this.#given !== record.index * chunkBytes) throw altered(record, 'follows a chunk that was the last');
      if (!this.#owesZeros) {
        this.#given += bytes.length;
        yield { kind: 'data', bytes };
      } else if (record.header.chunks > 1) {
        yield this.#zeros((record.header.chunks - 1) * chunkBytes);
      }
    }
  }

  async *#end(record: StoredRecord, root: Uint8Array): AsyncGenerator<Piece, void> {
    const { manifest, cipher, options } = this.#use;
    const { headerBytes, index, ciphertext, digest, offset } = record;
    const plaintext = await cipher.open(headerBytes, index, ciphertext, digest);
    if (plaintext === undefined) throw altered(record, 'is not the end that was sealed');
    if (!equalBytes(root, digest)) throw altered(record, 'has another tree than the digests before it');
    if (options.root !== undefined && !equalBytes(root, options.root)) {
      throw new SealError('altered', 'it is another object than the one whose root was given', { offset });
    }
    const total = Number(new Cursor(plaintext).u64be('bytes'));
    const left = total - this.#given;
    if (left < 0 || left > (this.#owesZeros ? manifest.chunkBytes : 0) || (this.#owesZeros && left === 0)) {
      throw altered(record, `says ${total} bytes, and ${this.#given} came`);
    }
    if (manifest.bytes !== null && manifest.bytes !== total)
      throw altered(record, 'says another length than the manifest');
    if (this.#owesZeros) yield this.#zeros(left);
  }

  async #plaintextOf(record: StoredRecord): Promise<Uint8Array> {
    const { manifest, cipher, options } = this.#use;
    const { header, headerBytes, index, ciphertext } = record;
    const plaintext = await cipher.open(headerBytes, index, ciphertext);
    if (plaintext === undefined) throw altered(record, 'is not what was sealed there');
    if (header.type !== 'compressed' || options.decompress === undefined) return plaintext;
    const bytes = await options.decompress(plaintext, manifest.chunkBytes);
    if (bytes.length === 0 || bytes.length > manifest.chunkBytes) throw altered(record, 'unpacks to no chunk');
    return bytes;
  }

  #zeros(length: number): Piece {
    this.#given += length;
    return { kind: 'zeros', length };
  }
}

function altered({ offset, index, header }: StoredRecord, why: string): SealError {
  const what = header.type === 'end' ? 'the end' : `the record of chunk ${index}`;
  return new SealError('altered', `${what}, at byte ${offset}, ${why}`, { offset });
}
