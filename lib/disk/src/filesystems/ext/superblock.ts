// The superblock of ext2, ext3 and ext4: from the 1,024 bytes at offset 1,024 to a geometry that every other structure is
// checked against (Linux Documentation/filesystems/ext4, "The Super Block"; fs/ext4/super.c for what a kernel refuses).
import { ParseError } from '@ringwall/bytes';
import { CRC_START, crc32c } from '../../checksum/crc.ts';
import { decodeFileName } from '../file-name.ts';
import { COMPAT, EXT3_INCOMPAT, EXT3_RO_COMPAT, INCOMPAT, READ_INCOMPAT, RO_COMPAT } from './features.ts';

export const SUPERBLOCK_OFFSET = 1024;
export const SUPERBLOCK_BYTES = 1024;
export const EXT_MAGIC = 0xef53;

const MAX_LOG_BLOCK_SIZE = 6; // 64 KiB
const MAX_LOG_CLUSTER_SIZE = 20; // 1 GiB: EXT2_MAX_CLUSTER_LOG_SIZE is 29 with the 10 of 1,024 in it
const OLD_INODE_BYTES = 128;
const OLD_DESCRIPTOR_BYTES = 32;
const MIN_64BIT_DESCRIPTOR_BYTES = 64;
const GOOD_OLD_REVISION = 0;
const CHECKSUM_CRC32C = 1;
const FLAG_UNSIGNED_HASH = 0x2;

/** A superblock whose every field that a reader relies on was checked. */
export interface ExtGeometry {
  readonly kind: 'ext2' | 'ext3' | 'ext4';
  readonly label: string;
  readonly uuid: Uint8Array;
  readonly compat: number;
  readonly incompat: number;
  readonly roCompat: number;
  readonly blockBytes: number;
  readonly blocks: number;
  readonly firstDataBlock: number;
  readonly blocksPerGroup: number;
  /** Blocks for which one bit of a block bitmap stands; 1 without bigalloc. */
  readonly clusterBlocks: number;
  readonly inodes: number;
  readonly inodesPerGroup: number;
  readonly inodeBytes: number;
  readonly groups: number;
  readonly descriptorBytes: number;
  readonly firstMetaBlockGroup: number;
  readonly backupGroups: readonly [number, number];
  /** Where checksums of metadata start; undefined without metadata_csum. */
  readonly checksumSeed: number | undefined;
  /** Where hashes of attribute values start that lie in inodes of their own; of every file system. */
  readonly attributeSeed: number;
  readonly hashSeed: readonly [number, number, number, number];
  /** Names are hashed as unsigned bytes. */
  readonly unsignedHash: boolean;
  readonly journalInode: number;
  readonly lastOrphan: number;
  readonly orphanFileInode: number;
}

/** The geometry in a superblock; `availableBytes` is the size of what holds the file system. */
export function parseSuperblock(bytes: Uint8Array, availableBytes: number): ExtGeometry {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const u16 = (at: number): number => view.getUint16(at, true);
  const u32 = (at: number): number => view.getUint32(at, true);
  const refuse = (field: string, at: number, detail: string): ParseError =>
    new ParseError('invalid', field, SUPERBLOCK_OFFSET + at, detail);
  const within = (field: string, at: number, value: number, low: number, high: number): number => {
    if (value < low || value > high) throw refuse(field, at, `${value}, expected ${low} to ${high}`);
    return value;
  };

  if (u16(0x38) !== EXT_MAGIC) throw refuse('s_magic', 0x38, `${u16(0x38)}, expected ${EXT_MAGIC}`);
  const old = u32(0x4c) === GOOD_OLD_REVISION;
  const compat = old ? 0 : u32(0x5c);
  const incompat = old ? 0 : u32(0x60);
  const roCompat = old ? 0 : u32(0x64);
  refuseUnread(incompat);
  const hasMetadataChecksum = (roCompat & RO_COMPAT.metadata_csum) !== 0;
  if (hasMetadataChecksum) verifySuperblock(bytes, view);

  const logBlockSize = within('s_log_block_size', 0x18, u32(0x18), 0, MAX_LOG_BLOCK_SIZE);
  const blockBytes = 1024 << logBlockSize;
  const bigalloc = (roCompat & RO_COMPAT.bigalloc) !== 0;
  const highest = bigalloc ? MAX_LOG_CLUSTER_SIZE : logBlockSize;
  const logClusterSize = bigalloc ? within('s_log_cluster_size', 0x1c, u32(0x1c), logBlockSize, highest) : logBlockSize;
  const clusterBlocks = 2 ** (logClusterSize - logBlockSize);

  const high = incompat & INCOMPAT['64bit'] ? u32(0x150) : 0;
  const blocks = u32(4) + high * 2 ** 32;
  // Of 1,024-byte blocks the first holds nothing, unless mke2fs counts clusters (bigalloc): then either is right.
  const small = blockBytes === 1024;
  const firstDataBlock = within('s_first_data_block', 0x14, u32(0x14), small && !bigalloc ? 1 : 0, small ? 1 : 0);
  if (blocks <= firstDataBlock) throw refuse('s_blocks_count', 4, `${blocks}, expected more than ${firstDataBlock}`);
  if (!Number.isSafeInteger(blocks * blockBytes)) {
    throw new ParseError('limit', 's_blocks_count', SUPERBLOCK_OFFSET + 4, `${blocks}, expected below 2^53 bytes`);
  }
  if (blocks * blockBytes > availableBytes) {
    const detail = `${blocks} blocks of ${blockBytes} bytes, expected at most ${availableBytes} bytes`;
    throw new ParseError('truncated', 's_blocks_count', SUPERBLOCK_OFFSET + 4, detail);
  }

  const bitsPerBlock = 8 * blockBytes;
  const clustersPerGroup = within('s_clusters_per_group', 0x24, u32(bigalloc ? 0x24 : 0x20), 1, bitsPerBlock);
  const blocksPerGroup = u32(0x20);
  if (blocksPerGroup !== clustersPerGroup * clusterBlocks) {
    const expected = `expected s_clusters_per_group ${clustersPerGroup} times ${clusterBlocks}`;
    throw refuse('s_blocks_per_group', 0x20, `${blocksPerGroup}, ${expected}`);
  }
  const inodeBytes = old ? OLD_INODE_BYTES : u16(0x58);
  if (inodeBytes < OLD_INODE_BYTES || inodeBytes > blockBytes || (inodeBytes & (inodeBytes - 1)) !== 0) {
    throw refuse('s_inode_size', 0x58, `${inodeBytes}, expected a power of two from 128 to ${blockBytes}`);
  }
  const inodesPerGroup = within('s_inodes_per_group', 0x28, u32(0x28), blockBytes / inodeBytes, bitsPerBlock);
  const groups = Math.ceil((blocks - firstDataBlock) / blocksPerGroup);
  const inodes = u32(0);
  if (inodes !== groups * inodesPerGroup) {
    throw refuse('s_inodes_count', 0, `${inodes}, expected ${groups} groups of ${inodesPerGroup}`);
  }
  const descriptorBytes = incompat & INCOMPAT['64bit'] ? u16(0xfe) : OLD_DESCRIPTOR_BYTES;
  if (
    incompat & INCOMPAT['64bit'] &&
    (descriptorBytes < MIN_64BIT_DESCRIPTOR_BYTES ||
      descriptorBytes > blockBytes ||
      (descriptorBytes & (descriptorBytes - 1)) !== 0)
  ) {
    throw refuse('s_desc_size', 0xfe, `${descriptorBytes}, expected a power of two from 64 to ${blockBytes}`);
  }

  const uuid = new Uint8Array(bytes.subarray(0x68, 0x78));
  const seed = incompat & INCOMPAT.csum_seed ? u32(0x270) : crc32c(CRC_START, uuid);
  return {
    kind: kindOf(compat, incompat, roCompat),
    label: textOf(bytes.subarray(0x78, 0x88)),
    uuid,
    compat,
    incompat,
    roCompat,
    blockBytes,
    blocks,
    firstDataBlock,
    blocksPerGroup,
    clusterBlocks,
    inodes,
    inodesPerGroup,
    inodeBytes,
    groups,
    descriptorBytes,
    firstMetaBlockGroup: incompat & INCOMPAT.meta_bg ? u32(0x104) : groups,
    backupGroups: [u32(0x24c), u32(0x250)],
    checksumSeed: hasMetadataChecksum ? seed : undefined,
    attributeSeed: seed,
    hashSeed: [u32(0xec), u32(0xf0), u32(0xf4), u32(0xf8)],
    unsignedHash: (u32(0x160) & FLAG_UNSIGNED_HASH) !== 0,
    journalInode: compat & COMPAT.has_journal ? u32(0xe0) : 0,
    lastOrphan: u32(0xe8),
    orphanFileInode: compat & COMPAT.orphan_file ? u32(0x280) : 0,
  };
}

function refuseUnread(incompat: number): void {
  const unread = incompat & ~READ_INCOMPAT;
  if (unread === 0) return;
  const known = Object.entries(INCOMPAT).filter(([, bit]) => unread & bit);
  const names = known.map(([name]) => name).join(', ') || 'unknown features';
  const detail = `0x${(incompat >>> 0).toString(16)} asks for ${names}, which this reader does not have`;
  throw new ParseError('unsupported', 's_feature_incompat', SUPERBLOCK_OFFSET + 0x60, detail);
}

function verifySuperblock(bytes: Uint8Array, view: DataView): void {
  const type = view.getUint8(0x175);
  if (type !== CHECKSUM_CRC32C) {
    throw new ParseError('unsupported', 's_checksum_type', SUPERBLOCK_OFFSET + 0x175, `${type}, expected 1 (crc32c)`);
  }
  const expected = crc32c(CRC_START, bytes, 0, 0x3fc);
  const stored = view.getUint32(0x3fc, true);
  if (stored !== expected) {
    const detail = `0x${stored.toString(16)} of the superblock, expected 0x${expected.toString(16)}`;
    throw new ParseError('invalid', 's_checksum', SUPERBLOCK_OFFSET + 0x3fc, detail);
  }
}

function kindOf(compat: number, incompat: number, roCompat: number): ExtGeometry['kind'] {
  if (incompat & ~EXT3_INCOMPAT || roCompat & ~EXT3_RO_COMPAT) return 'ext4';
  return compat & COMPAT.has_journal ? 'ext3' : 'ext2';
}

function textOf(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return decodeFileName(end === -1 ? bytes : bytes.subarray(0, end));
}
