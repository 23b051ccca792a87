// A directory of an ext file system: its blocks in order, or its index, or the records in its inode.
import { ParseError } from '@ringwall/bytes';
import { decodeFileName, encodeFileName } from '../file-name.ts';
import { inlineValue } from './attribute-entries.ts';
import { blockLookup, inlineBytes } from './contents.ts';
import { findRecord, recordsIn, verifyRecords, type DirectoryRecord, type RecordBlock } from './directory-block.ts';
import { COMPAT, INODE_FLAGS } from './features.ts';
import { findIndexed, isIndexNode, verifyIndexBlock } from './htree.ts';
import { I_BLOCK_AT, I_BLOCK_BYTES, type ExtInode } from './inode.ts';
import type { ExtVolume } from './volume.ts';

/** Bytes of a directory that are read at once. */
const READ_AHEAD_BYTES = 65_536;
const PARENT_BYTES = 4;
const MAX_NAME_BYTES = 255;

/** The records of a directory, without '.' and '..'. */
export function* directoryRecords(volume: ExtVolume, inode: ExtInode): Generator<DirectoryRecord> {
  for (const block of recordBlocks(volume, inode)) {
    for (const record of recordsIn(volume, block)) {
      if (!isDotOrDots(record.name)) yield record;
    }
  }
}

/** How a record is called: encrypted names, which can hold any byte, as base64url. */
export function nameOf(inode: ExtInode, name: Uint8Array): string {
  if (!(inode.flags & INODE_FLAGS.encrypt)) return decodeFileName(name);
  return btoa(String.fromCharCode(...name))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replaceAll('=', '');
}

/** The inode that a directory gives to `name`, 0 where it has none. */
export function findInDirectory(volume: ExtVolume, inode: ExtInode, name: string): number {
  if (name === '' || name === '.' || name === '..') return 0;
  if (inode.flags & (INODE_FLAGS.encrypt | INODE_FLAGS.casefold)) return findByRule(volume, inode, name);
  const bytes = encodeFileName(name);
  if (bytes.length > MAX_NAME_BYTES) return 0;
  if (isIndexed(volume, inode)) {
    const found = findIndexed(volume, inode, blockReader(volume, inode), bytes);
    if (found !== undefined) return found;
  }
  for (const block of recordBlocks(volume, inode)) {
    const found = findRecord(volume, block, bytes);
    if (found !== 0) return found;
  }
  return 0;
}

/** Equality that is not that of bytes: of encrypted names as they are shown, or without regard to case. */
function findByRule(volume: ExtVolume, inode: ExtInode, name: string): number {
  const folds = (inode.flags & (INODE_FLAGS.encrypt | INODE_FLAGS.casefold)) === INODE_FLAGS.casefold;
  const wanted = folds ? folded(name) : name;
  let folding = 0;
  for (const record of directoryRecords(volume, inode)) {
    const found = nameOf(inode, record.name);
    if (found === name) return record.inode;
    if (folds && folding === 0 && folded(found) === wanted) folding = record.inode;
  }
  return folding;
}

/** Close to the kernel's rule (NFD, then case folding): upper case first makes 'ß' and 'ss' one. */
function folded(name: string): string {
  return name.normalize('NFD').toUpperCase().toLowerCase().normalize('NFD');
}

/** Blocks that hold records, verified; those of the index hold none that name an inode. */
function* recordBlocks(volume: ExtVolume, inode: ExtInode): Generator<RecordBlock> {
  if (inode.flags & INODE_FLAGS.inline_data) {
    yield* inlineBlocks(inode);
    return;
  }
  const { blockBytes } = volume.geometry;
  const lookup = blockLookup(volume, inode);
  const blocks = blocksOf(volume, inode);
  const indexed = isIndexed(volume, inode);
  for (let at = 0; at < blocks;) {
    const run = lookup(at);
    const end = Math.min(run.first + run.length, blocks);
    // A kernel passes over a hole, too.
    if (run.start === undefined) {
      at = end;
      continue;
    }
    const count = Math.min(end - at, Math.max(READ_AHEAD_BYTES / blockBytes, 1));
    const offset = volume.offsetOf(run.start + (at - run.first));
    const bytes = volume.source.read(offset, count * blockBytes);
    for (let index = 0; index < count; index += 1) {
      const start = index * blockBytes;
      const block = { bytes: bytes.subarray(start, start + blockBytes), offset: offset + start };
      verifyBlock(inode, block, indexed, at + index === 0);
      yield block;
    }
    at += count;
  }
}

function verifyBlock(inode: ExtInode, block: RecordBlock, indexed: boolean, isFirst: boolean): void {
  if (inode.checksumSeed === undefined) return;
  if (indexed && (isFirst || isIndexNode(block))) verifyIndexBlock(inode, block, isFirst);
  else verifyRecords(inode, block);
}

/** Records in the inode: behind the number of the parent, and again in the attribute that continues the contents. */
function inlineBlocks(inode: ExtInode): RecordBlock[] {
  const bytes = inlineBytes(inode);
  const first = bytes.subarray(PARENT_BYTES, Math.min(I_BLOCK_BYTES, bytes.length));
  const blocks = [{ bytes: first, offset: inode.offset + I_BLOCK_AT + PARENT_BYTES }];
  const rest = inode.size > I_BLOCK_BYTES ? inlineValue(inode).subarray(0, inode.size - I_BLOCK_BYTES) : undefined;
  // The value's place in the inode is its owner's: errors name the inode.
  if (rest !== undefined && rest.length > 0) blocks.push({ bytes: rest, offset: inode.offset });
  return blocks;
}

function blockReader(volume: ExtVolume, inode: ExtInode): (block: number) => RecordBlock {
  const { blockBytes } = volume.geometry;
  const lookup = blockLookup(volume, inode);
  const blocks = blocksOf(volume, inode);
  return (block) => {
    const run = block < blocks ? lookup(block) : undefined;
    if (run?.start === undefined) {
      const detail = `${block} of directory ${inode.number}, expected a block below ${blocks} that is no hole`;
      throw new ParseError('invalid', 'dx block', inode.offset, detail);
    }
    const offset = volume.offsetOf(run.start + (block - run.first));
    return { bytes: volume.source.read(offset, blockBytes), offset };
  };
}

function blocksOf(volume: ExtVolume, inode: ExtInode): number {
  return Math.ceil(inode.size / volume.geometry.blockBytes);
}

function isIndexed(volume: ExtVolume, inode: ExtInode): boolean {
  if (inode.flags & INODE_FLAGS.inline_data || !(inode.flags & INODE_FLAGS.index)) return false;
  return (volume.geometry.compat & COMPAT.dir_index) !== 0;
}

function isDotOrDots(name: Uint8Array): boolean {
  return name.length <= 2 && name.every((byte) => byte === 0x2e) && name.length > 0;
}
