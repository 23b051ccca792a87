// The blocks of which a journal's log consists: descriptors that say which blocks follow, revocations, and commits (Linux
// Documentation/filesystems/ext4, "Journal (jbd2)"; include/linux/jbd2.h).
import { crc32c } from '../../../checksum/crc.ts';
import { JOURNAL_MAGIC, type JournalGeometry } from './journal-superblock.ts';

export const DESCRIPTOR_BLOCK = 1;
export const COMMIT_BLOCK = 2;
export const REVOKE_BLOCK = 5;

const HEADER_BYTES = 12;
const REVOKE_HEADER_BYTES = 16;
const TAIL_BYTES = 4;
const UUID_BYTES = 16;
const FLAG_ESCAPED = 1;
const FLAG_SAME_UUID = 2;
const FLAG_LAST = 8;
const COMMIT_CHECKSUM_AT = 16;

export interface RecordHeader {
  readonly type: number;
  readonly sequence: number;
}

/** One block of a transaction. */
export interface JournalTag {
  /** The block of the file system that it is a copy of. */
  readonly block: number;
  /** It began with the journal's own magic number, which was taken out. */
  readonly escaped: boolean;
  readonly checksum: number;
}

/** The header of a block of the log, undefined where it has none. */
export function recordHeader(block: Uint8Array): RecordHeader | undefined {
  const view = viewOf(block);
  if (view.getUint32(0) !== JOURNAL_MAGIC) return undefined;
  return { type: view.getUint32(4), sequence: view.getUint32(8) };
}

/** What a descriptor says of the blocks that follow it. */
export function tagsOf(geometry: JournalGeometry, block: Uint8Array): JournalTag[] {
  const { checksumVersion, wideBlocks } = geometry;
  const view = viewOf(block);
  const end = block.length - (checksumVersion >= 2 ? TAIL_BYTES : 0);
  const bytes = tagBytes(geometry);
  const tags: JournalTag[] = [];
  for (let at = HEADER_BYTES; at + bytes <= end;) {
    const isV3 = checksumVersion === 3;
    const flags = isV3 ? view.getUint32(at + 4) : view.getUint16(at + 6);
    const high = wideBlocks ? view.getUint32(at + 8) : 0;
    tags.push({
      block: view.getUint32(at) + high * 2 ** 32,
      escaped: (flags & FLAG_ESCAPED) !== 0,
      checksum: isV3 ? view.getUint32(at + 12) : view.getUint16(at + 4),
    });
    if (flags & FLAG_LAST) break;
    at += bytes + (flags & FLAG_SAME_UUID ? 0 : UUID_BYTES);
  }
  return tags;
}

/** Blocks whose older copies must not be written back. */
export function revokedBlocks(geometry: JournalGeometry, block: Uint8Array): number[] {
  const view = viewOf(block);
  const room = block.length - (geometry.checksumVersion >= 2 ? TAIL_BYTES : 0);
  const end = Math.min(view.getUint32(HEADER_BYTES), room);
  const step = geometry.wideBlocks ? 8 : 4;
  const blocks: number[] = [];
  for (let at = REVOKE_HEADER_BYTES; at + step <= end; at += step) {
    const high = geometry.wideBlocks ? view.getUint32(at) * 2 ** 32 : 0;
    blocks.push(high + view.getUint32(geometry.wideBlocks ? at + 4 : at));
  }
  return blocks;
}

/** Whether the checksum at the end of a descriptor or revocation holds. */
export function tailHolds(geometry: JournalGeometry, block: Uint8Array): boolean {
  if (geometry.checksumVersion < 2) return true;
  const tail = block.length - TAIL_BYTES;
  const head = crc32c(geometry.checksumSeed, block, 0, tail);
  return viewOf(block).getUint32(tail) === crc32c(head, new Uint8Array(TAIL_BYTES));
}

/** Whether a commit's own checksum holds; the older kind, over all blocks before it, is for the reader of the log. */
export function commitHolds(geometry: JournalGeometry, block: Uint8Array): boolean {
  if (geometry.checksumVersion < 2) return true;
  const head = crc32c(crc32c(geometry.checksumSeed, block, 0, COMMIT_CHECKSUM_AT), new Uint8Array(4));
  return commitChecksum(block) === crc32c(head, block, COMMIT_CHECKSUM_AT + 4);
}

export function commitChecksum(block: Uint8Array): number {
  return viewOf(block).getUint32(COMMIT_CHECKSUM_AT);
}

/** Whether a block of transaction `sequence` is the one that its tag was made for. */
export function dataHolds(geometry: JournalGeometry, tag: JournalTag, sequence: number, block: Uint8Array): boolean {
  if (geometry.checksumVersion < 2) return true;
  const number = new Uint8Array(4);
  viewOf(number).setUint32(0, sequence);
  const checksum = crc32c(crc32c(geometry.checksumSeed, number), block);
  return tag.checksum === (geometry.checksumVersion === 3 ? checksum : checksum & 0xffff);
}

function tagBytes({ checksumVersion, wideBlocks }: JournalGeometry): number {
  if (checksumVersion === 3) return 16;
  return 8 + (checksumVersion === 2 ? 2 : 0) + (wideBlocks ? 4 : 0);
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
