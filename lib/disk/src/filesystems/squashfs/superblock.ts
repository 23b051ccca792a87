// The squashfs 4.0 superblock (Linux, Documentation/filesystems/squashfs.rst, section 3), checked.
import { Cursor, ParseError } from '@ringwall/bytes';
import type { ByteSource } from '../../source/byte-source.ts';
import type { CodecName } from '../../source/decompress.ts';

const SUPERBLOCK_BYTES = 96;
const MAGIC = 0x7371_7368;

/** Block sizes that the format allows: 4 KiB to 1 MiB. */
const MIN_BLOCK_LOG = 12;
const MAX_BLOCK_LOG = 20;

/** A table that is not there. */
const ABSENT = 0xffff_ffff_ffff_ffffn;

const COMPRESSION_TO_CODEC: readonly (CodecName | undefined)[] = [
  undefined,
  'zlib',
  'lzma',
  'lzo',
  'xz',
  'lz4',
  'zstd',
];

export interface SquashfsSuperblock {
  readonly inodeCount: number;
  readonly modifiedAt: number;
  readonly blockBytes: number;
  readonly blockLog: number;
  readonly fragmentCount: number;
  readonly codec: CodecName;
  readonly idCount: number;
  /** Where the root's inode begins: see `InodeReference`. */
  readonly rootReference: InodeReference;
  readonly bytesUsed: number;
  readonly idTable: number;
  readonly xattrTable: number | undefined;
  readonly inodeTable: number;
  readonly directoryTable: number;
  readonly fragmentTable: number | undefined;
  readonly exportTable: number | undefined;
}

/** A place in a table of metadata blocks: the block, from the table's start, and a byte of what it unpacks to. */
export interface InodeReference {
  readonly block: number;
  readonly offset: number;
}

export function parseSquashfsSuperblock(source: ByteSource): SquashfsSuperblock {
  const cursor = new Cursor(source.read(0, SUPERBLOCK_BYTES));
  const magic = cursor.u32le('s_magic');
  if (magic !== MAGIC) throw new ParseError('invalid', 's_magic', 0, `0x${magic.toString(16)}, expected 0x73717368`);
  const inodeCount = cursor.u32le('inodes');
  const modifiedAt = cursor.u32le('mkfs_time') * 1000;
  const blockBytes = cursor.u32le('block_size');
  const fragmentCount = cursor.u32le('fragments');
  const compression = cursor.u16le('compression');
  const blockLog = cursor.u16le('block_log');
  cursor.skip(2, 'flags');
  const idCount = cursor.u16le('no_ids');
  const major = cursor.u16le('s_major');
  const minor = cursor.u16le('s_minor');
  if (major !== 4 || minor !== 0) throw new ParseError('unsupported', 's_major', 28, `${major}.${minor}, expected 4.0`);
  if (blockLog < MIN_BLOCK_LOG || blockLog > MAX_BLOCK_LOG || blockBytes !== 2 ** blockLog) {
    const expected = `expected a power of two, ${MIN_BLOCK_LOG}..${MAX_BLOCK_LOG}`;
    throw new ParseError('invalid', 'block_size', 12, `${blockBytes} with block_log ${blockLog}, ${expected}`);
  }
  const codec = COMPRESSION_TO_CODEC[compression];
  if (codec === undefined) throw new ParseError('unsupported', 'compression', 20, `${compression}, expected 1..6`);
  if (idCount === 0) throw new ParseError('invalid', 'no_ids', 26, '0, expected at least 1');

  const rootReference = parseInodeReference(cursor.u64le('root_inode'), 'root_inode', 32);
  const bytesUsed = Number(cursor.u64le('bytes_used'));
  if (bytesUsed > source.size) {
    throw new ParseError('truncated', 'bytes_used', 40, `${bytesUsed}, expected at most the image's ${source.size}`);
  }
  const table = (field: string): number | undefined => {
    const offset = cursor.offset;
    const start = cursor.u64le(field);
    if (start === ABSENT) return undefined;
    if (start < SUPERBLOCK_BYTES || start >= BigInt(bytesUsed)) {
      throw new ParseError('invalid', field, offset, `${start}, expected ${SUPERBLOCK_BYTES}..${bytesUsed - 1}`);
    }
    return Number(start);
  };
  const needed = (field: string): number => {
    const offset = cursor.offset;
    const start = table(field);
    if (start === undefined) throw new ParseError('invalid', field, offset, 'is absent, expected a table');
    return start;
  };
  return {
    inodeCount,
    modifiedAt,
    blockBytes,
    blockLog,
    fragmentCount,
    codec,
    idCount,
    rootReference,
    bytesUsed,
    idTable: needed('id_table_start'),
    xattrTable: table('xattr_id_table_start'),
    inodeTable: needed('inode_table_start'),
    directoryTable: needed('directory_table_start'),
    fragmentTable: table('fragment_table_start'),
    exportTable: table('lookup_table_start'),
  };
}

/** 48 bits of block, 16 of offset. */
export function parseInodeReference(value: bigint, field: string, offset: number): InodeReference {
  const block = Number(value >> 16n);
  if (block > 2 ** 40) throw new ParseError('invalid', field, offset, `block ${block}, expected at most 2^40`);
  return { block, offset: Number(value & 0xffffn) };
}
