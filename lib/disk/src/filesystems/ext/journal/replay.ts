// A journal replayed in memory: the file system as a mount would find it, and the image not changed by a byte. Blocks that
// the log holds are read from there.
import { ParseError } from '@ringwall/bytes';
import { DiskError } from '../../../disk-error.ts';
import { checkRange, type ByteSource } from '../../../source/byte-source.ts';
import { checkReadLength } from '../../run-source.ts';
import { contentsOf } from '../contents.ts';
import { readInode } from '../inode.ts';
import type { ExtVolume } from '../volume.ts';
import { committedTransactions, readCopy, type LoggedBlock } from './journal-log.ts';
import { JOURNAL_MAGIC, parseJournalSuperblock, type JournalGeometry } from './journal-superblock.ts';

/** Blocks that a log may put in place of others, 2 GiB of the usual 4 KiB: the map of them takes some 35 MB. */
const MAX_REPLAYED_BLOCKS = 2 ** 19;
const FAST_COMMIT_HEAD = 9;

export interface Replay {
  readonly source: ByteSource;
  readonly notes: readonly string[];
}

/** What the journal of `volume` makes of its blocks. */
export function replayJournal(volume: ExtVolume): Replay {
  const { journalInode, blockBytes } = volume.geometry;
  if (journalInode === 0) {
    return { source: volume.source, notes: ['the journal is on another device, and was not replayed'] };
  }
  const journal = contentsOf(volume, readInode(volume, journalInode));
  const geometry = parseJournalSuperblock(journal, blockBytes);
  const { blocks, transactions, next } = newestCopies(volume, journal, geometry);
  const notes = [`the journal was replayed in memory: ${transactions} transactions, ${blocks.size} blocks`];
  if (geometry.hasFastCommits && fastCommitOf(journal, geometry) === next) {
    notes.push('fast commits behind the last transaction were not replayed: the newest changes may be missing');
  }
  return {
    source:
      blocks.size === 0
        ? volume.source
        : overlay(volume.source, journal, geometry, (block) => unpacked(blocks.get(block))),
    notes,
  };
}

/** A copy in the journal of a block of the file system. */
export interface JournalCopy {
  readonly logBlock: number;
  /** The journal's own magic number was taken out of its beginning. */
  readonly escaped: boolean;
}

/** The newest copy of each block that no later transaction revoked, and the number that the next transaction would have. */
function newestCopies(
  volume: ExtVolume,
  journal: ByteSource,
  geometry: JournalGeometry,
): { blocks: Map<number, number>; transactions: number; next: number } {
  // One number each: half a million objects would take 100 MB.
  const blocks = new Map<number, number>();
  let transactions = 0;
  const log = committedTransactions(journal, geometry);
  for (let step = log.next(); ; step = log.next()) {
    if (step.done === true) return { blocks, transactions, next: step.value };
    const { sequence, copies, revoked } = step.value;
    transactions += 1;
    for (const copy of copies) {
      refuseBeyond(volume, copy, geometry);
      // Read once now, so that a wrong checksum is found when the file system is opened.
      readCopy(journal, geometry, sequence, copy);
      blocks.set(copy.tag.block, packed(copy));
    }
    // Revoked is what this transaction and those before it wrote, whatever the order of its records.
    for (const block of revoked) blocks.delete(block);
    if (blocks.size > MAX_REPLAYED_BLOCKS) {
      throw new DiskError('limit', `the journal replays more than ${MAX_REPLAYED_BLOCKS} blocks`);
    }
  }
}

function packed({ logBlock, tag }: LoggedBlock): number {
  return logBlock * 2 + (tag.escaped ? 1 : 0);
}

function unpacked(copy: number | undefined): JournalCopy | undefined {
  return copy === undefined ? undefined : { logBlock: Math.floor(copy / 2), escaped: copy % 2 === 1 };
}

/** Any block may be there, the superblock's, too. */
function refuseBeyond(volume: ExtVolume, { tag, logBlock }: LoggedBlock, { blockBytes }: JournalGeometry): void {
  const { blocks } = volume.geometry;
  if (tag.block < blocks) return;
  throw new ParseError(
    'invalid',
    'journal tag',
    logBlock * blockBytes,
    `${tag.block}, expected a block below ${blocks}`,
  );
}

/** `source` with those blocks in place of which `copyOf` has one from the journal. */
export function overlay(
  source: ByteSource,
  journal: ByteSource,
  geometry: JournalGeometry,
  copyOf: (block: number) => JournalCopy | undefined,
): ByteSource {
  const { blockBytes } = geometry;
  return {
    size: source.size,
    read(offset, length) {
      checkRange(offset, length, source.size, 'file system');
      const first = Math.floor(offset / blockBytes);
      const last = Math.floor((offset + length - 1) / blockBytes);
      let patched: Uint8Array | undefined;
      for (let block = first; block <= last; block += 1) {
        const copy = copyOf(block);
        if (copy === undefined) continue;
        if (patched === undefined) {
          checkReadLength(length, 'file system');
          patched = new Uint8Array(source.read(offset, length));
        }
        const bytes = unescaped(journal.read(copy.logBlock * blockBytes, blockBytes), copy.escaped);
        const start = Math.max(block * blockBytes, offset);
        const end = Math.min((block + 1) * blockBytes, offset + length);
        patched.set(bytes.subarray(start - block * blockBytes, end - block * blockBytes), start - offset);
      }
      return patched ?? source.read(offset, length);
    },
  };
}

function unescaped(block: Uint8Array, escaped: boolean): Uint8Array {
  if (!escaped) return block;
  const whole = new Uint8Array(block);
  new DataView(whole.buffer).setUint32(0, JOURNAL_MAGIC);
  return whole;
}

/** The transaction that the first fast commit belongs to, undefined where there is none (fs/ext4/fast_commit.h). */
function fastCommitOf(journal: ByteSource, geometry: JournalGeometry): number | undefined {
  const offset = geometry.end * geometry.blockBytes;
  if (offset + 12 > journal.size) return undefined;
  const bytes = journal.read(offset, 12);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return view.getUint16(0, true) === FAST_COMMIT_HEAD ? view.getUint32(8, true) : undefined;
}
