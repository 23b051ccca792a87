// Extended attributes of squashfs (squashfs.rst, section 3.8): inodes that have the same set share one entry of a table.
import { Cursor, ParseError } from '@ringwall/bytes';
import type { ByteSource } from '../../source/byte-source.ts';
import { decodeFileName } from '../file-name.ts';
import type { MetadataBlocks } from './metadata.ts';
import { parseInodeReference } from './superblock.ts';
import { NumberedTable } from './tables.ts';

const ENTRY_BYTES = 16;
const HEADER_BYTES = 16;
const PREFIXES = ['user.', 'trusted.', 'security.'] as const;

/** The value lies elsewhere: one that several sets share. */
const OUT_OF_LINE = 0x100;

/** Bytes of one value (XATTR_SIZE_MAX of Linux). */
const MAX_VALUE_BYTES = 65_536;

/** Bytes of all values of one node: entries of a table may share one value, so that a small image could ask for gigabytes. */
const MAX_NODE_BYTES = 8 * 2 ** 20;

/** Attributes of one node: those of 64 KiB of names and values (XATTR_LIST_MAX of Linux) at the shortest. */
const MAX_ATTRIBUTES = 16_384;

export class SquashfsXattrs {
  readonly #blocks: MetadataBlocks;
  readonly #table: NumberedTable;
  /** Where the blocks of names and values begin. */
  readonly #start: number;

  constructor(source: ByteSource, blocks: MetadataBlocks, tableStart: number) {
    const header = new Cursor(source.read(tableStart, HEADER_BYTES), tableStart);
    const start = header.u64le('xattr_table_start');
    const count = header.u32le('xattr_ids');
    if (start >= BigInt(source.size)) throw header.error('invalid', 'xattr_table_start', `${start}, beyond the image`);
    this.#start = Number(start);
    this.#blocks = blocks;
    const table = { start: tableStart + HEADER_BYTES, count, entryBytes: ENTRY_BYTES, field: 'xattr_ids' };
    this.#table = new NumberedTable(source, blocks, table);
  }

  at(index: number): ReadonlyMap<string, Uint8Array> {
    const entry = this.#table.entry(index);
    const reference = parseInodeReference(entry.u64(), 'xattr', entry.position);
    const count = entry.u32();
    if (count > MAX_ATTRIBUTES) {
      throw new ParseError('limit', 'xattr count', entry.position, `${count}, expected at most ${MAX_ATTRIBUTES}`);
    }
    const attributes = new Map<string, Uint8Array>();
    let bytes = 0;
    if (count === 0) return attributes;
    const cursor = this.#blocks.cursor(this.#start + reference.block, reference.offset);
    for (let read = 0; read < count; read += 1) {
      const type = cursor.u16();
      const prefix = PREFIXES[type & 0xff];
      if (prefix === undefined)
        throw new ParseError('unsupported', 'xattr type', cursor.position, `${type}, expected 0..2`);
      const name = prefix + decodeFileName(cursor.take(cursor.u16()));
      const value = this.#value(cursor, (type & OUT_OF_LINE) !== 0);
      bytes += value.length;
      if (bytes > MAX_NODE_BYTES) {
        throw new ParseError('limit', 'xattr size', cursor.position, `more than ${MAX_NODE_BYTES} bytes of one node`);
      }
      attributes.set(name, value);
    }
    return attributes;
  }

  #value(cursor: ReturnType<MetadataBlocks['cursor']>, outOfLine: boolean): Uint8Array {
    const size = cursor.u32();
    if (size > MAX_VALUE_BYTES) {
      throw new ParseError('limit', 'xattr vsize', cursor.position, `${size}, expected at most ${MAX_VALUE_BYTES}`);
    }
    if (!outOfLine) return cursor.take(size);
    const reference = parseInodeReference(cursor.u64(), 'xattr value', cursor.position);
    return this.#value(this.#blocks.cursor(this.#start + reference.block, reference.offset), false);
  }
}
