// One block of an ext directory: records that follow each other to its end (Linux Documentation/filesystems/ext4,
// "Linear (Classic) Directories"), and the checksum in the last of them.
import { ParseError } from '@ringwall/bytes';
import { crc32c } from '../../checksum/crc.ts';
import type { FileKind } from '../file-system.ts';
import { kindOfEntry } from '../node-kind.ts';
import { INCOMPAT } from './features.ts';
import type { ExtInode } from './inode.ts';
import type { ExtVolume } from './volume.ts';

export const RECORD_HEADER_BYTES = 8;

const SMALLEST_RECORD = 12;
const TAIL_BYTES = 12;
const TAIL_TYPE = 0xde;
const LARGEST_BLOCK = 65_536;
/** Bytes that hold records, and where they lie, from the start of the file system. */
export interface RecordBlock {
  readonly bytes: Uint8Array;
  readonly offset: number;
}

export interface DirectoryRecord {
  readonly inode: number;
  readonly kind: FileKind | undefined;
  readonly name: Uint8Array;
  /** Where the record lies, from the start of the file system. */
  readonly offset: number;
}

/** The records of a block that name an inode, '.' and '..' too. */
export function* recordsIn(volume: ExtVolume, block: RecordBlock): Generator<DirectoryRecord> {
  const view = viewOf(block.bytes);
  const typed = (volume.geometry.incompat & INCOMPAT.filetype) !== 0;
  for (let at = 0; at < block.bytes.length;) {
    const length = recordBytes(volume, view, at, block.offset);
    const inode = view.getUint32(at, true);
    if (inode !== 0) {
      const start = at + RECORD_HEADER_BYTES;
      yield {
        inode,
        // Lustre (dirdata) uses the upper bits for what follows the name.
        kind: typed ? kindOfEntry(view.getUint8(at + 7) & 0xf) : undefined,
        name: block.bytes.subarray(start, start + view.getUint8(at + 6)),
        offset: block.offset + at,
      };
    }
    at += length;
  }
}

/** The inode that a block's records give to `name`, 0 where none does. */
export function findRecord(volume: ExtVolume, block: RecordBlock, name: Uint8Array): number {
  const { bytes } = block;
  const view = viewOf(bytes);
  for (let at = 0; at < bytes.length;) {
    const length = recordBytes(volume, view, at, block.offset);
    if (bytes[at + 6] === name.length) {
      const inode = view.getUint32(at, true);
      if (inode !== 0 && startsWith(bytes, at + RECORD_HEADER_BYTES, name)) return inode;
    }
    at += length;
  }
  return 0;
}

/** Verifies the checksum of a block that holds records only. */
export function verifyRecords(inode: ExtInode, block: RecordBlock): void {
  if (inode.checksumSeed === undefined) return;
  const { bytes, offset } = block;
  const view = viewOf(bytes);
  const tail = bytes.length - TAIL_BYTES;
  const isTail = view.getUint32(tail, true) === 0 && view.getUint16(tail + 4, true) === TAIL_BYTES;
  if (!isTail || view.getUint8(tail + 6) !== 0 || view.getUint8(tail + 7) !== TAIL_TYPE) {
    const detail = `missing from a block of directory ${inode.number}, expected in its last ${TAIL_BYTES} bytes`;
    throw new ParseError('invalid', 'det_checksum', offset + tail, detail);
  }
  const stored = view.getUint32(tail + 8, true);
  const expected = crc32c(inode.checksumSeed, bytes, 0, tail);
  if (stored === expected) return;
  const detail = `0x${stored.toString(16)} of directory ${inode.number}, expected 0x${expected.toString(16)}`;
  throw new ParseError('invalid', 'det_checksum', offset + tail + 8, detail);
}

/** The length of the record at `at`, which holds its name and ends within the block. */
function recordBytes(volume: ExtVolume, view: DataView, at: number, offset: number): number {
  const left = view.byteLength - at;
  if (left < SMALLEST_RECORD) {
    throw new ParseError(
      'invalid',
      'rec_len',
      offset + at,
      `leaves ${left} bytes, expected at least ${SMALLEST_RECORD}`,
    );
  }
  const length = decodeLength(view.getUint16(at + 4, true), volume.geometry.blockBytes);
  const inode = view.getUint32(at, true);
  const needed = inode === 0 ? SMALLEST_RECORD : RECORD_HEADER_BYTES + view.getUint8(at + 6);
  if (length % 4 !== 0 || length < needed || length < SMALLEST_RECORD || length > left) {
    const detail = `${length}, expected a multiple of 4 from ${needed} to ${left}`;
    throw new ParseError('invalid', 'rec_len', offset + at + 4, detail);
  }
  if (inode > volume.geometry.inodes) {
    const detail = `${inode} of a directory entry, expected at most ${volume.geometry.inodes}`;
    throw new ParseError('invalid', 'inode', offset + at, detail);
  }
  return length;
}

/** 16 bits cannot say 65,536: both ends of their range do, and the low two bits carry what is above. */
function decodeLength(stored: number, blockBytes: number): number {
  if (blockBytes < LARGEST_BLOCK) return stored;
  if (stored === 0 || stored === 0xffff) return blockBytes;
  return (stored & 0xfffc) | ((stored & 3) << 16);
}

function startsWith(bytes: Uint8Array, at: number, prefix: Uint8Array): boolean {
  for (let index = 0; index < prefix.length; index += 1) {
    if (bytes[at + index] !== prefix[index]) return false;
  }
  return true;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
