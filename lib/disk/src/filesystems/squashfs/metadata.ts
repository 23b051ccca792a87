// Metadata blocks of squashfs: inodes, directories and tables are cut into blocks of 8 KiB, each compressed on its own behind a
// header of two bytes (squashfs.rst, section 3.2 and following).
import { BoundedMap, ParseError } from '@ringwall/bytes';
import type { ByteSource } from '../../source/byte-source.ts';
import type { Decompress } from '../../source/codecs.ts';
import { decompressBlock } from '../../source/decompress.ts';

/** What a metadata block unpacks to; only the last one of a table is shorter. */
export const METADATA_BYTES = 8192;

/** Set in the header of a block that is stored as it is. */
const STORED = 0x8000;

/** 4 MiB of unpacked metadata: the inodes and directories of some 50,000 files. */
const CACHED_BLOCKS = 512;

interface MetadataBlock {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** Where the next block of the table begins. */
  readonly next: number;
}

export class MetadataBlocks {
  readonly #source: ByteSource;
  readonly #decompress: Decompress;
  readonly #cache = new BoundedMap<number, MetadataBlock>(CACHED_BLOCKS);

  constructor(source: ByteSource, decompress: Decompress) {
    this.#source = source;
    this.#decompress = decompress;
  }

  /** The block whose header lies at `position` of the image. */
  at(position: number): MetadataBlock {
    const known = this.#cache.get(position);
    if (known !== undefined) return known;
    const header = this.#source.read(position, 2);
    const word = (header[0] ?? 0) | ((header[1] ?? 0) << 8);
    const stored = word & ~STORED;
    if (stored === 0 || stored > METADATA_BYTES) {
      throw new ParseError('invalid', 'metadata block', position, `has ${stored} bytes, expected 1..${METADATA_BYTES}`);
    }
    const raw = this.#source.read(position + 2, stored);
    const bytes =
      (word & STORED) === 0 ? decompressBlock(this.#decompress, raw, METADATA_BYTES, 'metadata block', position) : raw;
    if (bytes.length === 0) throw new ParseError('invalid', 'metadata block', position, 'unpacks to nothing');
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const block = { bytes, view, next: position + 2 + stored };
    this.#cache.set(position, block);
    return block;
  }

  /** Reads on from byte `offset` of the block at `position`, through the blocks that follow. */
  cursor(position: number, offset: number): MetadataCursor {
    return new MetadataCursor(this, position, offset);
  }
}

/** Walks through metadata blocks as if they were one run of bytes. */
export class MetadataCursor {
  readonly #blocks: MetadataBlocks;
  #position: number;
  #block: MetadataBlock;
  #at: number;

  constructor(blocks: MetadataBlocks, position: number, offset: number) {
    this.#blocks = blocks;
    this.#position = position;
    this.#block = blocks.at(position);
    this.#at = offset;
    if (offset > this.#block.bytes.length) {
      const expected = `expected at most ${this.#block.bytes.length}`;
      throw new ParseError('invalid', 'metadata offset', position, `${offset}, ${expected}`);
    }
  }

  /** Where in the image the block lies that is being read: for errors. */
  get position(): number {
    return this.#position;
  }

  u16(): number {
    return this.#view(2, (view, at) => view.getUint16(at, true));
  }

  s16(): number {
    return this.#view(2, (view, at) => view.getInt16(at, true));
  }

  u32(): number {
    return this.#view(4, (view, at) => view.getUint32(at, true));
  }

  u64(): bigint {
    return this.#view(8, (view, at) => view.getBigUint64(at, true));
  }

  /** A count of bytes, or a place in the image. */
  size(field: string): number {
    const value = this.u64();
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) {
      throw new ParseError('limit', field, this.#position, `${value}, expected at most ${Number.MAX_SAFE_INTEGER}`);
    }
    return Number(value);
  }

  /** The next `length` bytes: at most some KiB, by the width of every length field that leads here. */
  take(length: number): Uint8Array {
    if (length <= this.#block.bytes.length - this.#at) {
      this.#at += length;
      return this.#block.bytes.subarray(this.#at - length, this.#at);
    }
    const bytes = new Uint8Array(length);
    for (let filled = 0; filled < length;) {
      if (this.#at >= this.#block.bytes.length) this.#advance();
      const part = this.#block.bytes.subarray(this.#at, this.#at + length - filled);
      bytes.set(part, filled);
      filled += part.length;
      this.#at += part.length;
    }
    return bytes;
  }

  skip(length: number): void {
    this.#at += length;
    while (this.#at > this.#block.bytes.length) {
      const over = this.#at - this.#block.bytes.length;
      this.#advance();
      this.#at = over;
    }
  }

  #view<T>(length: number, read: (view: DataView, at: number) => T): T {
    if (length <= this.#block.bytes.length - this.#at) {
      this.#at += length;
      return read(this.#block.view, this.#at - length);
    }
    const bytes = this.take(length);
    return read(new DataView(bytes.buffer, bytes.byteOffset, length), 0);
  }

  #advance(): void {
    const next = this.#block.next;
    this.#block = this.#blocks.at(next);
    this.#position = next;
    this.#at = 0;
  }
}
