// A tar archive read as it comes, chunk by chunk, without holding more than a header: the entries of a layer, their
// contents to whoever asks for them, and what about them is a trap. OCI Image Specification 1.1, "Image Layer Filesystem
// Changeset". Nothing is written anywhere.
import { ParseError } from '@ringwall/bytes';
import { MAX_PAX_BYTES, parsePax, paxNumber, type PaxRecords } from './pax.ts';
import {
  checkSparseMap,
  HoleFiller,
  MAX_HOLE_BYTES,
  MAX_SPARSE_PIECES,
  SparseMapReader,
  sparseMapOf,
  type SparsePiece,
} from './sparse-file.ts';
import { entryTypeOf, parseTarEntry, type EntryType, type TarEntry } from './tar-entry.ts';
import { BLOCK_BYTES, isZeroBlock, parseTarHeader, sparsePieces, type TarHeader } from './tar-header.ts';

/** An image of all of Debian has some; each is an object for whoever keeps them. */
export const MAX_ENTRIES = 4_000_000;
/** Layers that unpack to more are bombs; the largest honest ones, with models in them, have some 50 GB. */
export const MAX_UNPACKED_BYTES: number = 256 * 1024 ** 3;

/** Who reads the contents of an entry. */
export interface ContentSink {
  /** How many of the first bytes it wants; more may be given, and is passed over. */
  readonly bytes: number;
  readonly take: (chunk: Uint8Array) => void;
}

export interface TarVisitor {
  /** What it gives back gets the contents as they would be unpacked, holes as zeros. */
  readonly entry: (entry: TarEntry) => ContentSink | undefined;
}

export interface TarReader {
  /** Chunks of any size, in order. Throws ParseError. */
  readonly push: (chunk: Uint8Array) => void;
  /** Throws ParseError where the archive is not over. */
  readonly end: () => void;
}

/** What one record may say for all entries that follow. A path or a size for all of them would be a trap. */
const GLOBAL_KEYS: readonly string[] = ['uid', 'gid', 'uname', 'gname', 'mtime'];
const NEVER_GLOBAL: readonly string[] = ['path', 'linkpath', 'size', 'GNU.sparse.name', 'GNU.sparse.realsize'];
const decoder: TextDecoder = new TextDecoder('utf-8');

export function openTarReader(visitor: TarVisitor): TarReader {
  const reader = new Reader(visitor);
  return { push: (chunk) => reader.push(chunk), end: () => reader.end() };
}

type Expecting =
  | { readonly what: 'header' }
  | { readonly what: 'metadata'; readonly header: TarHeader; readonly bytes: Uint8Array; filled: number }
  /** Blocks of the old format of GNU tar, before the entry. */
  | { readonly what: 'sparse-map'; readonly header: TarHeader; readonly pieces: SparsePiece[] }
  /** Of version 1.0: the beginning of what is stored. */
  | { readonly what: 'sparse-text'; readonly map: SparseMapReader; readonly entry: TarEntry; readonly sink: Sink }
  | { readonly what: 'content' }
  | { readonly what: 'padding'; left: number }
  | { readonly what: 'nothing' };

type Sink = ContentSink | undefined;

const CONTENT_TYPES: readonly EntryType[] = ['file', 'hardlink', 'other'];
const HEADER: Expecting = { what: 'header' };
const CONTENT: Expecting = { what: 'content' };
/** Of an extension block: after its pieces stands whether another one follows. */
const PIECES_OF_A_BLOCK = 21;
const IS_CONTINUED_OFFSET = 504;

class Reader {
  readonly #visitor: TarVisitor;
  readonly #block: Uint8Array = new Uint8Array(BLOCK_BYTES);
  #filled = 0;
  #expecting: Expecting = { what: 'header' };
  #offset = 0;
  #entries = 0;
  #unpackedBytes = 0;
  #zeroBlocks = 0;
  /** Of extended headers since the last entry. */
  #metadataBytes = 0;
  /** Of the entry whose contents come: what is stored and was not read yet, what its padding is counted from, and who reads them. */
  #left = 0;
  #stored = 0;
  #take: ((chunk: Uint8Array) => void) | undefined;
  #filler: HoleFiller | undefined;
  /** Of all entries, as they were given. */
  #holeBytes = 0;
  /** For all entries that follow (`g`), and for the next one alone (`x`, `L`, `K`). */
  #global: Map<string, string> = new Map();
  #next: Map<string, string> = new Map();

  constructor(visitor: TarVisitor) {
    this.#visitor = visitor;
  }

  push(chunk: Uint8Array): void {
    let at = 0;
    while (at < chunk.length) {
      const taken = this.#pass(chunk, at);
      at += taken;
      this.#offset += taken;
    }
  }

  end(): void {
    const { what } = this.#expecting;
    // Some writers leave the blocks of zeros out; none ends within an entry.
    if (what === 'nothing' || (what === 'header' && this.#filled === 0 && this.#next.size === 0)) return;
    throw new ParseError('truncated', 'archive', this.#offset, `ends where ${what} should go on`);
  }

  /** How many bytes of `chunk`, from `at` on, are done with. */
  #pass(chunk: Uint8Array, at: number): number {
    const state = this.#expecting;
    switch (state.what) {
      case 'header':
      case 'sparse-map':
      case 'sparse-text':
        return this.#passBlock(chunk, at, state);
      case 'content': {
        const part = Math.min(chunk.length - at, this.#left);
        this.#take?.(chunk.subarray(at, at + part));
        this.#left -= part;
        if (this.#left === 0) this.#endEntry();
        return part;
      }
      case 'padding': {
        const skipped = Math.min(chunk.length - at, state.left);
        state.left -= skipped;
        if (state.left === 0) this.#expecting = HEADER;
        return skipped;
      }
      case 'metadata': {
        const part = chunk.subarray(at, at + state.bytes.length - state.filled);
        state.bytes.set(part, state.filled);
        state.filled += part.length;
        if (state.filled === state.bytes.length) this.#keepMetadata(state.header, state.bytes);
        return part.length;
      }
      case 'nothing':
        // Archives are padded to the size of a tape's record.
        break;
    }
    return chunk.length - at;
  }

  #passBlock(
    chunk: Uint8Array,
    at: number,
    state: Expecting & { what: 'header' | 'sparse-map' | 'sparse-text' },
  ): number {
    // Nearly all blocks lie whole in a chunk: those are read where they are.
    const isWhole = this.#filled === 0 && chunk.length - at >= BLOCK_BYTES;
    const part = chunk.subarray(at, at + BLOCK_BYTES - this.#filled);
    if (!isWhole) {
      this.#block.set(part, this.#filled);
      this.#filled += part.length;
      if (this.#filled < BLOCK_BYTES) return part.length;
      this.#filled = 0;
    }
    const block = isWhole ? part : this.#block;
    if (state.what === 'header') this.#readHeader(block);
    else if (state.what === 'sparse-map') this.#readSparseMap(block, state);
    else this.#readSparseText(block, state);
    return part.length;
  }

  #readHeader(block: Uint8Array): void {
    if (isZeroBlock(block)) {
      this.#zeroBlocks += 1;
      if (this.#zeroBlocks === 2) this.#expecting = { what: 'nothing' };
      return;
    }
    this.#zeroBlocks = 0;
    this.#entries += 1;
    if (this.#entries > MAX_ENTRIES) throw this.#error('limit', 'archive', `has more than ${MAX_ENTRIES} entries`);
    const header = parseTarHeader(block, this.#offset);
    if ('xgLK'.includes(header.typeflag)) {
      // Several may come before one entry.
      this.#metadataBytes += header.size;
      if (this.#metadataBytes > MAX_PAX_BYTES) {
        throw this.#error('limit', 'size', `${this.#metadataBytes} of extended headers, at most ${MAX_PAX_BYTES}`);
      }
      const bytes = new Uint8Array(header.size);
      this.#expecting = { what: 'metadata', header, bytes, filled: 0 };
      if (header.size === 0) this.#keepMetadata(header, bytes);
    } else if (header.typeflag === 'S' && header.gnu?.isExtended === true) {
      this.#expecting = { what: 'sparse-map', header, pieces: [...header.gnu.sparse] };
    } else {
      this.#startEntry(header, header.typeflag === 'S' ? (header.gnu?.sparse ?? []) : undefined);
    }
  }

  #readSparseMap(
    block: Uint8Array,
    { header, pieces }: { readonly header: TarHeader; readonly pieces: SparsePiece[] },
  ): void {
    pieces.push(...sparsePieces(block, 0, PIECES_OF_A_BLOCK, this.#offset));
    if (pieces.length > MAX_SPARSE_PIECES)
      throw this.#error('limit', 'sparse map', `has more than ${MAX_SPARSE_PIECES} pieces`);
    if (block[IS_CONTINUED_OFFSET] !== 1) this.#startEntry(header, pieces);
  }

  #readSparseText(
    block: Uint8Array,
    { map, entry, sink }: { readonly map: SparseMapReader; readonly entry: TarEntry; readonly sink: Sink },
  ): void {
    this.#left -= BLOCK_BYTES;
    const pieces = map.read(block);
    if (pieces !== undefined) this.#startContent(entry, sink, pieces);
    else if (this.#left < BLOCK_BYTES) throw this.#error('invalid', 'sparse map', 'goes beyond what is stored');
  }

  #keepMetadata(header: TarHeader, bytes: Uint8Array): void {
    if (header.typeflag === 'L' || header.typeflag === 'K') {
      const end = bytes.indexOf(0);
      this.#next.set(
        header.typeflag === 'L' ? 'path' : 'linkpath',
        decoder.decode(bytes.subarray(0, end < 0 ? bytes.length : end)),
      );
    } else {
      for (const [key, value] of parsePax(bytes, this.#offset)) this.#keepRecord(header.typeflag, key, value);
    }
    this.#skipPadding(header.size);
  }

  #keepRecord(typeflag: string, key: string, value: string): void {
    if (typeflag === 'x') this.#next.set(key, value);
    else if (NEVER_GLOBAL.includes(key)) throw this.#error('invalid', key, 'for all entries that follow');
    else if (GLOBAL_KEYS.includes(key)) this.#global.set(key, value);
  }

  /** `pieces` of the old format of GNU tar. */
  #startEntry(header: TarHeader, pieces: readonly SparsePiece[] | undefined): void {
    this.#metadataBytes = 0;
    const records: PaxRecords = this.#next.size === 0 ? this.#global : new Map([...this.#global, ...this.#next]);
    if (this.#next.size > 0) this.#next = new Map();
    const stored = paxNumber(records, 'size', this.#offset) ?? header.size;
    if (stored < 0) throw this.#error('invalid', 'size', `${stored}, expected a length`);
    const map = pieces ?? sparseMapOf(records, this.#offset);
    const entry = parseTarEntry(header, records, { stored, isSparse: map !== undefined }, this.#offset);
    this.#unpackedBytes += entry.bytes;
    if (this.#unpackedBytes > MAX_UNPACKED_BYTES)
      throw this.#error('limit', 'archive', `unpacks to more than ${MAX_UNPACKED_BYTES} bytes`);
    const sink = this.#visitor.entry(entry);
    // POSIX: links, devices and folders have no contents, whatever their size says; pax gives hard links theirs.
    const hasContent = CONTENT_TYPES.includes(entryTypeOf(header));
    this.#left = hasContent ? stored : 0;
    this.#stored = this.#left;
    if (map !== 'content') this.#startContent(entry, sink, map);
    else if (stored < BLOCK_BYTES) throw this.#error('invalid', 'sparse map', 'goes beyond what is stored');
    else this.#expecting = { what: 'sparse-text', map: new SparseMapReader(this.#offset), entry, sink };
  }

  #startContent(entry: TarEntry, sink: Sink, pieces: readonly SparsePiece[] | undefined): void {
    this.#filler = undefined;
    this.#take = undefined;
    if (pieces !== undefined) checkSparseMap(pieces, { size: entry.bytes, stored: this.#left }, this.#offset);
    if (sink !== undefined && sink.bytes > 0) {
      if (pieces === undefined) this.#take = sink.take;
      else {
        const filler = new HoleFiller(pieces, entry.bytes, sink.bytes, sink.take);
        this.#holeBytes += filler.holeBytes;
        if (this.#holeBytes > MAX_HOLE_BYTES)
          throw this.#error('limit', 'archive', `has more than ${MAX_HOLE_BYTES} bytes of holes to look at`);
        this.#filler = filler;
        this.#take = (chunk) => filler.take(chunk);
      }
    }
    this.#expecting = CONTENT;
    if (this.#left === 0) this.#endEntry();
  }

  #endEntry(): void {
    this.#filler?.end();
    this.#take = undefined;
    this.#filler = undefined;
    this.#skipPadding(this.#stored);
  }

  #skipPadding(stored: number): void {
    const padding = (BLOCK_BYTES - (stored % BLOCK_BYTES)) % BLOCK_BYTES;
    this.#expecting = padding === 0 ? HEADER : { what: 'padding', left: padding };
  }

  #error(code: 'limit' | 'invalid', field: string, detail: string): ParseError {
    return new ParseError(code, field, this.#offset, detail);
  }
}
