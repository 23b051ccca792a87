// Indexes of compressed erofs files: for each logical cluster, whether a compressed extent begins in it, and where that lies.
// Full indexes take 8 bytes each; compact ones are packed, two in 8 bytes or sixteen in 32, with one block address for all of
// them (fs/erofs/erofs_fs.h, and the layout that fs/erofs/zmap.c reads).
import { ParseError } from '@ringwall/bytes';
import type { ByteSource } from '../../source/byte-source.ts';
import type { ErofsInode } from './inode.ts';
import type { ErofsSuperblock } from './superblock.ts';

const HEADER_BYTES = 8;

/** Indexes that are read together: those of 4 MiB of a file at the least. */
const PAGE_BYTES = 8192;

/** h_advise. */
const COMPACT_2B = 0x01;
const BIG_HEAD1 = 0x02;
const BIG_HEAD2 = 0x04;
const INLINE_TAIL = 0x08;
const INTERLACED = 0x10;
const FRAGMENT = 0x20;

/** Set in a distance that is in truth the number of compressed blocks of the extent. */
const BLOCK_COUNT = 0x800;

/** Compact indexes cannot say more (fs/erofs/zmap.c). */
const MAX_COMPACT_BITS = 14;
const MAX_CLUSTER_BITS = 20;

export type ClusterType = 'plain' | 'head1' | 'nonhead' | 'head2';
const TYPES: readonly ClusterType[] = ['plain', 'head1', 'nonhead', 'head2'];

export interface Cluster {
  readonly type: ClusterType;
  /** Of a head: the byte of the cluster where its extent begins. */
  readonly offset: number;
  /** Of a head: the block where its extent lies. */
  readonly block: number;
  /** Of what is no head: how many clusters before this one the head is. */
  readonly back: number;
  /** Of the first cluster behind a head, in files with large extents: compressed blocks. */
  readonly blocks: number | undefined;
  /** The byte of the image behind this cluster's index, or behind its pack. */
  readonly end: number;
}

export interface ClusterHeader {
  readonly clusterBits: number;
  readonly algorithms: readonly [number, number];
  readonly bigHead1: boolean;
  readonly bigHead2: boolean;
  readonly interlaced: boolean;
  /** Bytes of the last extent, where it lies behind the indexes; 0 where it does not. */
  readonly inlineBytes: number;
}

export class ClusterIndex {
  readonly header: ClusterHeader;
  readonly #source: ByteSource;
  readonly #compact: boolean;
  readonly #start: number;
  readonly #count: number;
  /** Indexes of 4 bytes before those of 2, and how many of those there are. */
  readonly #initial: number;
  readonly #twoBytes: number;
  #page: Uint8Array = new Uint8Array(0);
  #pageStart = 0;

  constructor(source: ByteSource, superblock: ErofsSuperblock, inode: ErofsInode) {
    this.#source = source;
    this.#compact = inode.layout === 'compressed-compact';
    const headerStart = Math.ceil(inode.tailStart / HEADER_BYTES) * HEADER_BYTES;
    const { header, advise } = parseHeader(
      source.read(headerStart, HEADER_BYTES),
      headerStart,
      superblock,
      this.#compact,
    );
    this.header = header;
    this.#count = Math.ceil(inode.size / superblock.blockBytes);
    // Full indexes begin another 8 bytes later.
    this.#start = headerStart + HEADER_BYTES * (this.#compact ? 1 : 2);
    this.#initial = ((32 - (this.#start % 32)) / 4) & 7;
    const packable = (advise & COMPACT_2B) !== 0 && this.#initial < this.#count;
    this.#twoBytes = packable ? Math.floor((this.#count - this.#initial) / 16) * 16 : 0;
  }

  at(number: number): Cluster {
    if (number < 0 || number >= this.#count) {
      throw new ParseError('invalid', 'lcluster', this.#start, `${number}, expected 0..${this.#count - 1}`);
    }
    const cluster = this.#compact ? this.#compactAt(number) : this.#fullAt(number);
    if (cluster.type !== 'nonhead' && cluster.offset >= 2 ** this.header.clusterBits) {
      throw new ParseError(
        'invalid',
        'di_clusterofs',
        cluster.end,
        `${cluster.offset}, which lies outside its cluster`,
      );
    }
    return cluster;
  }

  #fullAt(number: number): Cluster {
    const position = this.#start + number * 8;
    const view = this.#read(position, 8);
    const type = TYPES[view.getUint16(0, true) & 3] ?? 'plain';
    const end = position + 8;
    if (type === 'nonhead') {
      const distance = view.getUint16(4, true);
      const counts = (distance & BLOCK_COUNT) !== 0;
      return {
        type,
        offset: 0,
        block: 0,
        back: counts ? 1 : distance,
        blocks: counts ? distance & ~BLOCK_COUNT : undefined,
        end,
      };
    }
    const offset = view.getUint16(2, true);
    return { type, offset, block: view.getUint32(4, true), back: 0, blocks: undefined, end };
  }

  #compactAt(number: number): Cluster {
    let position = this.#start;
    let width = 4;
    let left = number;
    if (left >= this.#initial) {
      position += this.#initial * 4;
      left -= this.#initial;
      if (left < this.#twoBytes) {
        width = 2;
      } else {
        position += this.#twoBytes * 2;
        left -= this.#twoBytes;
      }
    }
    position += left * width;
    const packBytes = width === 4 ? 8 : 32;
    const packStart = position - (position % packBytes);
    return this.#fromPack(
      this.#read(packStart, packBytes),
      (position - packStart) / width,
      packBytes / width,
      packStart + packBytes,
    );
  }

  /** Some bytes of the indexes: they are asked for one after another, so they are read by the page. */
  #read(position: number, length: number): DataView {
    if (position < this.#pageStart || position + length > this.#pageStart + this.#page.length) {
      this.#page = this.#source.read(position, Math.max(Math.min(PAGE_BYTES, this.#source.size - position), length));
      this.#pageStart = position;
    }
    return new DataView(this.#page.buffer, this.#page.byteOffset + position - this.#pageStart, length);
  }

  /** Index `slot` of a pack of `slots`; the last four bytes of the pack are the block address that all count from. */
  #fromPack(view: DataView, slot: number, slots: number, end: number): Cluster {
    const lowBits = Math.max(this.header.clusterBits, 12);
    const entryBits = ((view.byteLength - 4) * 8) / slots;
    const entry = (index: number): { readonly low: number; readonly nonhead: boolean; readonly type: ClusterType } => {
      const bit = index * entryBits;
      const value = view.getUint32(bit >> 3, true) >>> (bit & 7);
      const type = TYPES[(value >>> lowBits) & 3] ?? 'plain';
      return { low: value & (2 ** lowBits - 1), nonhead: type === 'nonhead', type };
    };
    const { low, type } = entry(slot);
    if (type === 'nonhead') {
      if ((low & BLOCK_COUNT) !== 0) {
        return { type, offset: 0, block: 0, back: 1, blocks: low & ~BLOCK_COUNT, end };
      }
      if (slot + 1 < slots) return { type, offset: 0, block: 0, back: low, blocks: undefined, end };
      // The last one says how far the next head is; how far the last one, the index before it says.
      const before = entry(slot - 1);
      let back = 1;
      if (before.nonhead) back = ((before.low & BLOCK_COUNT) === 0 ? before.low : 1) + 1;
      return { type, offset: 0, block: 0, back, blocks: undefined, end };
    }
    const base = view.getUint32(view.byteLength - 4, true);
    const block = base + this.#blocksBefore(slot, entry);
    return { type, offset: low, block, back: 0, blocks: undefined, end };
  }

  /** Blocks of the extents that begin in the pack before `slot`. */
  #blocksBefore(slot: number, entry: (index: number) => { readonly low: number; readonly nonhead: boolean }): number {
    let index = slot;
    if (!this.header.bigHead1) {
      // The address is that of the block before the first head.
      let blocks = 1;
      while (index > 0) {
        index -= 1;
        const { low, nonhead } = entry(index);
        if (nonhead) index -= low;
        if (index >= 0) blocks += 1;
      }
      return blocks;
    }
    let blocks = 0;
    while (index > 0) {
      index -= 1;
      const { low, nonhead } = entry(index);
      if (!nonhead) {
        blocks += 1;
      } else if ((low & BLOCK_COUNT) !== 0) {
        index -= 1;
        blocks += low & ~BLOCK_COUNT;
      } else {
        if (low <= 1) throw new ParseError('invalid', 'lcluster distance', this.#start, `${low}, expected at least 2`);
        index -= low - 2;
      }
    }
    return blocks;
  }
}

function parseHeader(
  bytes: Uint8Array,
  position: number,
  superblock: ErofsSuperblock,
  compact: boolean,
): { header: ClusterHeader; advise: number } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, HEADER_BYTES);
  const last = view.getUint8(7);
  if ((last & 0x80) !== 0) {
    throw new ParseError('unsupported', 'h_clusterbits', position + 7, 'the file lies in the packed inode (fragments)');
  }
  const advise = view.getUint16(4, true);
  const clusterBits = superblock.blockBits + (last & 15);
  const maxBits = compact ? MAX_COMPACT_BITS : MAX_CLUSTER_BITS;
  if (clusterBits > maxBits) {
    throw new ParseError(
      'limit',
      'h_clusterbits',
      position + 7,
      `clusters of 2^${clusterBits}, expected at most 2^${maxBits}`,
    );
  }
  if ((advise & COMPACT_2B) !== 0 && compact && clusterBits > 12) {
    throw new ParseError('unsupported', 'h_advise', position + 4, `packs clusters of 2^${clusterBits}, expected 2^12`);
  }
  const [bigHead1, bigHead2] = [(advise & BIG_HEAD1) !== 0, (advise & BIG_HEAD2) !== 0];
  if (compact && bigHead1 !== bigHead2) {
    throw new ParseError(
      'invalid',
      'h_advise',
      position + 4,
      `0x${advise.toString(16)}: one head has large extents, one not`,
    );
  }
  const algorithms = [view.getUint8(6) & 15, view.getUint8(6) >> 4] as const;
  if ((advise & FRAGMENT) !== 0) {
    throw new ParseError(
      'unsupported',
      'h_advise',
      position + 4,
      'the tail of the file lies in the packed inode (fragments)',
    );
  }
  const inlineBytes = (advise & INLINE_TAIL) === 0 ? 0 : view.getUint16(2, true);
  const interlaced = (advise & INTERLACED) !== 0;
  return { header: { clusterBits, algorithms, bigHead1, bigHead2, interlaced, inlineBytes }, advise };
}
