// Files that were deleted and can still be read: inodes that nothing names any more, and copies of inodes that the journal
// keeps from before their deletion. What else uses their blocks by now is counted, by the block bitmaps.
import { ParseError } from '@ringwall/bytes';
import { DiskError } from '../../disk-error.ts';
import { checkFileName, decodeFileName } from '../file-name.ts';
import type { DeletedFile } from '../file-system.ts';
import { blockLookup } from './contents.ts';
import { recordsIn } from './directory-block.ts';
import { INODE_FLAGS } from './features.ts';
import { parseInode, type ExtInode } from './inode.ts';
import { JournalHistory, type PastCopy } from './journal/journal-history.ts';
import { ExtNode } from './node.ts';
import type { ExtVolume } from './volume.ts';

/** What a walk may still look up. */
interface Budget {
  blocks: number;
}

interface PastName {
  readonly name: string;
  readonly sequence: number;
}

/** Deleted files that names are looked for; each name takes some hundred bytes, and a journal has millions of them. */
const MAX_NAMED_FILES = 65_536;
/** Names that one number had one after another. */
const MAX_PAST_NAMES = 4;
/** Blocks that are looked up to see who owns them: 256 GiB of the usual ones, in a second or two. Each inode can claim all. */
const MAX_LOOKED_UP_BLOCKS = 2 ** 26;
const FORMAT_MASK = 0xf000;
const REGULAR = 0x8000;

/** `volume` is the file system as it is now. */
export function* deletedFiles(volume: ExtVolume): Generator<DeletedFile> {
  const budget = { blocks: MAX_LOOKED_UP_BLOCKS };
  yield* unnamedInodes(volume, budget);
  if (volume.geometry.journalInode === 0) return;
  const history = attempt(() => new JournalHistory(volume));
  if (history !== undefined) yield* journalledInodes(volume, history, budget);
}

/** Inodes in their tables: those that are still in use lost their last name while a program had them open. */
function* unnamedInodes(volume: ExtVolume, budget: Budget): Generator<DeletedFile> {
  const { groups, inodesPerGroup } = volume.geometry;
  for (let group = 0; group < groups; group += 1) {
    const descriptor = attempt(() => volume.group(group));
    if (descriptor === undefined || descriptor.inodesUninitialised) continue;
    for (let index = 0; index < inodesPerGroup; index += 1) {
      const number = group * inodesPerGroup + index + 1;
      const inode = attempt(() => deletedInode(volume, number));
      if (inode === undefined) continue;
      const inUse = isSet(volume.block(descriptor.inodeBitmap), index);
      const overwrittenBlocks = inUse ? 0 : attempt(() => blocksInUse(volume, volume, inode, budget));
      refuseOverdrawn(budget);
      if (overwrittenBlocks !== undefined) {
        yield { name: undefined, node: new ExtNode(volume, inode), overwrittenBlocks };
      }
    }
  }
}

function deletedInode(volume: ExtVolume, number: number): ExtInode | undefined {
  const bytes = volume.inodeBytes(number);
  if (!isRegular(bytes) || !isGone(bytes)) return undefined;
  const inode = parseInode(volume, number, bytes, volume.inodeOffset(number));
  return hasBlocks(volume, inode) ? inode : undefined;
}

/** The newest copy of each inode that was in use then and is not any more. */
function* journalledInodes(volume: ExtVolume, history: JournalHistory, budget: Budget): Generator<DeletedFile> {
  const copies = history.copies();
  const firstInodes = inodeTables(volume, new Set(copies.map(({ block }) => block)));
  const names = namesIn(volume, history, copies, {
    tables: firstInodes,
    wanted: goneNumbers(volume, history, copies, firstInodes),
  });
  const seen = new Set<string>();
  const { inodeBytes, blockBytes } = volume.geometry;
  for (const copy of copies) {
    const first = firstInodes.get(copy.block);
    if (first === undefined) continue;
    const block = history.bytesOf(copy);
    for (let at = 0; at < blockBytes; at += inodeBytes) {
      const number = first + at / inodeBytes;
      const bytes = block.subarray(at, at + inodeBytes);
      if (!isRegular(bytes) || isGone(bytes)) continue;
      const found = attempt(() => goneSince(volume, history, { number, bytes, copy, at }, budget));
      refuseOverdrawn(budget);
      const key = `${number} ${found?.inode.generation}`;
      if (found === undefined || seen.has(key)) continue;
      seen.add(key);
      const { overwrittenBlocks, past, inode } = found;
      const name = names.get(number)?.find(({ sequence }) => sequence <= copy.sequence)?.name;
      yield { name, node: new ExtNode(past, inode), overwrittenBlocks };
    }
  }
}

function goneSince(
  volume: ExtVolume,
  history: JournalHistory,
  place: { readonly number: number; readonly bytes: Uint8Array; readonly copy: PastCopy; readonly at: number },
  budget: Budget,
): { inode: ExtInode; past: ExtVolume; overwrittenBlocks: number } | undefined {
  const { number, bytes, copy, at } = place;
  if (!isGoneNow(volume, number, bytes)) return undefined;
  const past = history.volumeAt(copy.sequence);
  const inode = parseInode(past, number, bytes, volume.offsetOf(copy.block) + at);
  if (!hasBlocks(past, inode)) return undefined;
  return { inode, past, overwrittenBlocks: blocksInUse(volume, past, inode, budget) };
}

/** Of blocks of inode tables among `blocks`, the number of the first inode in each. */
function inodeTables(volume: ExtVolume, blocks: ReadonlySet<number>): Map<number, number> {
  const { groups, inodesPerGroup, inodeBytes, blockBytes } = volume.geometry;
  const perBlock = blockBytes / inodeBytes;
  const sorted = [...blocks].toSorted((left, right) => left - right);
  const first = new Map<number, number>();
  for (let group = 0; group < groups; group += 1) {
    const table = attempt(() => volume.group(group))?.inodeTable;
    if (table === undefined) continue;
    const tableBlocks = Math.ceil(inodesPerGroup / perBlock);
    for (let index = firstAtLeast(sorted, table); index < sorted.length; index += 1) {
      const block = sorted[index] ?? 0;
      if (block >= table + tableBlocks) break;
      first.set(block, group * inodesPerGroup + (block - table) * perBlock + 1);
    }
  }
  return first;
}

/** Numbers of inodes that a copy of their table has in use, and the table itself has not, or for another file. */
function goneNumbers(
  volume: ExtVolume,
  history: JournalHistory,
  copies: readonly PastCopy[],
  tables: ReadonlyMap<number, number>,
): Set<number> {
  const { inodeBytes, blockBytes } = volume.geometry;
  const numbers = new Set<number>();
  for (const copy of copies) {
    const first = tables.get(copy.block);
    if (first === undefined) continue;
    const block = history.bytesOf(copy);
    for (let at = 0; at < blockBytes; at += inodeBytes) {
      const bytes = block.subarray(at, at + inodeBytes);
      if (!isRegular(bytes) || isGone(bytes)) continue;
      if (attempt(() => isGoneNow(volume, first + at / inodeBytes, bytes)) === true)
        numbers.add(first + at / inodeBytes);
      if (numbers.size >= MAX_NAMED_FILES) return numbers;
    }
  }
  return numbers;
}

function isGoneNow(volume: ExtVolume, number: number, past: Uint8Array): boolean {
  const now = volume.inodeBytes(number);
  return viewOf(now).getUint32(0x64, true) !== viewOf(past).getUint32(0x64, true) || isGone(now);
}

/** Names that copies of directories gave to inodes, the newest first: a number is soon another file's. */
function namesIn(
  volume: ExtVolume,
  history: JournalHistory,
  copies: readonly PastCopy[],
  { tables, wanted }: { readonly tables: ReadonlyMap<number, number>; readonly wanted: ReadonlySet<number> },
): Map<number, PastName[]> {
  const names = new Map<number, PastName[]>();
  if (wanted.size === 0) return names;
  for (const copy of copies) {
    if (tables.has(copy.block)) continue;
    const block = { bytes: history.bytesOf(copy), offset: volume.offsetOf(copy.block) };
    // What is no directory rarely reads like one from its first byte to its last.
    const records = attempt(() => [...recordsIn(volume, block)]) ?? [];
    for (const { inode, name } of records) {
      if (!wanted.has(inode)) continue;
      const text = attempt(() => checkFileName(decodeFileName(name), 'name', block.offset));
      const known = names.get(inode) ?? [];
      if (text === undefined) continue;
      // An older copy with the same name says since when it had that name.
      if (known.at(-1)?.name === text) known.pop();
      if (known.length < MAX_PAST_NAMES) known.push({ name: text, sequence: copy.sequence });
      names.set(inode, known);
    }
  }
  return names;
}

/** How many blocks of a file something uses now. */
function blocksInUse(now: ExtVolume, past: ExtVolume, inode: ExtInode, budget: Budget): number {
  const { blockBytes, firstDataBlock, blocksPerGroup, clusterBlocks } = now.geometry;
  if (inode.flags & INODE_FLAGS.inline_data) return 0;
  const lookup = blockLookup(past, inode);
  const blocks = Math.ceil(inode.size / blockBytes);
  let used = 0;
  for (let at = 0; at < blocks;) {
    const run = lookup(at);
    const end = Math.min(run.first + run.length, blocks);
    // A run counts as a block at least: holes take time, too.
    budget.blocks -= run.start === undefined ? 1 : end - at;
    refuseOverdrawn(budget);
    for (let block = at; run.start !== undefined && block < end; block += 1) {
      const offset = run.start + (block - run.first) - firstDataBlock;
      const group = now.group(Math.floor(offset / blocksPerGroup));
      const bit = Math.floor((offset % blocksPerGroup) / clusterBlocks);
      if (!group.blocksUninitialised && isSet(now.block(group.blockBitmap), bit)) used += 1;
    }
    at = end;
  }
  return used;
}

function refuseOverdrawn({ blocks }: Budget): void {
  if (blocks < 0) throw new DiskError('limit', `deleted files claim more than ${MAX_LOOKED_UP_BLOCKS} blocks`);
}

/** A file whose map was taken away with its name has nothing that could be read. */
function hasBlocks(volume: ExtVolume, inode: ExtInode): boolean {
  if (inode.size === 0 || inode.size > volume.geometry.blocks * volume.geometry.blockBytes) return false;
  if (inode.flags & INODE_FLAGS.inline_data) return true;
  const first = blockLookup(volume, inode)(0);
  return first.start !== undefined || first.length * volume.geometry.blockBytes < inode.size;
}

function isRegular(inode: Uint8Array): boolean {
  return (viewOf(inode).getUint16(0, true) & FORMAT_MASK) === REGULAR;
}

/** Without a name left, or with a time of deletion. */
function isGone(inode: Uint8Array): boolean {
  const view = viewOf(inode);
  return view.getUint16(0x1a, true) === 0 || view.getUint32(0x14, true) !== 0;
}

function isSet(bitmap: Uint8Array, bit: number): boolean {
  return ((bitmap[bit >>> 3] ?? 0) & (1 << (bit & 7))) !== 0;
}

function firstAtLeast(sorted: readonly number[], value: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sorted[middle] ?? 0) < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** What is too damaged to be read is not deleted, but lost. */
function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof ParseError || error instanceof DiskError) return undefined;
    throw error;
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
