// The superblock of XFS, versions 4 and 5 (XFS Algorithms & Data Structures, 3rd edition, "Superblocks"): from the first
// sector to a geometry that every other structure is checked against. All numbers of XFS are big-endian, but checksums.
import { ParseError } from '@ringwall/bytes';
import { decodeFileName } from '../file-name.ts';
import { checksumHolds } from './checksum.ts';

export const XFS_MAGIC = 0x58465342;
export const SUPERBLOCK_BYTES = 512;

const CHECKSUM_AT = 224;
const MAX_SECTOR_BYTES = 32_768;
const MIN_BLOCK_LOG = 9;
const MAX_BLOCK_LOG = 16;
const MIN_INODE_LOG = 8;
const MAX_INODE_LOG = 11;
const MAX_DIRECTORY_LOG = 16;
const MIN_GROUP_BLOCKS_LOG = 6;
const MAX_GROUP_BLOCKS_LOG = 31;
const VERSION_MASK = 0xf;
const VERSION_DIRECTORIES_2 = 0x2000;
const VERSION_CASE_INSENSITIVE = 0x4000;
const FEATURES_2_KINDS = 0x200;
export const INCOMPAT = {
  kinds: 0x1,
  sparseInodes: 0x2,
  metaUuid: 0x4,
  bigTime: 0x8,
  needsRepair: 0x10,
  manyExtents: 0x20,
  exchangeRange: 0x40,
  parents: 0x80,
} as const;
const READ_INCOMPAT = 0xff;

export interface XfsGeometry {
  readonly version: 4 | 5;
  readonly label: string;
  readonly uuid: Uint8Array;
  /** The one that version 5 writes into every structure. */
  readonly metaUuid: Uint8Array;
  readonly blockBytes: number;
  readonly blocks: number;
  readonly sectorBytes: number;
  readonly inodeBytes: number;
  readonly inodesPerBlockLog: number;
  readonly groupBlocks: number;
  readonly groupBlocksLog: number;
  readonly groups: number;
  readonly directoryBytes: number;
  readonly rootInode: number;
  /** The log's first block as XFS numbers it, 0 where it is on another device; and how many it has. */
  readonly logStart: number;
  readonly logBlocks: number;
  /** Entries of directories say what kind they are. */
  readonly hasKinds: boolean;
  readonly caseInsensitive: boolean;
  readonly incompat: number;
}

/** The geometry in the superblock; `availableBytes` is the size of what holds the file system. */
export function parseSuperblock(bytes: Uint8Array, availableBytes: number): XfsGeometry {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const u8 = (at: number): number => view.getUint8(at);
  const u16 = (at: number): number => view.getUint16(at);
  const u32 = (at: number): number => view.getUint32(at);
  const u64 = (field: string, at: number): number => {
    const value = view.getBigUint64(at);
    if (value <= BigInt(Number.MAX_SAFE_INTEGER)) return Number(value);
    throw new ParseError('limit', field, at, `${value}, expected below 2^53`);
  };
  const within = (field: string, at: number, value: number, low: number, high: number): number => {
    if (value >= low && value <= high) return value;
    throw new ParseError('invalid', field, at, `${value}, expected ${low} to ${high}`);
  };
  const power = (field: string, at: number, value: number, log: number): number => {
    if (value === 2 ** log) return value;
    throw new ParseError('invalid', field, at, `${value}, expected 2^${log}`);
  };

  if (u32(0) !== XFS_MAGIC) throw new ParseError('invalid', 'sb_magicnum', 0, 'is not that of XFS');
  const version = u16(100) & VERSION_MASK;
  if (version !== 4 && version !== 5) {
    throw new ParseError('unsupported', 'sb_versionnum', 100, `${version}, expected 4 or 5`);
  }
  const incompat = version === 5 ? u32(216) : 0;
  if (incompat & ~READ_INCOMPAT) {
    const detail = `0x${incompat.toString(16)}, expected at most 0x${READ_INCOMPAT.toString(16)}`;
    throw new ParseError('unsupported', 'sb_features_incompat', 216, detail);
  }
  if (version === 4 && !(u16(100) & VERSION_DIRECTORIES_2)) {
    throw new ParseError('unsupported', 'sb_versionnum', 100, 'without directories of version 2, expected them');
  }
  const sectorBytes = u16(102);
  if (sectorBytes < SUPERBLOCK_BYTES || sectorBytes > MAX_SECTOR_BYTES || (sectorBytes & (sectorBytes - 1)) !== 0) {
    throw new ParseError('invalid', 'sb_sectsize', 102, `${sectorBytes}, expected a power of two from 512 to 32768`);
  }
  const blockLog = within('sb_blocklog', 120, u8(120), MIN_BLOCK_LOG, MAX_BLOCK_LOG);
  const blockBytes = power('sb_blocksize', 4, u32(4), blockLog);
  const inodeLog = within('sb_inodelog', 122, u8(122), MIN_INODE_LOG, Math.min(MAX_INODE_LOG, blockLog));
  const inodeBytes = power('sb_inodesize', 104, u16(104), inodeLog);
  const inodesPerBlockLog = within('sb_inopblog', 123, u8(123), blockLog - inodeLog, blockLog - inodeLog);
  const groupBlocksLog = within('sb_agblklog', 124, u8(124), MIN_GROUP_BLOCKS_LOG - 4, MAX_GROUP_BLOCKS_LOG);
  const groupBlocks = within('sb_agblocks', 84, u32(84), 2 ** (groupBlocksLog - 1), 2 ** groupBlocksLog);
  const blocks = u64('sb_dblocks', 8);
  if (blocks * blockBytes > availableBytes) {
    const detail = `${blocks} blocks of ${blockBytes} bytes, expected at most ${availableBytes} bytes`;
    throw new ParseError('truncated', 'sb_dblocks', 8, detail);
  }
  const groups = within('sb_agcount', 88, u32(88), Math.ceil(blocks / groupBlocks), Math.ceil(blocks / groupBlocks));
  const directoryLog = within(
    'sb_dirblklog',
    192,
    u8(192),
    0,
    MAX_DIRECTORY_LOG - Math.min(blockLog, MAX_DIRECTORY_LOG),
  );
  const uuid = new Uint8Array(bytes.subarray(32, 48));
  return {
    version,
    label: textOf(bytes.subarray(108, 120)),
    uuid,
    metaUuid: incompat & INCOMPAT.metaUuid ? new Uint8Array(bytes.subarray(248, 264)) : uuid,
    blockBytes,
    blocks,
    sectorBytes,
    inodeBytes,
    inodesPerBlockLog,
    groupBlocks,
    groupBlocksLog,
    groups,
    directoryBytes: blockBytes * 2 ** directoryLog,
    rootInode: u64('sb_rootino', 56),
    logStart: u64('sb_logstart', 48),
    logBlocks: u32(96),
    hasKinds: version === 5 ? (incompat & INCOMPAT.kinds) !== 0 : (u32(200) & FEATURES_2_KINDS) !== 0,
    caseInsensitive: (u16(100) & VERSION_CASE_INSENSITIVE) !== 0,
    incompat,
  };
}

/** Verifies the checksum that version 5 keeps over the superblock's whole sector. */
export function verifySuperblock(sector: Uint8Array): void {
  if (!checksumHolds(sector, CHECKSUM_AT)) {
    throw new ParseError('invalid', 'sb_crc', CHECKSUM_AT, 'of the superblock does not hold');
  }
}

function textOf(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return decodeFileName(end === -1 ? bytes : bytes.subarray(0, end));
}
