// The tables of squashfs that are looked up by number: ids, fragments, exported inodes (squashfs.rst, sections 3.5 to 3.7). Each
// is a list of places of metadata blocks, in clear, and in those blocks entries of one width.
import { ParseError } from '@ringwall/bytes';
import type { ByteSource } from '../../source/byte-source.ts';
import { METADATA_BYTES, type MetadataBlocks, type MetadataCursor } from './metadata.ts';

const POINTER_BYTES = 8;

export class NumberedTable {
  readonly #source: ByteSource;
  readonly #blocks: MetadataBlocks;
  readonly #start: number;
  readonly #count: number;
  readonly #entryBytes: number;
  readonly #field: string;

  /** `start`: where the list of places lies; undefined for a table that the image does not have. */
  constructor(
    source: ByteSource,
    blocks: MetadataBlocks,
    table: {
      readonly start: number | undefined;
      readonly count: number;
      readonly entryBytes: number;
      readonly field: string;
    },
  ) {
    this.#source = source;
    this.#blocks = blocks;
    this.#start = table.start ?? 0;
    this.#count = table.start === undefined ? 0 : table.count;
    this.#entryBytes = table.entryBytes;
    this.#field = table.field;
  }

  /** A cursor at entry `index`. */
  entry(index: number): MetadataCursor {
    if (index >= this.#count) {
      throw new ParseError('invalid', this.#field, this.#start, `entry ${index}, expected fewer than ${this.#count}`);
    }
    const at = index * this.#entryBytes;
    const pointer = this.#source.read(this.#start + Math.floor(at / METADATA_BYTES) * POINTER_BYTES, POINTER_BYTES);
    const view = new DataView(pointer.buffer, pointer.byteOffset, POINTER_BYTES);
    const position = view.getUint32(0, true) + view.getUint32(4, true) * 2 ** 32;
    return this.#blocks.cursor(position, at % METADATA_BYTES);
  }
}
