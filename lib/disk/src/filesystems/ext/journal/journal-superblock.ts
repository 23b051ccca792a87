// The superblock of a journal of ext3 and ext4 (Linux Documentation/filesystems/ext4, "Journal (jbd2)"): where its log begins
// and which forms its records have. All numbers of a journal are big-endian.
import { ParseError } from '@ringwall/bytes';
import { CRC_START, crc32c } from '../../../checksum/crc.ts';
import type { ByteSource } from '../../../source/byte-source.ts';

export const JOURNAL_MAGIC = 0xc03b3998;

const SUPERBLOCK_BYTES = 1024;
const SUPERBLOCK_V1 = 3;
const SUPERBLOCK_V2 = 4;
const CHECKSUM_AT = 0xfc;
const COMPAT_CHECKSUM = 0x1;
const INCOMPAT = {
  revoke: 0x1,
  wide: 0x2,
  asyncCommit: 0x4,
  checksumV2: 0x8,
  checksumV3: 0x10,
  fastCommit: 0x20,
} as const;
const READ_INCOMPAT = 0x3f;
/** JBD2_DEFAULT_FAST_COMMIT_BLOCKS. */
const DEFAULT_FAST_COMMIT_BLOCKS = 256;

export interface JournalGeometry {
  readonly blockBytes: number;
  /** The log lies in blocks `first` to `end` - 1 of the journal, as a ring. */
  readonly first: number;
  readonly end: number;
  /** The block at which the log begins, 0 where it is empty; and the number of its first transaction. */
  readonly start: number;
  readonly sequence: number;
  readonly wideBlocks: boolean;
  readonly asyncCommit: boolean;
  readonly checksumVersion: 0 | 1 | 2 | 3;
  readonly checksumSeed: number;
  readonly hasFastCommits: boolean;
}

export function parseJournalSuperblock(journal: ByteSource, expectedBlockBytes: number): JournalGeometry {
  const bytes = journal.read(0, SUPERBLOCK_BYTES);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const refuse = (field: string, at: number, detail: string): ParseError =>
    new ParseError('invalid', `journal ${field}`, at, detail);

  const magic = view.getUint32(0);
  if (magic !== JOURNAL_MAGIC) throw refuse('h_magic', 0, `0x${magic.toString(16)}, expected 0xc03b3998`);
  const type = view.getUint32(4);
  if (type !== SUPERBLOCK_V1 && type !== SUPERBLOCK_V2) throw refuse('h_blocktype', 4, `${type}, expected 3 or 4`);
  const blockBytes = view.getUint32(0x0c);
  if (blockBytes !== expectedBlockBytes) {
    throw refuse('s_blocksize', 0x0c, `${blockBytes}, expected ${expectedBlockBytes}`);
  }
  const compat = type === SUPERBLOCK_V1 ? 0 : view.getUint32(0x24);
  const incompat = type === SUPERBLOCK_V1 ? 0 : view.getUint32(0x28);
  if (incompat & ~READ_INCOMPAT) {
    throw new ParseError(
      'unsupported',
      'journal s_feature_incompat',
      0x28,
      `0x${incompat.toString(16)} has unknown features`,
    );
  }
  const checksumVersion = checksumVersionOf(compat, incompat);
  if (checksumVersion >= 2) verify(bytes, view);

  const blocks = view.getUint32(0x10);
  const first = view.getUint32(0x14);
  const fastBlocks = incompat & INCOMPAT.fastCommit ? view.getUint32(0x54) || DEFAULT_FAST_COMMIT_BLOCKS : 0;
  const end = blocks - fastBlocks;
  if (blocks * blockBytes > journal.size) {
    throw refuse('s_maxlen', 0x10, `${blocks} blocks, expected at most ${Math.floor(journal.size / blockBytes)}`);
  }
  if (first < 1 || first >= end) throw refuse('s_first', 0x14, `${first}, expected 1 to ${end - 1}`);
  const start = view.getUint32(0x1c);
  if (start !== 0 && (start < first || start >= end)) {
    throw refuse('s_start', 0x1c, `${start}, expected ${first} to ${end - 1}`);
  }
  return {
    blockBytes,
    first,
    end,
    start,
    sequence: view.getUint32(0x18),
    wideBlocks: (incompat & INCOMPAT.wide) !== 0,
    asyncCommit: (incompat & INCOMPAT.asyncCommit) !== 0,
    checksumVersion,
    checksumSeed: crc32c(CRC_START, bytes, 0x30, 0x40),
    hasFastCommits: fastBlocks > 0,
  };
}

function checksumVersionOf(compat: number, incompat: number): 0 | 1 | 2 | 3 {
  if (incompat & INCOMPAT.checksumV3) return 3;
  if (incompat & INCOMPAT.checksumV2) return 2;
  return compat & COMPAT_CHECKSUM ? 1 : 0;
}

function verify(bytes: Uint8Array, view: DataView): void {
  const head = crc32c(crc32c(CRC_START, bytes, 0, CHECKSUM_AT), new Uint8Array(4));
  const expected = crc32c(head, bytes, CHECKSUM_AT + 4, SUPERBLOCK_BYTES);
  const stored = view.getUint32(CHECKSUM_AT);
  if (stored === expected) return;
  const detail = `0x${stored.toString(16)}, expected 0x${expected.toString(16)}`;
  throw new ParseError('invalid', 'journal s_checksum', CHECKSUM_AT, detail);
}
