// The transactions of a journal's log that were committed, in their order (fs/jbd2/recovery.c of Linux): the log ends at the
// first block that does not continue it, and what was begun and not committed never happened.
import { ParseError } from '@ringwall/bytes';
import { CRC_START, crc32Forward } from '../../../checksum/crc.ts';
import { DiskError } from '../../../disk-error.ts';
import type { ByteSource } from '../../../source/byte-source.ts';
import {
  COMMIT_BLOCK,
  commitChecksum,
  commitHolds,
  dataHolds,
  DESCRIPTOR_BLOCK,
  recordHeader,
  REVOKE_BLOCK,
  revokedBlocks,
  tagsOf,
  tailHolds,
  type JournalTag,
} from './journal-records.ts';
import type { JournalGeometry } from './journal-superblock.ts';

/**
 * What one transaction may copy and revoke: a quarter of a log of 4 GiB, which is what jbd2 gives one, in blocks of 4 KiB. They
 * take some 40 MB, and a small image can say them all with one block that a sparse journal has everywhere.
 */
const MAX_TRANSACTION_BLOCKS = 2 ** 18;

/** A block of the file system as a transaction has it: block `logBlock` of the journal. */
export interface LoggedBlock {
  readonly tag: JournalTag;
  readonly logBlock: number;
}

export interface JournalTransaction {
  readonly sequence: number;
  readonly copies: readonly LoggedBlock[];
  readonly revoked: readonly number[];
}

/** Committed transactions from the start of the log on. Throws `ParseError` where one was committed and does not hold. */
export function* committedTransactions(
  journal: ByteSource,
  geometry: JournalGeometry,
): Generator<JournalTransaction, number> {
  const { blockBytes, first, end } = geometry;
  const read = (block: number): Uint8Array => journal.read(block * blockBytes, blockBytes);
  const next = (block: number): number => (block + 1 >= end ? first : block + 1);
  // What was read once is not read again: a log is no longer than its ring.
  let left = geometry.start === 0 ? 0 : end - first;
  let { sequence } = geometry;
  let current = new OpenTransaction();
  for (let at = geometry.start; left > 0; at = next(at), left -= 1) {
    const block = read(at);
    const header = recordHeader(block);
    if (header === undefined || header.sequence !== sequence) break;
    if (header.type === DESCRIPTOR_BLOCK) {
      current.expect(tailHolds(geometry, block), `descriptor block ${at}`);
      current.sum(geometry, block);
      for (const tag of tagsOf(geometry, block)) {
        if (left <= 1) break;
        at = next(at);
        left -= 1;
        if (geometry.checksumVersion === 1) current.sum(geometry, read(at));
        current.copies.push({ tag, logBlock: at });
      }
      current.refuseTooMany(sequence);
    } else if (header.type === REVOKE_BLOCK) {
      current.expect(tailHolds(geometry, block), `revocation block ${at}`);
      current.revoked.push(...revokedBlocks(geometry, block));
      current.refuseTooMany(sequence);
    } else if (header.type === COMMIT_BLOCK) {
      const holds = commitHolds(geometry, block) && current.sumHolds(geometry, block);
      // Without an order between commit and data, a commit that does not hold is one that was not finished.
      if (!holds && geometry.asyncCommit) break;
      current.expect(holds, `commit block ${at}`);
      yield current.commit(sequence, at * blockBytes);
      current = new OpenTransaction();
      sequence = (sequence + 1) >>> 0;
    } else {
      break;
    }
  }
  return sequence;
}

/** The bytes of a copy, as they belong into the file system; verified. */
export function readCopy(
  journal: ByteSource,
  geometry: JournalGeometry,
  sequence: number,
  { tag, logBlock }: LoggedBlock,
): Uint8Array {
  const block = journal.read(logBlock * geometry.blockBytes, geometry.blockBytes);
  if (!dataHolds(geometry, tag, sequence, block)) {
    const detail = `of block ${tag.block} in transaction ${sequence} does not hold`;
    throw new ParseError('invalid', 'journal data checksum', logBlock * geometry.blockBytes, detail);
  }
  return block;
}

/** What a log has said since its last commit. */
class OpenTransaction {
  readonly copies: LoggedBlock[] = [];
  readonly revoked: number[] = [];
  #broken: string | undefined;
  #sum = CRC_START;

  /** Counts only if the transaction is committed: before, a torn block is what a crash leaves. */
  expect(holds: boolean, structure: string): void {
    if (!holds) this.#broken ??= structure;
  }

  refuseTooMany(sequence: number): void {
    if (this.copies.length + this.revoked.length <= MAX_TRANSACTION_BLOCKS) return;
    throw new DiskError(
      'limit',
      `transaction ${sequence} of the journal has more than ${MAX_TRANSACTION_BLOCKS} blocks`,
    );
  }

  sum(geometry: JournalGeometry, block: Uint8Array): void {
    if (geometry.checksumVersion === 1) this.#sum = crc32Forward(this.#sum, block);
  }

  /** The old checksum over all blocks of a transaction; a writer may leave it out. */
  sumHolds(geometry: JournalGeometry, commit: Uint8Array): boolean {
    if (geometry.checksumVersion !== 1) return true;
    const stored = commitChecksum(commit);
    return stored === 0 || stored === this.#sum;
  }

  commit(sequence: number, offset: number): JournalTransaction {
    if (this.#broken !== undefined) {
      const detail = `of ${this.#broken} in transaction ${sequence} does not hold`;
      throw new ParseError('invalid', 'journal checksum', offset, detail);
    }
    return { sequence, copies: this.copies, revoked: this.revoked };
  }
}
