// The index of a large ext directory: from the hash of a name to the blocks that may hold it (Linux
// Documentation/filesystems/ext4, "Hash Tree Directories"). Levels are counted down, so no loop can form.
import { ParseError } from '@ringwall/bytes';
import { crc32c } from '../../checksum/crc.ts';
import { findRecord, verifyRecords, type RecordBlock } from './directory-block.ts';
import { INCOMPAT } from './features.ts';
import { directoryHash } from './htree-hash.ts';
import type { ExtInode } from './inode.ts';
import type { ExtVolume } from './volume.ts';

const ROOT_INFO_AT = 0x18;
const ROOT_INFO_BYTES = 8;
/** Behind a record that spans the block and names no inode, so that old readers pass over a node. */
const NODE_LIMIT_AT = 8;
const ENTRY_BYTES = 8;
const TAIL_BYTES = 8;
const BLOCK_BITS = 0x0fffffff;
const MAX_INDIRECT_LEVELS = 1;
const MAX_INDIRECT_LEVELS_LARGE = 2;
const LEAFS_OF_ONE_HASH = 64;

interface IndexNode {
  readonly view: DataView;
  readonly offset: number;
  /** Where the entries begin: the first has its counts in place of a hash. */
  readonly entriesAt: number;
  readonly count: number;
}

/** Where a search stands in one node. */
interface Step {
  readonly node: IndexNode;
  index: number;
}

/**
 * The inode that an indexed directory gives to `name`, 0 where it has none, undefined where the index hashes in a way that
 * is not known here. `blockAt` reads block `n` of the directory.
 */
export function findIndexed(
  volume: ExtVolume,
  inode: ExtInode,
  blockAt: (block: number) => RecordBlock,
  name: Uint8Array,
): number | undefined {
  const root = blockAt(0);
  const info = parseRootInfo(volume, inode, root);
  const hash = directoryHash(info.version, volume.geometry.unsignedHash, volume.geometry.hashSeed, name);
  if (hash === undefined) return undefined;

  const path: Step[] = [stepInto(parseNode(inode, root, ROOT_INFO_AT + ROOT_INFO_BYTES), hash)];
  for (let level = 0; level < info.levels; level += 1) {
    path.push(stepInto(nodeBelow(inode, blockAt, path.at(-1)), hash));
  }
  // Names of one hash may go on in the next leafs.
  for (let leafs = 0; leafs < LEAFS_OF_ONE_HASH; leafs += 1) {
    const leaf = blockAt(childOf(path.at(-1)));
    verifyRecords(inode, leaf);
    const found = findRecord(volume, leaf, name);
    if (found !== 0) return found;
    if (!advance(inode, blockAt, path, hash)) return 0;
  }
  throw new ParseError('limit', 'htree', inode.offset, `of directory ${inode.number} has over 64 leafs of one hash`);
}

/** Verifies the checksum of a block that is part of the index: the root, or a node where it looks like one. */
export function verifyIndexBlock(inode: ExtInode, block: RecordBlock, isRoot: boolean): void {
  parseNode(inode, block, isRoot ? ROOT_INFO_AT + ROOT_INFO_BYTES : NODE_LIMIT_AT);
}

/** Whether a block of an indexed directory is a node below the root: one record spans it and names no inode. */
export function isIndexNode(block: RecordBlock): boolean {
  const view = new DataView(block.bytes.buffer, block.bytes.byteOffset, block.bytes.byteLength);
  const length = view.getUint16(4, true);
  return view.getUint32(0, true) === 0 && (length === block.bytes.length || length === 0 || length === 0xffff);
}

function parseRootInfo(volume: ExtVolume, inode: ExtInode, root: RecordBlock): { version: number; levels: number } {
  const { bytes, offset } = root;
  const infoBytes = bytes[ROOT_INFO_AT + 5];
  if (infoBytes !== ROOT_INFO_BYTES) {
    const detail = `${infoBytes} of directory ${inode.number}, expected ${ROOT_INFO_BYTES}`;
    throw new ParseError('invalid', 'info_length', offset + ROOT_INFO_AT + 5, detail);
  }
  const levels = bytes[ROOT_INFO_AT + 6] ?? 0;
  const most = volume.geometry.incompat & INCOMPAT.largedir ? MAX_INDIRECT_LEVELS_LARGE : MAX_INDIRECT_LEVELS;
  if (levels > most) {
    const detail = `${levels} of directory ${inode.number}, expected at most ${most}`;
    throw new ParseError('invalid', 'indirect_levels', offset + ROOT_INFO_AT + 6, detail);
  }
  return { version: bytes[ROOT_INFO_AT + 4] ?? 0, levels };
}

function parseNode(inode: ExtInode, block: RecordBlock, entriesAt: number): IndexNode {
  const { bytes, offset } = block;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const limit = view.getUint16(entriesAt, true);
  const count = view.getUint16(entriesAt + 2, true);
  const checked = inode.checksumSeed === undefined ? 0 : TAIL_BYTES;
  const room = Math.floor((bytes.length - entriesAt - checked) / ENTRY_BYTES);
  if (limit !== room) {
    throw new ParseError(
      'invalid',
      'dx limit',
      offset + entriesAt,
      `${limit} of directory ${inode.number}, expected ${room}`,
    );
  }
  if (count < 1 || count > limit) {
    const detail = `${count} of directory ${inode.number}, expected 1 to ${limit}`;
    throw new ParseError('invalid', 'dx count', offset + entriesAt + 2, detail);
  }
  if (inode.checksumSeed !== undefined) verifyTail(inode, inode.checksumSeed, block, view, entriesAt, limit, count);
  return { view, offset, entriesAt, count };
}

function verifyTail(
  inode: ExtInode,
  seed: number,
  { bytes, offset }: RecordBlock,
  view: DataView,
  entriesAt: number,
  limit: number,
  count: number,
): void {
  const tail = entriesAt + limit * ENTRY_BYTES;
  const entries = crc32c(seed, bytes, 0, entriesAt + count * ENTRY_BYTES);
  const expected = crc32c(crc32c(entries, bytes, tail, tail + 4), new Uint8Array(4));
  const stored = view.getUint32(tail + 4, true);
  if (stored === expected) return;
  const detail = `0x${stored.toString(16)} in the index of directory ${inode.number}, expected 0x${expected.toString(16)}`;
  throw new ParseError('invalid', 'dt_checksum', offset + tail + 4, detail);
}

function stepInto(node: IndexNode, hash: number): Step {
  let low = 1;
  let high = node.count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (hashAt(node, middle) <= hash) low = middle + 1;
    else high = middle;
  }
  return { node, index: low - 1 };
}

/** Moves on to the next leaf where the index says that names of this hash go on there. */
function advance(inode: ExtInode, blockAt: (block: number) => RecordBlock, path: Step[], hash: number): boolean {
  let level = path.length - 1;
  while (level >= 0) {
    const step = path[level];
    if (step === undefined) return false;
    step.index += 1;
    if (step.index < step.node.count) break;
    level -= 1;
  }
  const turned = path[level];
  // The lowest bit of an index entry says that its leaf continues the one before.
  if (turned === undefined || (hashAt(turned.node, turned.index) & ~1) >>> 0 !== hash) return false;
  for (let below = level + 1; below < path.length; below += 1) {
    path[below] = { node: nodeBelow(inode, blockAt, path[below - 1]), index: 0 };
  }
  return true;
}

function nodeBelow(inode: ExtInode, blockAt: (block: number) => RecordBlock, step: Step | undefined): IndexNode {
  return parseNode(inode, blockAt(childOf(step)), NODE_LIMIT_AT);
}

function childOf(step: Step | undefined): number {
  if (step === undefined) return 0;
  return step.node.view.getUint32(step.node.entriesAt + step.index * ENTRY_BYTES + 4, true) & BLOCK_BITS;
}

function hashAt(node: IndexNode, index: number): number {
  return node.view.getUint32(node.entriesAt + index * ENTRY_BYTES, true);
}
