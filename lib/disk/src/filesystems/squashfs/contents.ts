// Contents of squashfs files: data blocks of one size each, compressed on their own, and a tail that may lie with those of other
// files in a fragment (squashfs.rst, sections 3.3 and 3.6).
import { BoundedMap, ParseError } from '@ringwall/bytes';
import { checkRange, windowOf, type ByteSource } from '../../source/byte-source.ts';
import type { Decompress } from '../../source/codecs.ts';
import { decompressBlock } from '../../source/decompress.ts';
import { checkReadLength } from '../run-source.ts';
import type { FilePlace } from './inode.ts';
import type { MetadataCursor } from './metadata.ts';
import type { NumberedTable } from './tables.ts';

/** Set in the size of a block that is stored as it is. */
const STORED = 0x100_0000;

/** Unpacked blocks that are kept: 16 MiB of the largest there are. */
const CACHED_BLOCKS = 16;

/** Blocks of one file, whose places are kept in memory once they were read: 256 GiB in blocks of 128 KiB. */
const MAX_BLOCKS = 2 ** 21;

export class SquashfsData {
  readonly #source: ByteSource;
  readonly #decompress: Decompress;
  readonly #fragments: NumberedTable;
  readonly #cache = new BoundedMap<number, Uint8Array>(CACHED_BLOCKS);
  readonly #blockBytes: number;

  constructor(source: ByteSource, decompress: Decompress, fragments: NumberedTable, blockBytes: number) {
    this.#source = source;
    this.#decompress = decompress;
    this.#fragments = fragments;
    this.#blockBytes = blockBytes;
  }

  /** The `size` bytes of a file; `blockList` makes a cursor at the list of its blocks' sizes. */
  open({ start: firstStart, fragment }: FilePlace, size: number, blockList: () => MetadataCursor): ByteSource {
    const blockBytes = this.#blockBytes;
    const tail = fragment === undefined ? 0 : size % blockBytes;
    const count = Math.ceil((size - tail) / blockBytes);
    if (count > MAX_BLOCKS) {
      throw new ParseError(
        'limit',
        'file_size',
        blockList().position,
        `${size}: ${count} blocks, expected at most ${MAX_BLOCKS}`,
      );
    }
    const places = new BlockPlaces(firstStart, count, blockList);

    /** Bytes `start` to `end` of the block `index`, undefined where it is a hole. */
    const part = (index: number, start: number, end: number): Uint8Array | undefined => {
      const length = Math.min(blockBytes, size - index * blockBytes);
      if (fragment !== undefined && index >= count) return this.#tail(fragment, start, end);
      const word = places.sizeOf(index);
      if (word === 0) return undefined;
      const position = places.startOf(index);
      if ((word & STORED) !== 0) {
        checkBlockSize(word & ~STORED, length, position);
        return this.#source.read(position + start, end - start);
      }
      const bytes = this.#block(position, word);
      checkBlockSize(bytes.length, length, position);
      return bytes.subarray(start, end);
    };

    return {
      size,
      read(offset, length) {
        checkRange(offset, length, size, 'file');
        const first = Math.floor(offset / blockBytes);
        const within = offset - first * blockBytes;
        if (length > 0 && within + length <= blockBytes) {
          return part(first, within, within + length) ?? new Uint8Array(length);
        }
        checkReadLength(length, 'file');
        const bytes = new Uint8Array(length);
        for (let at = 0; at < length;) {
          const index = Math.floor((offset + at) / blockBytes);
          const start = offset + at - index * blockBytes;
          const end = Math.min(blockBytes, start + length - at);
          const piece = part(index, start, end);
          if (piece !== undefined) bytes.set(piece, at);
          at += end - start;
        }
        return bytes;
      },
      nextData(offset) {
        for (let index = Math.floor(offset / blockBytes); index * blockBytes < size; index += 1) {
          if (index < count && places.sizeOf(index) === 0) continue;
          const start = Math.max(offset, index * blockBytes);
          return { offset: start, length: Math.min((index + 1) * blockBytes, size) - start };
        }
        return undefined;
      },
    };
  }

  #tail(fragment: { readonly index: number; readonly offset: number }, start: number, end: number): Uint8Array {
    const entry = this.#fragments.entry(fragment.index);
    const position = entry.size('fragment start_block');
    const word = entry.u32();
    if ((word & STORED) !== 0) {
      const stored = windowOf(this.#source, position, word & ~STORED, 'fragment');
      return stored.read(fragment.offset + start, end - start);
    }
    const bytes = this.#block(position, word);
    if (fragment.offset + end > bytes.length) {
      const needed = `needs ${end} bytes at ${fragment.offset}, expected at most ${bytes.length}`;
      throw new ParseError('truncated', 'fragment', position, needed);
    }
    return bytes.subarray(fragment.offset + start, fragment.offset + end);
  }

  #block(position: number, stored: number): Uint8Array {
    const known = this.#cache.get(position);
    if (known !== undefined) return known;
    if (stored > this.#blockBytes) {
      throw new ParseError('invalid', 'block size', position, `${stored}, expected at most ${this.#blockBytes}`);
    }
    const raw = this.#source.read(position, stored);
    const bytes = decompressBlock(this.#decompress, raw, this.#blockBytes, 'data block', position);
    this.#cache.set(position, bytes);
    return bytes;
  }
}

function checkBlockSize(bytes: number, expected: number, position: number): void {
  if (bytes < expected)
    throw new ParseError('truncated', 'data block', position, `has ${bytes} bytes, expected ${expected}`);
}

/** Where the blocks of a file lie: each follows the one before, so the list is read as far as somebody asks. */
class BlockPlaces {
  readonly #count: number;
  readonly #list: () => MetadataCursor;
  readonly #starts: number[] = [];
  readonly #sizes: number[] = [];
  #cursor: MetadataCursor | undefined;
  #next: number;

  constructor(start: number, count: number, list: () => MetadataCursor) {
    this.#next = start;
    this.#count = count;
    this.#list = list;
  }

  sizeOf(index: number): number {
    this.#readTo(index);
    return this.#sizes[index] ?? 0;
  }

  startOf(index: number): number {
    this.#readTo(index);
    return this.#starts[index] ?? 0;
  }

  #readTo(index: number): void {
    if (index < this.#starts.length) return;
    this.#cursor ??= this.#list();
    while (this.#starts.length <= index && this.#starts.length < this.#count) {
      const word = this.#cursor.u32();
      this.#starts.push(this.#next);
      this.#sizes.push(word);
      this.#next += word & ~STORED;
    }
  }
}
