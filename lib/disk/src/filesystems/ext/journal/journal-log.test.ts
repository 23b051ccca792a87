import { expect, test } from 'vitest';
import { DiskError } from '../../../disk-error.ts';
import type { ByteSource } from '../../../source/byte-source.ts';
import { committedTransactions } from './journal-log.ts';
import { DESCRIPTOR_BLOCK, REVOKE_BLOCK } from './journal-records.ts';
import { JOURNAL_MAGIC, type JournalGeometry } from './journal-superblock.ts';

const BLOCK_BYTES = 65_536;
const GEOMETRY: JournalGeometry = {
  ...{ blockBytes: BLOCK_BYTES, first: 1, end: 2 ** 31, start: 1, sequence: 1 },
  ...{ wideBlocks: false, asyncCommit: false, checksumVersion: 0, checksumSeed: 0, hasFastCommits: false },
};

/** A journal that has one block everywhere, as extents that overlap on disk make of a small image. */
function journalOf(type: number, fill: (view: DataView) => void): ByteSource {
  const block = new Uint8Array(BLOCK_BYTES);
  const view = new DataView(block.buffer);
  view.setUint32(0, JOURNAL_MAGIC);
  view.setUint32(4, type);
  view.setUint32(8, GEOMETRY.sequence);
  fill(view);
  return { size: 2 ** 31 * BLOCK_BYTES, read: () => block };
}

test.each([
  ['copies', journalOf(DESCRIPTOR_BLOCK, (view) => fillWords(view, 12, 0x2))],
  ['revocations', journalOf(REVOKE_BLOCK, (view) => view.setUint32(12, BLOCK_BYTES))],
])('committedTransactions() refuses a transaction without an end: %s', (_, journal) => {
  const read = (): unknown => committedTransactions(journal, GEOMETRY).next();
  expect(read).toThrow(DiskError);
  expect(read).toThrow(/^transaction 1 of the journal has more than 262144 blocks$/);
});

/** Tags of block 2, with the flag that no identifier follows. */
function fillWords(view: DataView, from: number, word: number): void {
  for (let at = from; at + 4 <= view.byteLength; at += 4) view.setUint32(at, word);
}
