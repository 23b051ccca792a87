// What a journal still holds of the past, whether it needs replay or not: copies of blocks from before they were changed.
import { DiskError } from '../../../disk-error.ts';
import type { ByteSource } from '../../../source/byte-source.ts';
import { contentsOf } from '../contents.ts';
import { readInode } from '../inode.ts';
import { ExtVolume } from '../volume.ts';
import { dataHolds, DESCRIPTOR_BLOCK, recordHeader, tagsOf } from './journal-records.ts';
import { parseJournalSuperblock, type JournalGeometry } from './journal-superblock.ts';
import { overlay, type JournalCopy } from './replay.ts';

/** Copies that are remembered, of a journal of 1 GiB in blocks of 4 KiB (the largest that mke2fs makes unasked): some 40 MB. */
const MAX_COPIES = 2 ** 18;

export interface PastCopy extends JournalCopy {
  /** The block of the file system that it is a copy of. */
  readonly block: number;
  readonly sequence: number;
  /** Another copy of the same block. */
  readonly other: PastCopy | undefined;
}

export class JournalHistory {
  readonly #volume: ExtVolume;
  readonly #journal: ByteSource;
  readonly #geometry: JournalGeometry;
  readonly #copies = new Map<number, PastCopy>();

  constructor(volume: ExtVolume) {
    this.#volume = volume;
    this.#journal = contentsOf(volume, readInode(volume, volume.geometry.journalInode));
    this.#geometry = parseJournalSuperblock(this.#journal, volume.geometry.blockBytes);
    this.#collect();
  }

  /** Every copy, the newest transactions first. */
  copies(): PastCopy[] {
    const copies: PastCopy[] = [];
    for (const first of this.#copies.values()) {
      for (let copy: PastCopy | undefined = first; copy !== undefined; copy = copy.other) copies.push(copy);
    }
    return copies.toSorted((left, right) => right.sequence - left.sequence);
  }

  bytesOf(copy: PastCopy): Uint8Array {
    return this.#journal.read(copy.logBlock * this.#geometry.blockBytes, this.#geometry.blockBytes);
  }

  /** The file system with the newest copies up to a transaction in place of what is there now. */
  volumeAt(sequence: number): ExtVolume {
    const source = overlay(this.#volume.source, this.#journal, this.#geometry, (block) => {
      let newest: PastCopy | undefined;
      for (let copy = this.#copies.get(block); copy !== undefined; copy = copy.other) {
        if (copy.sequence <= sequence && copy.sequence > (newest?.sequence ?? -1)) newest = copy;
      }
      return newest;
    });
    return new ExtVolume(source, this.#volume.geometry);
  }

  /** Every descriptor counts, of whatever round: what its blocks were overwritten with since does not hold or is none of its. */
  #collect(): void {
    const { first, end, blockBytes } = this.#geometry;
    const next = (block: number): number => (block + 1 >= end ? first : block + 1);
    let count = 0;
    for (let at = first; at < end; at += 1) {
      const block = this.#journal.read(at * blockBytes, blockBytes);
      const header = recordHeader(block);
      if (header?.type !== DESCRIPTOR_BLOCK) continue;
      let logBlock = at;
      for (const tag of tagsOf(this.#geometry, block)) {
        logBlock = next(logBlock);
        const bytes = this.#journal.read(logBlock * blockBytes, blockBytes);
        if (recordHeader(bytes) !== undefined) break;
        if (tag.block >= this.#volume.geometry.blocks) continue;
        if (!dataHolds(this.#geometry, tag, header.sequence, bytes)) continue;
        count += 1;
        if (count > MAX_COPIES)
          throw new DiskError('limit', `the journal has more than ${MAX_COPIES} copies of blocks`);
        const { block: of, escaped } = tag;
        const other = this.#copies.get(of);
        this.#copies.set(of, { block: of, logBlock, escaped, sequence: header.sequence, other });
      }
    }
  }
}
