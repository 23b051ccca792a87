// The map of an XFS fork: extents in the inode, or a B+tree of them (XFS Algorithms & Data Structures, "Data Extents"). A
// node may only speak of the blocks that its parent gave it, and levels are counted down, so neither loop nor overlap can form.
import { ParseError } from '@ringwall/bytes';
import type { ByteSource } from '../../source/byte-source.ts';
import { mappedSource } from '../mapped-source.ts';
import type { Fork, XfsInode } from './inode.ts';
import type { XfsVolume } from './volume.ts';

const EXTENT_BYTES = 16;
const ROOT_HEADER_BYTES = 4;
const HEADER_BYTES_V4 = 24;
const HEADER_BYTES_V5 = 72;
const MAGIC_V4 = 0x424d4150;
const MAGIC_V5 = 0x424d4133;
const CHECKSUM_AT = 64;
/** XFS_BM_MAXLEVELS: what 2^48 extents take in the smallest blocks is far less. */
const MAX_LEVELS = 16;
/** File offsets have 54 bits. */
const FILE_BLOCKS = 2 ** 53;

/** `length` blocks of the file from `first` on lie at `place`, in blocks of the disk; undefined is a hole. */
export interface BlockRun {
  readonly first: number;
  readonly length: number;
  readonly place: number | undefined;
}

/** Records of one level: extents at level 0, else keys with pointers. */
interface Node {
  readonly view: DataView;
  readonly offset: number;
  readonly level: number;
  readonly count: number;
  readonly recordsAt: number;
  readonly pointersAt: number;
  readonly low: number;
  readonly high: number;
}

/** The bytes of a fork of `size`; blocks that were allocated and never written read as zeros. */
export function forkSource(volume: XfsVolume, inode: XfsInode, fork: Fork, size: number): ByteSource {
  const lookup = forkLookup(volume, inode, fork);
  const { blockBytes } = volume.geometry;
  return mappedSource(
    volume.source,
    size,
    (offset) => {
      const run = lookup(Math.floor(offset / blockBytes));
      const from = run.place === undefined ? undefined : run.place * blockBytes;
      return { at: run.first * blockBytes, length: run.length * blockBytes, from };
    },
    `contents of inode ${inode.number}`,
  );
}

/** The run that contains a block of the fork. */
export function forkLookup(volume: XfsVolume, inode: XfsInode, fork: Fork): (block: number) => BlockRun {
  const root = rootOf(inode, fork);
  let leaf: Node | undefined = root.level === 0 ? root : undefined;
  return (block) => {
    if (leaf !== undefined && block >= leaf.low && block < leaf.high) return runIn(volume, leaf, block);
    let node = root;
    while (node.level > 0) {
      const index = lastAtOrBefore(node, block);
      if (index < 0) return { first: block, length: keyAt(node, 0) - block, place: undefined };
      node = childOf(volume, inode, node, index);
    }
    leaf = node;
    return runIn(volume, leaf, block);
  };
}

function rootOf(inode: XfsInode, fork: Fork): Node {
  const view = new DataView(fork.bytes.buffer, fork.bytes.byteOffset, fork.bytes.byteLength);
  const whole = { view, offset: fork.offset, low: 0, high: FILE_BLOCKS };
  if (fork.format === 'extents') {
    const room = Math.floor(fork.bytes.length / EXTENT_BYTES);
    if (fork.extents > room) {
      const detail = `${fork.extents} of inode ${inode.number}, expected at most ${room}`;
      throw new ParseError('invalid', 'di_nextents', inode.offset + 76, detail);
    }
    return checked(inode, { ...whole, level: 0, count: fork.extents, recordsAt: 0, pointersAt: 0 });
  }
  if (fork.format !== 'btree') {
    throw new ParseError(
      'invalid',
      'di_format',
      inode.offset + 5,
      `${fork.format} of inode ${inode.number}, expected a map`,
    );
  }
  const level = view.getUint16(0);
  const count = view.getUint16(2);
  const most = Math.floor((fork.bytes.length - ROOT_HEADER_BYTES) / EXTENT_BYTES);
  if (level < 1 || level > MAX_LEVELS) {
    throw new ParseError(
      'invalid',
      'bb_level',
      fork.offset,
      `${level} of inode ${inode.number}, expected 1 to ${MAX_LEVELS}`,
    );
  }
  if (count > most) {
    throw new ParseError('invalid', 'bb_numrecs', fork.offset + 2, `${count}, expected at most ${most}`);
  }
  const recordsAt = ROOT_HEADER_BYTES;
  return checked(inode, { ...whole, level, count, recordsAt, pointersAt: recordsAt + most * 8 });
}

function childOf(volume: XfsVolume, inode: XfsInode, parent: Node, index: number): Node {
  const { version, blockBytes } = volume.geometry;
  const at = parent.pointersAt + index * 8;
  const number = parent.view.getUint32(at) * 2 ** 32 + parent.view.getUint32(at + 4);
  const place = volume.placeOf(number, 1, `bmbt pointer of inode ${inode.number}`, parent.offset + at);
  const bytes = volume.block(place);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const offset = place * blockBytes;
  const magic = view.getUint32(0);
  if (magic !== (version === 5 ? MAGIC_V5 : MAGIC_V4)) {
    throw new ParseError('invalid', 'bb_magic', offset, `0x${magic.toString(16)} in the map of inode ${inode.number}`);
  }
  volume.verify(bytes, CHECKSUM_AT, `bb_crc in the map of inode ${inode.number}`, offset);
  const level = view.getUint16(4);
  if (level !== parent.level - 1) {
    throw new ParseError('invalid', 'bb_level', offset + 4, `${level}, expected ${parent.level - 1}`);
  }
  const recordsAt = version === 5 ? HEADER_BYTES_V5 : HEADER_BYTES_V4;
  const most = Math.floor((blockBytes - recordsAt) / EXTENT_BYTES);
  const count = view.getUint16(6);
  if (count > most) throw new ParseError('invalid', 'bb_numrecs', offset + 6, `${count}, expected at most ${most}`);
  const high = index + 1 < parent.count ? keyAt(parent, index + 1) : parent.high;
  const low = keyAt(parent, index);
  return checked(inode, { view, offset, level, count, recordsAt, pointersAt: recordsAt + most * 8, low, high });
}

/** Refuses records that are not sorted within what the node speaks of. */
function checked(inode: XfsInode, node: Node): Node {
  let end = node.low;
  for (let index = 0; index < node.count; index += 1) {
    const first = keyAt(node, index);
    const length = node.level === 0 ? lengthAt(node, index) : 1;
    if (first < end || length === 0 || first + length > node.high) {
      const at = node.offset + node.recordsAt + index * (node.level === 0 ? EXTENT_BYTES : 8);
      const detail = `${first} with ${length} blocks in inode ${inode.number}, expected from ${end} to ${node.high}`;
      throw new ParseError('invalid', 'br_startoff', at, detail);
    }
    end = first + length;
  }
  return node;
}

function runIn(volume: XfsVolume, leaf: Node, block: number): BlockRun {
  const index = lastAtOrBefore(leaf, block);
  const first = index < 0 ? leaf.low : keyAt(leaf, index);
  const length = index < 0 ? 0 : lengthAt(leaf, index);
  if (block >= first + length) {
    const next = index + 1 < leaf.count ? keyAt(leaf, index + 1) : leaf.high;
    return { first: block, length: next - block, place: undefined };
  }
  const at = leaf.recordsAt + index * EXTENT_BYTES;
  const unwritten = leaf.view.getUint8(at) >= 0x80;
  if (unwritten) return { first, length, place: undefined };
  const middle = leaf.view.getUint32(at + 4);
  const number =
    (middle & 0x1ff) * 2 ** 43 + leaf.view.getUint32(at + 8) * 2 ** 11 + (leaf.view.getUint32(at + 12) >>> 21);
  return { first, length, place: volume.placeOf(number, length, 'br_startblock', leaf.offset + at) };
}

function lastAtOrBefore(node: Node, block: number): number {
  let low = 0;
  let high = node.count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (keyAt(node, middle) <= block) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** The first block of the file that a record speaks of: of an extent, 54 bits behind a flag. */
function keyAt(node: Node, index: number): number {
  if (node.level > 0) {
    const at = node.recordsAt + index * 8;
    return node.view.getUint32(at) * 2 ** 32 + node.view.getUint32(at + 4);
  }
  const at = node.recordsAt + index * EXTENT_BYTES;
  return (node.view.getUint32(at) & 0x7fffffff) * 2 ** 23 + (node.view.getUint32(at + 4) >>> 9);
}

function lengthAt(node: Node, index: number): number {
  return node.view.getUint32(node.recordsAt + index * EXTENT_BYTES + 12) & 0x1fffff;
}
