// Contents of compressed erofs files: extents of some bytes of the file, each compressed into whole blocks.
import { BoundedMap, ParseError } from '@ringwall/bytes';
import { checkRange, type ByteSource } from '../../source/byte-source.ts';
import { decompressLz4Prefix } from '../../source/lz4.ts';
import { checkReadLength } from '../run-source.ts';
import { ClusterIndex, type Cluster, type ClusterType } from './cluster-index.ts';
import type { ErofsInode } from './inode.ts';
import type { ErofsSuperblock } from './superblock.ts';

/** Compressed and unpacked bytes of one extent (Z_EROFS_PCLUSTER_MAX_SIZE and _DSIZE). */
const MAX_STORED_BYTES = 2 ** 20;
const MAX_UNPACKED_BYTES = 12 * 2 ** 20;

/** Unpacked extents that are kept: 48 MiB of the largest there are. */
const CACHED_EXTENTS = 4;

const ALGORITHMS = ['LZ4', 'LZMA', 'DEFLATE', 'Zstandard'] as const;
const LZ4 = 0;

interface ErofsExtent {
  /** Bytes `at` to `end` of the file. */
  readonly at: number;
  readonly end: number;
  readonly type: ClusterType;
  /** Where it lies in the image, and how many bytes that is. */
  readonly from: number;
  readonly stored: number;
}

export class ErofsCompressed {
  readonly #source: ByteSource;
  readonly #superblock: ErofsSuperblock;
  readonly #cache = new BoundedMap<string, Uint8Array>(CACHED_EXTENTS);

  constructor(source: ByteSource, superblock: ErofsSuperblock) {
    this.#source = source;
    this.#superblock = superblock;
  }

  open(inode: ErofsInode): ByteSource {
    const { size } = inode;
    const extents = new ErofsExtents(this.#source, this.#superblock, inode);
    return {
      size,
      read: (offset, length) => {
        checkRange(offset, length, size, 'file');
        checkReadLength(length, 'file');
        const bytes = new Uint8Array(length);
        for (let at = 0; at < length;) {
          const extent = extents.at(offset + at);
          const start = offset + at - extent.at;
          const part = this.#part(extents.index, extent, start, Math.min(extent.end - extent.at, start + length - at));
          bytes.set(part, at);
          at += part.length;
        }
        return bytes;
      },
    };
  }

  #part(index: ClusterIndex, extent: ErofsExtent, start: number, end: number): Uint8Array {
    const { header } = index;
    if (extent.type === 'plain') return this.#plain(extent, header.interlaced, start, end);
    const algorithm = header.algorithms[extent.type === 'head1' ? 0 : 1];
    if (algorithm !== LZ4) {
      const name = ALGORITHMS[algorithm] ?? `algorithm ${algorithm}`;
      throw new ParseError('unsupported', 'h_algorithmtype', extent.from, `${name}, expected LZ4`);
    }
    const key = `${extent.from}+${extent.end - extent.at}`;
    let bytes = this.#cache.get(key);
    if (bytes === undefined) {
      bytes = this.#unpack(extent);
      this.#cache.set(key, bytes);
    }
    return bytes.subarray(start, end);
  }

  #unpack(extent: ErofsExtent): Uint8Array {
    const stored = this.#source.read(extent.from, extent.stored);
    let margin = 0;
    // The zeros in front belong to the first block alone, and no LZ4 block begins with one.
    const padded = this.#superblock.zeroPadding ? Math.min(this.#superblock.blockBytes, stored.length) : 0;
    while (margin < padded && stored[margin] === 0) margin += 1;
    return decompressLz4Prefix(stored.subarray(margin), extent.end - extent.at);
  }

  /** An extent that is stored as it is. */
  #plain(
    { at, end: extentEnd, from, stored }: ErofsExtent,
    interlaced: boolean,
    start: number,
    end: number,
  ): Uint8Array {
    const length = extentEnd - at;
    if (length > stored)
      throw new ParseError('truncated', 'plain cluster', from, `has ${stored} bytes, expected ${length}`);
    if (!interlaced) return this.#source.read(from + start, end - start);
    throw new ParseError(
      'unsupported',
      'h_advise',
      from,
      'interlaced clusters, expected plain ones that begin at their start',
    );
  }
}

/** Finds the extent that a byte of a file lies in. */
class ErofsExtents {
  readonly index: ClusterIndex;
  readonly #blockBytes: number;
  readonly #inode: ErofsInode;
  readonly #clusterBytes: number;
  #last: ErofsExtent | undefined;
  #tail: { readonly head: number; readonly end: number } | undefined;

  constructor(source: ByteSource, superblock: ErofsSuperblock, inode: ErofsInode) {
    this.#blockBytes = superblock.blockBytes;
    this.#inode = inode;
    this.index = new ClusterIndex(source, superblock, inode);
    this.#clusterBytes = 2 ** this.index.header.clusterBits;
  }

  at(offset: number): ErofsExtent {
    const last = this.#last;
    if (last !== undefined && offset >= last.at && offset < last.end) return last;
    const extent = this.#find(offset);
    this.#last = extent;
    return extent;
  }

  #find(offset: number): ErofsExtent {
    const { tailStart } = this.#inode;
    const { header } = this.index;
    const { number, cluster: head } = this.#headOf(offset);
    const at = number * this.#clusterBytes + head.offset;
    const end = this.#endOf(number);
    if (end <= at || offset < at || offset >= end) {
      throw new ParseError(
        'invalid',
        'lcluster',
        head.end,
        `an extent from byte ${at} to ${end}, asked for byte ${offset}`,
      );
    }
    const common = { at, end, type: head.type };
    if (header.inlineBytes > 0) {
      this.#tail ??= this.#findTail();
      if (number === this.#tail.head) return { ...common, from: this.#tail.end, stored: header.inlineBytes };
    }
    if (end - at > MAX_UNPACKED_BYTES) {
      throw new ParseError(
        'limit',
        'lcluster',
        tailStart,
        `unpacks to ${end - at}, expected at most ${MAX_UNPACKED_BYTES}`,
      );
    }
    const stored = this.#storedBlocks(number, head.type) * this.#blockBytes;
    if (stored > MAX_STORED_BYTES) {
      throw new ParseError('limit', 'lcluster', tailStart, `has ${stored} bytes, expected at most ${MAX_STORED_BYTES}`);
    }
    return { ...common, from: head.block * this.#blockBytes, stored };
  }

  #findTail(): { head: number; end: number } {
    const offset = this.#inode.size - 1;
    const { end } = this.index.at(Math.floor(offset / this.#clusterBytes));
    return { head: this.#headOf(offset).number, end };
  }

  /** The cluster in which the extent begins that holds byte `offset`. */
  #headOf(offset: number): { readonly number: number; readonly cluster: Cluster } {
    let number = Math.floor(offset / this.#clusterBytes);
    let cluster = this.index.at(number);
    let back = cluster.back;
    if (cluster.type !== 'nonhead') {
      if (offset - number * this.#clusterBytes >= cluster.offset) return { number, cluster };
      back = 1;
    }
    for (;;) {
      if (back === 0 || back > number) {
        throw new ParseError(
          'invalid',
          'lcluster distance',
          cluster.end,
          `${back} from cluster ${number}, expected 1..${number}`,
        );
      }
      number -= back;
      cluster = this.index.at(number);
      if (cluster.type !== 'nonhead') return { number, cluster };
      back = cluster.back;
    }
  }

  /** The byte of the file where the extent ends that begins in cluster `head`: where the next one begins, or the file ends. */
  #endOf(head: number): number {
    const { size } = this.#inode;
    const mostClusters = MAX_UNPACKED_BYTES / this.#clusterBytes + 2;
    for (let number = head + 1; number * this.#clusterBytes < size; number += 1) {
      const { type, offset } = this.index.at(number);
      if (type !== 'nonhead') return Math.min(number * this.#clusterBytes + offset, size);
      if (number - head > mostClusters) {
        throw new ParseError(
          'limit',
          'lcluster',
          this.#inode.tailStart,
          `an extent of more than ${MAX_UNPACKED_BYTES} bytes`,
        );
      }
    }
    return size;
  }

  #storedBlocks(head: number, type: ClusterType): number {
    const { bigHead1, bigHead2 } = this.index.header;
    const large = type === 'head1' ? bigHead1 : bigHead2;
    if (!large || (head + 1) * this.#clusterBytes >= this.#inode.size) return 1;
    const next = this.index.at(head + 1);
    if (next.type !== 'nonhead') return 1;
    if (next.blocks === undefined || next.blocks === 0) {
      throw new ParseError('invalid', 'lcluster', next.end, 'does not say how many blocks its extent has');
    }
    return next.blocks;
  }
}
