// The erofs superblock (Linux, fs/erofs/erofs_fs.h and Documentation/filesystems/erofs.rst), checked.
import { Cursor, ParseError } from '@ringwall/bytes';
import { CRC_START, crc32c } from '../../checksum/crc.ts';
import type { ByteSource } from '../../source/byte-source.ts';
import { uuidText } from '../../uuid.ts';
import { decodeFileName } from '../file-name.ts';

const SUPERBLOCK_OFFSET = 1024;
const SUPERBLOCK_BYTES = 128;
const MAGIC = 0xe0f5_e1e2;

/** 512 bytes to 64 KiB: the sizes that Linux takes. */
const MIN_BLOCK_BITS = 9;
const MAX_BLOCK_BITS = 16;

/** Of feature_compat: the superblock's block carries a checksum. */
const SUPERBLOCK_CHECKSUM = 0x1;

/** Bits of feature_incompat. */
const ZERO_PADDING = 0x1;
const LONG_PREFIXES = 0x40;
/**
 * Those two, big clusters, chunks, devices or a second algorithm, packed tails; fragments, which are refused file by file.
 */
const KNOWN_FEATURES = 0x7f;
const NAMES_OF_OTHERS: ReadonlyMap<number, string> = new Map([
  [0x80, '48-bit addresses'],
  [0x100, 'metabox'],
]);

export interface ErofsSuperblock {
  readonly blockBits: number;
  readonly blockBytes: number;
  readonly rootNid: number;
  /** Seconds since 1970: of every inode that has no time of its own. */
  readonly buildTime: number;
  readonly size: number;
  readonly metadataStart: number;
  readonly sharedXattrStart: number;
  readonly uuid: string;
  readonly label: string;
  /** Compressed clusters are filled up with zeros in front, not behind. */
  readonly zeroPadding: boolean;
  readonly extraDevices: number;
  readonly longPrefixes: { readonly count: number; readonly start: number };
}

export function parseErofsSuperblock(source: ByteSource): ErofsSuperblock {
  const cursor = new Cursor(source.read(SUPERBLOCK_OFFSET, SUPERBLOCK_BYTES), SUPERBLOCK_OFFSET);
  const magic = cursor.u32le('magic');
  if (magic !== MAGIC) {
    throw new ParseError(
      'invalid',
      'magic',
      SUPERBLOCK_OFFSET,
      `0x${magic.toString(16)}, expected 0x${MAGIC.toString(16)}`,
    );
  }
  const checksum = cursor.u32le('checksum');
  const compatible = cursor.u32le('feature_compat');
  const blockBits = cursor.u8('blkszbits');
  if (blockBits < MIN_BLOCK_BITS || blockBits > MAX_BLOCK_BITS) {
    throw cursor.error('invalid', 'blkszbits', `${blockBits}, expected ${MIN_BLOCK_BITS}..${MAX_BLOCK_BITS}`);
  }
  const blockBytes = 2 ** blockBits;
  if ((compatible & SUPERBLOCK_CHECKSUM) !== 0) verifyChecksum(source, checksum, blockBytes);
  cursor.skip(1, 'sb_extslots');
  const rootNid = cursor.u16le('root_nid');
  cursor.skip(8, 'inos');
  const buildTime = Number(cursor.u64le('build_time'));
  cursor.skip(4, 'build_time_nsec');
  const size = cursor.u32le('blocks') * blockBytes;
  if (size > source.size) {
    throw cursor.error(
      'truncated',
      'blocks',
      `${size / blockBytes} of ${blockBytes} bytes, but the image has ${source.size}`,
    );
  }
  const metadataStart = cursor.u32le('meta_blkaddr') * blockBytes;
  const sharedXattrStart = cursor.u32le('xattr_blkaddr') * blockBytes;
  const uuid = uuidText(cursor.take(16, 'uuid'));
  const name = cursor.take(16, 'volume_name');
  const features = cursor.u32le('feature_incompat');
  refuseUnknownFeatures(features);
  cursor.skip(2, 'available_compr_algs');
  const extraDevices = cursor.u16le('extra_devices');
  cursor.skip(2, 'devt_slotoff');
  const directoryBlockBits = cursor.u8('dirblkbits');
  if (directoryBlockBits !== 0) throw cursor.error('unsupported', 'dirblkbits', `${directoryBlockBits}, expected 0`);
  const prefixCount = cursor.u8('xattr_prefix_count');
  const prefixStart = cursor.u32le('xattr_prefix_start') * 4;
  return {
    blockBits,
    blockBytes,
    rootNid,
    buildTime,
    size,
    metadataStart,
    sharedXattrStart,
    uuid,
    label: decodeFileName(name.subarray(0, (name.indexOf(0) + 17) % 17)),
    zeroPadding: (features & ZERO_PADDING) !== 0,
    extraDevices,
    longPrefixes: { count: (features & LONG_PREFIXES) === 0 ? 0 : prefixCount, start: prefixStart },
  };
}

/** CRC-32C from the superblock to the end of its block, with zeros in the place of the checksum. */
function verifyChecksum(source: ByteSource, stored: number, blockBytes: number): void {
  const length = Math.max(blockBytes - (SUPERBLOCK_OFFSET % blockBytes), SUPERBLOCK_BYTES);
  const bytes = new Uint8Array(source.read(SUPERBLOCK_OFFSET, length));
  bytes.fill(0, 4, 8);
  const computed = crc32c(CRC_START, bytes);
  if (computed === stored) return;
  const detail = `0x${stored.toString(16)}, expected 0x${computed.toString(16)}`;
  throw new ParseError('invalid', 'checksum', SUPERBLOCK_OFFSET + 4, detail);
}

function refuseUnknownFeatures(features: number): void {
  for (let bit = 1; bit <= 0x4000_0000; bit *= 2) {
    if ((features & ~KNOWN_FEATURES & bit) === 0) continue;
    const name = NAMES_OF_OTHERS.get(bit) ?? `0x${bit.toString(16)}`;
    throw new ParseError('unsupported', 'feature_incompat', SUPERBLOCK_OFFSET + 80, `has ${name}, which is not read`);
  }
}
