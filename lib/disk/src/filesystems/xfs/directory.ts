// Directories of XFS: short ones in the inode, larger ones in blocks of entries (XFS Algorithms & Data Structures,
// "Directories"). The blocks that index them by hash lie behind those of entries, and are not needed to read them.
import { ParseError } from '@ringwall/bytes';
import type { FileKind } from '../file-system.ts';
import { kindOfEntry } from '../node-kind.ts';
import { forkLookup, forkSource } from './fork.ts';
import type { XfsInode } from './inode.ts';
import type { XfsVolume } from './volume.ts';

/** Where the index of a directory begins: entries are before. */
const INDEX_AT_BYTES = 2 ** 35;
const MAGICS = { 4: [0x58443242, 0x58443244], 5: [0x58444233, 0x58444433] } as const;
const HEADER_BYTES_V4 = 16;
const HEADER_BYTES_V5 = 64;
const CHECKSUM_AT = 4;
const BLOCK_TAIL_BYTES = 8;
const LEAF_ENTRY_BYTES = 8;
const UNUSED = 0xffff;
const ALIGN = 8;
const MAX_RECORDED_SHORT = 255;
export interface XfsRecord {
  readonly inode: number;
  readonly kind: FileKind | undefined;
  readonly name: Uint8Array;
  readonly offset: number;
}

/** The entries of a directory, without '.' and '..'. */
export function directoryRecords(volume: XfsVolume, inode: XfsInode): Generator<XfsRecord> {
  return inode.data.format === 'local' ? shortRecords(volume, inode) : blockRecords(volume, inode);
}

function* shortRecords(volume: XfsVolume, inode: XfsInode): Generator<XfsRecord> {
  const { bytes, offset } = inode.data;
  const used = bytes.subarray(0, Math.min(inode.size, bytes.length));
  const view = new DataView(used.buffer, used.byteOffset, used.byteLength);
  const need = (at: number, count: number): void => {
    if (at + count <= used.length) return;
    const detail = `of directory ${inode.number} needs ${count} bytes, expected at most ${used.length - at}`;
    throw new ParseError('truncated', 'short entry', offset + at, detail);
  };
  need(0, 2);
  const wide = view.getUint8(1) !== 0;
  const numberBytes = wide ? 8 : 4;
  // With wide numbers the second count is the only one that must be there.
  const count = Math.min(Math.max(view.getUint8(0), wide ? view.getUint8(1) : 0), MAX_RECORDED_SHORT);
  const kindBytes = volume.geometry.hasKinds ? 1 : 0;
  let at = 2 + numberBytes;
  for (let index = 0; index < count; index += 1) {
    need(at, 3);
    const nameBytes = view.getUint8(at);
    const end = at + 3 + nameBytes;
    need(at, 3 + nameBytes + kindBytes + numberBytes);
    const numberAt = end + kindBytes;
    yield {
      inode: wide ? numberAtWide(view, numberAt) : view.getUint32(numberAt),
      kind: kindBytes === 0 ? undefined : kindOfEntry(view.getUint8(end)),
      name: used.subarray(at + 3, end),
      offset: offset + at,
    };
    at = numberAt + numberBytes;
  }
}

function* blockRecords(volume: XfsVolume, inode: XfsInode): Generator<XfsRecord> {
  const { blockBytes, directoryBytes, blocks } = volume.geometry;
  const size = Math.min(inode.size, INDEX_AT_BYTES);
  if (size > blocks * blockBytes) {
    const detail = `${inode.size} of directory ${inode.number}, expected at most ${blocks * blockBytes}`;
    throw new ParseError('invalid', 'di_size', inode.offset + 56, detail);
  }
  const whole = Math.ceil(size / directoryBytes) * directoryBytes;
  const contents = forkSource(volume, inode, inode.data, whole);
  const lookup = forkLookup(volume, inode, inode.data);
  for (let at = 0; at < whole;) {
    const run = lookup(at / blockBytes);
    if (run.place === undefined) {
      const next = (run.first + run.length) * blockBytes;
      at = Math.max(Math.floor(next / directoryBytes) * directoryBytes, at + directoryBytes);
      continue;
    }
    const offset = (run.place + (at / blockBytes - run.first)) * blockBytes;
    yield* recordsIn(volume, inode, contents.read(at, directoryBytes), offset);
    at += directoryBytes;
  }
}

function* recordsIn(volume: XfsVolume, inode: XfsInode, block: Uint8Array, offset: number): Generator<XfsRecord> {
  const { version, hasKinds } = volume.geometry;
  const view = new DataView(block.buffer, block.byteOffset, block.byteLength);
  const [single, many] = MAGICS[version];
  const magic = view.getUint32(0);
  if (magic !== single && magic !== many) {
    const detail = `0x${magic.toString(16)} in directory ${inode.number}, expected a block of entries`;
    throw new ParseError('invalid', 'directory magic', offset, detail);
  }
  volume.verify(block, CHECKSUM_AT, `checksum of a block of directory ${inode.number}`, offset);
  const start = version === 5 ? HEADER_BYTES_V5 : HEADER_BYTES_V4;
  const end = magic === single ? endOfSingle(view, inode, start, offset) : block.length;
  for (let at = start; at < end;) {
    const left = end - at;
    const unused = left >= ALIGN && view.getUint16(at) === UNUSED;
    const nameBytes = unused || left < ALIGN + 1 ? 0 : view.getUint8(at + 8);
    const length = unused ? view.getUint16(at + 2) : (8 + 1 + nameBytes + (hasKinds ? 1 : 0) + 2 + ALIGN - 1) & -ALIGN;
    if (length < ALIGN || length % ALIGN !== 0 || length > left) {
      const detail = `${length} of an entry of directory ${inode.number}, expected a multiple of 8 up to ${left}`;
      throw new ParseError('invalid', 'entry length', offset + at, detail);
    }
    if (!unused) {
      const name = block.subarray(at + 9, at + 9 + nameBytes);
      const kind = hasKinds ? kindOfEntry(view.getUint8(at + 9 + nameBytes)) : undefined;
      if (!isDotOrDots(name)) yield { inode: numberAtWide(view, at), kind, name, offset: offset + at };
    }
    at += length;
  }
}

/** A directory of one block has its index behind the entries, and counts of that at the very end. */
function endOfSingle(view: DataView, inode: XfsInode, start: number, offset: number): number {
  const tail = view.byteLength - BLOCK_TAIL_BYTES;
  const count = view.getUint32(tail);
  const end = tail - count * LEAF_ENTRY_BYTES;
  if (end >= start) return end;
  throw new ParseError('invalid', 'btp_count', offset + tail, `${count} of directory ${inode.number}, expected less`);
}

function numberAtWide(view: DataView, at: number): number {
  return view.getUint32(at) * 2 ** 32 + view.getUint32(at + 4);
}

function isDotOrDots(name: Uint8Array): boolean {
  return name.length > 0 && name.length <= 2 && name.every((byte) => byte === 0x2e);
}
