// The extent tree: runs of blocks in sorted nodes, the root of which lies in the inode (Linux
// Documentation/filesystems/ext4, "Extent Tree"; fs/ext4/extents.c for what a kernel refuses). A node may only speak of the
// blocks that its parent gave it, and depth is counted down, so neither loop nor overlap can form.
import { ParseError } from '@ringwall/bytes';
import { crc32c } from '../../checksum/crc.ts';
import type { BlockRun } from './block-run.ts';
import { I_BLOCK_AT, I_BLOCK_BYTES, type ExtInode } from './inode.ts';
import type { ExtVolume } from './volume.ts';

const MAGIC = 0xf30a;
const HEADER_BYTES = 12;
const ENTRY_BYTES = 12;
/** EXT4_MAX_EXTENT_DEPTH: five levels address 2^32 blocks even in blocks of 1,024 bytes. */
const MAX_DEPTH = 5;
/** An extent longer than this is allocated but not written: it reads as zeros, and is as long as what is beyond. */
const MAX_INITIALISED_BLOCKS = 0x8000;
const FILE_BLOCKS = 2 ** 32;

interface ExtentNode {
  readonly view: DataView;
  readonly offset: number;
  readonly depth: number;
  readonly entries: number;
  /** The node speaks of blocks `low` to `high` - 1 of the file. */
  readonly low: number;
  readonly high: number;
}

/** The lookup of `inode`: the run that contains a block of the file. */
export function extentsOf(volume: ExtVolume, inode: ExtInode): (block: number) => BlockRun {
  const root = parseNode(
    volume,
    inode,
    inode.bytes.subarray(I_BLOCK_AT, I_BLOCK_AT + I_BLOCK_BYTES),
    { offset: inode.offset + I_BLOCK_AT, low: 0, high: FILE_BLOCKS },
    undefined,
  );
  let leaf: ExtentNode | undefined = root.depth === 0 ? root : undefined;
  return (block) => {
    if (leaf !== undefined && block >= leaf.low && block < leaf.high) return runIn(leaf, block);
    const node = leafFor(volume, inode, root, block);
    if (node.depth > 0) return holeIn(node, block);
    leaf = node;
    return runIn(leaf, block);
  };
}

/** The leaf that speaks of `block`; a node above it where that says that there is nothing. */
function leafFor(volume: ExtVolume, inode: ExtInode, root: ExtentNode, block: number): ExtentNode {
  let node = root;
  while (node.depth > 0) {
    const index = lastAtOrBefore(node, block);
    if (index < 0) return node;
    const at = HEADER_BYTES + index * ENTRY_BYTES;
    const child = node.view.getUint32(at + 4, true) + node.view.getUint16(at + 8, true) * 2 ** 32;
    volume.checkBlocks(child, 1, 'ei_leaf', node.offset + at + 4);
    const place = {
      offset: volume.offsetOf(child),
      low: node.view.getUint32(at, true),
      high: index + 1 < node.entries ? node.view.getUint32(at + ENTRY_BYTES, true) : node.high,
    };
    node = parseNode(volume, inode, volume.block(child), place, node.depth - 1);
  }
  return node;
}

function runIn(leaf: ExtentNode, block: number): BlockRun {
  const index = lastAtOrBefore(leaf, block);
  if (index < 0) return holeIn(leaf, block);
  const at = HEADER_BYTES + index * ENTRY_BYTES;
  const first = leaf.view.getUint32(at, true);
  const stored = leaf.view.getUint16(at + 4, true);
  const length = blocksOf(stored);
  if (block >= first + length) {
    const next = index + 1 < leaf.entries ? leaf.view.getUint32(at + ENTRY_BYTES, true) : leaf.high;
    return { first: first + length, length: next - (first + length), start: undefined };
  }
  const written = stored <= MAX_INITIALISED_BLOCKS;
  return { first, length, start: written ? startOf(leaf.view, at) : undefined };
}

/** What lies before the first entry of a node. */
function holeIn(node: ExtentNode, block: number): BlockRun {
  const end = node.entries === 0 ? node.high : node.view.getUint32(HEADER_BYTES, true);
  return { first: block, length: end - block, start: undefined };
}

function lastAtOrBefore(node: ExtentNode, block: number): number {
  let low = 0;
  let high = node.entries;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (node.view.getUint32(HEADER_BYTES + middle * ENTRY_BYTES, true) <= block) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

function parseNode(
  volume: ExtVolume,
  inode: ExtInode,
  bytes: Uint8Array,
  place: { readonly offset: number; readonly low: number; readonly high: number },
  expectedDepth: number | undefined,
): ExtentNode {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const refuse = (field: string, at: number, detail: string): ParseError =>
    new ParseError('invalid', field, place.offset + at, `${detail} in the extents of inode ${inode.number}`);

  const magic = view.getUint16(0, true);
  if (magic !== MAGIC) throw refuse('eh_magic', 0, `0x${magic.toString(16)}, expected 0x${MAGIC.toString(16)}`);
  const entries = view.getUint16(2, true);
  const most = view.getUint16(4, true);
  const room = Math.floor((bytes.length - HEADER_BYTES) / ENTRY_BYTES);
  if (most > room) throw refuse('eh_max', 4, `${most}, expected at most ${room}`);
  if (entries > most) throw refuse('eh_entries', 2, `${entries}, expected at most ${most}`);
  const depth = view.getUint16(6, true);
  if (expectedDepth === undefined ? depth > MAX_DEPTH : depth !== expectedDepth) {
    throw refuse('eh_depth', 6, `${depth}, expected ${expectedDepth ?? `at most ${MAX_DEPTH}`}`);
  }
  if (expectedDepth !== undefined) verifyTail(inode, bytes, view, HEADER_BYTES + most * ENTRY_BYTES, place.offset);

  let end = place.low;
  for (let index = 0; index < entries; index += 1) {
    const at = HEADER_BYTES + index * ENTRY_BYTES;
    const first = view.getUint32(at, true);
    const length = depth === 0 ? blocksOf(view.getUint16(at + 4, true)) : 1;
    if (length === 0) throw refuse('ee_len', at + 4, '0, expected at least 1');
    if (first < end || first + length > place.high) {
      const what = depth === 0 ? 'ee_block' : 'ei_block';
      throw refuse(what, at, `${first} with ${length} blocks, expected from ${end} to ${place.high}`);
    }
    if (depth === 0) volume.checkBlocks(startOf(view, at), length, 'ee_start', place.offset + at + 8);
    end = first + length;
  }
  return { view, offset: place.offset, depth, entries, low: place.low, high: place.high };
}

function verifyTail(inode: ExtInode, bytes: Uint8Array, view: DataView, tail: number, offset: number): void {
  if (inode.checksumSeed === undefined) return;
  if (tail + 4 > bytes.length) {
    throw new ParseError(
      'truncated',
      'et_checksum',
      offset + tail,
      `of inode ${inode.number} has no room in its block`,
    );
  }
  const stored = view.getUint32(tail, true);
  const expected = crc32c(inode.checksumSeed, bytes, 0, tail);
  if (stored === expected) return;
  const detail = `0x${stored.toString(16)} of an extent block of inode ${inode.number}, expected 0x${expected.toString(16)}`;
  throw new ParseError('invalid', 'et_checksum', offset + tail, detail);
}

function startOf(view: DataView, at: number): number {
  return view.getUint32(at + 8, true) + view.getUint16(at + 6, true) * 2 ** 32;
}

function blocksOf(stored: number): number {
  return stored <= MAX_INITIALISED_BLOCKS ? stored : stored - MAX_INITIALISED_BLOCKS;
}
