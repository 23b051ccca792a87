// One inode of an ext file system: from its bytes to checked metadata (Linux Documentation/filesystems/ext4, "Index Nodes").
import { ParseError } from '@ringwall/bytes';
import { crc32c, crc32cOfNumber } from '../../checksum/crc.ts';
import { deviceOfNumber, kindOfMode, permissionsOfMode } from '../node-kind.ts';
import type { UnixInode } from '../unix-node.ts';
import { INCOMPAT, INODE_FLAGS } from './features.ts';
import type { ExtVolume } from './volume.ts';

/** i_block: 12 block numbers and three indirect ones, or the root of an extent tree, or the contents themselves. */
export const I_BLOCK_AT = 0x28;
export const I_BLOCK_BYTES = 60;

const OLD_INODE_BYTES = 128;
const DIRECT_BLOCKS = 12;
const NANOSECONDS_PER_MILLISECOND = 1e6;
const EPOCH_SECONDS = 2 ** 32;

export interface ExtInode extends UnixInode {
  /** The whole inode as it lies on disk, not to be changed. */
  readonly bytes: Uint8Array;
  /** Where it lies, from the start of the file system. */
  readonly offset: number;
  readonly flags: number;
  /** Seconds since 1970 at which it was deleted, 0 where it was not; of an orphan, the next orphan. */
  readonly deletedAt: number;
  readonly generation: number;
  /** The low half of i_blocks: 0 of a symbolic link that lies in its inode. */
  readonly allocated: number;
  /** The block of extended attributes, 0 where there is none. */
  readonly attributeBlock: number;
  /** Bytes of the inode in use behind the old 128: extended attributes follow them. */
  readonly extraBytes: number;
  /** Where checksums of blocks that belong to it start; undefined without metadata_csum. */
  readonly checksumSeed: number | undefined;
}

/** Inode `number`, its checksum verified. */
export function readInode(volume: ExtVolume, number: number): ExtInode {
  return parseInode(volume, number, volume.inodeBytes(number), volume.inodeOffset(number));
}

export function parseInode(volume: ExtVolume, number: number, bytes: Uint8Array, offset: number): ExtInode {
  const { geometry } = volume;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const mode = view.getUint16(0, true);
  const kind = kindOfMode(mode);
  const generation = view.getUint32(0x64, true);
  const extraBytes = bytes.length > OLD_INODE_BYTES ? view.getUint16(0x80, true) : 0;
  if (extraBytes % 4 !== 0 || OLD_INODE_BYTES + extraBytes > bytes.length) {
    const detail = `${extraBytes} of inode ${number}, expected a multiple of 4 up to ${bytes.length - OLD_INODE_BYTES}`;
    throw new ParseError('invalid', 'i_extra_isize', offset + 0x80, detail);
  }
  let checksumSeed: number | undefined;
  if (geometry.checksumSeed !== undefined) {
    checksumSeed = crc32cOfNumber(crc32cOfNumber(geometry.checksumSeed, number), generation);
    verifyInode(number, bytes, view, extraBytes, checksumSeed, offset);
  }
  if (kind === undefined) {
    throw new ParseError(
      'invalid',
      'i_mode',
      offset,
      `0o${mode.toString(8)} of inode ${number}, expected a kind of file`,
    );
  }
  const flags = view.getUint32(0x20, true);
  const hasHighSize = kind === 'file' || (kind === 'directory' && (geometry.incompat & INCOMPAT.largedir) !== 0);
  const size = view.getUint32(4, true) + (hasHighSize ? view.getUint32(0x6c, true) * 2 ** 32 : 0);
  const largest = largestFile(geometry.blockBytes, (flags & INODE_FLAGS.extents) !== 0);
  if (size > largest || (kind === 'directory' && size > geometry.blocks * geometry.blockBytes)) {
    const most = kind === 'directory' ? geometry.blocks * geometry.blockBytes : largest;
    throw new ParseError('invalid', 'i_size', offset + 4, `${size} of inode ${number}, expected at most ${most}`);
  }
  const attributeHigh = geometry.incompat & INCOMPAT['64bit'] ? view.getUint16(0x76, true) : 0;
  return {
    number,
    bytes,
    offset,
    kind,
    permissions: permissionsOfMode(mode),
    size,
    flags,
    links: view.getUint16(0x1a, true),
    uid: view.getUint16(2, true) + view.getUint16(0x78, true) * 2 ** 16,
    gid: view.getUint16(0x18, true) + view.getUint16(0x7a, true) * 2 ** 16,
    modifiedAt: modificationTime(view, extraBytes),
    deletedAt: view.getUint32(0x14, true),
    generation,
    allocated: view.getUint32(0x1c, true),
    attributeBlock: view.getUint32(0x68, true) + attributeHigh * 2 ** 32,
    extraBytes,
    checksumSeed,
    ...(kind === 'character-device' || kind === 'block-device' ? { device: deviceOf(view) } : {}),
  };
}

/** Device numbers in i_block: the old form of 8 bits each, or the new one of 12 and 20. */
function deviceOf(view: DataView): { readonly major: number; readonly minor: number } {
  const old = view.getUint32(I_BLOCK_AT, true);
  if (old !== 0) return { major: (old >>> 8) & 0xff, minor: old & 0xff };
  return deviceOfNumber(view.getUint32(I_BLOCK_AT + 4, true));
}

function verifyInode(
  number: number,
  bytes: Uint8Array,
  view: DataView,
  extraBytes: number,
  seed: number,
  offset: number,
): void {
  const nothing = Uint8Array.of(0, 0);
  const hasHigh = bytes.length > OLD_INODE_BYTES && extraBytes >= 4;
  let checksum = crc32c(crc32c(seed, bytes, 0, 0x7c), nothing);
  checksum = crc32c(checksum, bytes, 0x7e, hasHigh ? 0x82 : bytes.length);
  if (hasHigh) checksum = crc32c(crc32c(checksum, nothing), bytes, 0x84);
  const expected = hasHigh ? checksum : checksum & 0xffff;
  const stored = view.getUint16(0x7c, true) + (hasHigh ? view.getUint16(0x82, true) * 2 ** 16 : 0);
  if (stored === expected) return;
  const detail = `0x${stored.toString(16)} of inode ${number}, expected 0x${expected.toString(16)}`;
  throw new ParseError('invalid', 'i_checksum', offset + 0x7c, detail);
}

/** Both maps count blocks in 32 bits; the older one also ends where its three levels of indirect blocks do. */
function largestFile(blockBytes: number, extents: boolean): number {
  const pointers = blockBytes / 4;
  const mapped = DIRECT_BLOCKS + pointers + pointers ** 2 + pointers ** 3;
  return Math.min(extents ? 2 ** 32 : mapped, 2 ** 32) * blockBytes;
}

function modificationTime(view: DataView, extraBytes: number): number {
  const seconds = view.getInt32(0x10, true);
  // i_mtime_extra: two more bits of seconds, thirty of nanoseconds.
  if (extraBytes < 0x8c - OLD_INODE_BYTES) return seconds * 1000;
  const extra = view.getUint32(0x88, true);
  return (seconds + (extra & 3) * EPOCH_SECONDS) * 1000 + Math.floor((extra >>> 2) / NANOSECONDS_PER_MILLISECOND);
}
