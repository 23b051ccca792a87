// Blocks and inodes of XFS by their numbers, of which the upper bits name an allocation group (XFS Algorithms & Data
// Structures, "Allocation Groups").
import { BoundedMap, ParseError } from '@ringwall/bytes';
import type { ByteSource } from '../../source/byte-source.ts';
import { checksumHolds } from './checksum.ts';
import type { XfsGeometry } from './superblock.ts';

/** Blocks of inodes and of maps that are kept; of 64 KiB at most, so 16 MiB. */
const CACHED_BLOCKS = 256;

export class XfsVolume {
  readonly source: ByteSource;
  readonly geometry: XfsGeometry;
  readonly #blocks = new BoundedMap<number, Uint8Array>(CACHED_BLOCKS);

  constructor(source: ByteSource, geometry: XfsGeometry) {
    this.source = source;
    this.geometry = geometry;
  }

  /**
   * The place of `count` blocks from block `number` on, as XFS numbers them, counted in blocks from the start of the disk. They
   * lie in one group.
   */
  placeOf(number: number, count: number, field: string, offset: number): number {
    const { groupBlocks, groupBlocksLog, groups, blocks } = this.geometry;
    const group = Math.floor(number / 2 ** groupBlocksLog);
    const inGroup = number % 2 ** groupBlocksLog;
    const place = group * groupBlocks + inGroup;
    if (group >= groups || inGroup + count > groupBlocks || place + count > blocks) {
      throw new ParseError(
        'invalid',
        field,
        offset,
        `${number} with ${count} blocks, expected blocks of the file system`,
      );
    }
    return place;
  }

  /** A block of metadata by its place, kept, and not to be changed. */
  block(place: number): Uint8Array {
    const kept = this.#blocks.get(place);
    if (kept !== undefined) return kept;
    const { blockBytes } = this.geometry;
    const read = this.source.read(place * blockBytes, blockBytes);
    // A copy where it is part of something larger: a kept block must not keep a whole cluster alive.
    const block = read.length === read.buffer.byteLength ? read : new Uint8Array(read);
    this.#blocks.set(place, block);
    return block;
  }

  /** The bytes of inode `number`, and where they lie. */
  inode(number: number): { readonly bytes: Uint8Array; readonly offset: number } {
    const { inodesPerBlockLog, inodeBytes, blockBytes } = this.geometry;
    const perBlock = 2 ** inodesPerBlockLog;
    if (number < 1) throw new ParseError('invalid', 'inode', 0, `${number}, expected at least 1`);
    const place = this.placeOf(Math.floor(number / perBlock), 1, `block of inode ${number}`, 0);
    const at = (number % perBlock) * inodeBytes;
    return { bytes: this.block(place).subarray(at, at + inodeBytes), offset: place * blockBytes + at };
  }

  /** Verifies a structure of version 5; version 4 has no checksums. */
  verify(bytes: Uint8Array, checksumAt: number, field: string, offset: number): void {
    if (this.geometry.version === 4 || checksumHolds(bytes, checksumAt)) return;
    throw new ParseError('invalid', field, offset + checksumAt, 'does not hold');
  }
}
