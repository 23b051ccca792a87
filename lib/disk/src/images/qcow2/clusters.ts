// The way from a guest's offset to a cluster: L1 and L2 tables, compressed clusters, sub-clusters of extended L2 entries
// (QEMU docs/interop/qcow2.txt, "Cluster mapping"). Entries are read as two halves: a 64-bit one as a number is exact only
// up to 2^53, and whatever is above that lies beyond the end of any file and is refused for it.
import { ParseError } from '@ringwall/bytes';
import { DiskError } from '../../disk-error.ts';
import type { CacheSection } from '../../source/byte-cache.ts';
import type { ByteSource } from '../../source/byte-source.ts';
import type { Codecs } from '../../source/codecs.ts';
import { TablePages } from '../../source/table-pages.ts';
import { zstdFrame } from '../../source/zstd-frame.ts';
import type { DecryptSectors } from '../disk-image.ts';
import { decodeBlock } from '../fields.ts';
import { runBelow, type Run } from '../runs.ts';
import type { Qcow2Header } from './header.ts';

const SECTOR_BYTES = 512;
const SUBCLUSTERS = 32;
/** What is decrypted at once, so that a run of any length costs no more memory. */
const MAX_DECRYPTED_BYTES = 2 ** 18;

const COPIED = 2 ** 31;
const COMPRESSED = 2 ** 30;
/** Bits 56 to 61 of an entry, in its upper half. */
const RESERVED_HIGH = 0x3f000000;
const ALL_ZEROS = 1;

/** What the tables are read from, and where clusters lie. */
export interface ClusterSpace {
  readonly header: Qcow2Header;
  /** The image itself: tables and compressed clusters. */
  readonly source: ByteSource;
  /** The image itself, or its external data file. */
  readonly data: ByteSource;
  readonly backing: ByteSource | undefined;
  readonly tables: CacheSection;
  readonly blocks: CacheSection;
  readonly codecs: Codecs;
  readonly decrypt: DecryptSectors | undefined;
}

type PieceKind = 'absent' | 'zero' | 'data' | 'compressed';

/** One state of a disk: the image's own, or that of a snapshot with its own L1 table. */
export class ClusterMap {
  readonly #space: ClusterSpace;
  readonly #pages: TablePages;
  readonly #l1Offset: number;
  readonly #l1Entries: number;
  readonly #clusterBytes: number;
  readonly #entryBytes: number;
  readonly #l2Entries: number;

  // The piece that was looked at last: fields, because one object for each cluster of a disk is garbage.
  #kind: PieceKind = 'absent';
  #host = 0;
  #length = 0;
  #entryAt = 0;

  constructor(space: ClusterSpace, l1Offset: number, l1Entries: number) {
    const { clusterBytes, extendedL2 } = space.header;
    this.#space = space;
    this.#pages = new TablePages(space.source, space.tables);
    this.#l1Offset = l1Offset;
    this.#l1Entries = l1Entries;
    this.#clusterBytes = clusterBytes;
    this.#entryBytes = extendedL2 ? 16 : 8;
    this.#l2Entries = clusterBytes / this.#entryBytes;
  }

  /** The run that begins at a guest's offset. */
  locate(offset: number, length: number): Run {
    const cluster = Math.floor(offset / this.#clusterBytes);
    const within = offset - cluster * this.#clusterBytes;
    const l1Index = Math.floor(cluster / this.#l2Entries);
    const l2Index = cluster - l1Index * this.#l2Entries;
    const l2Offset = this.#l2OffsetAt(l1Index);
    if (l2Offset === 0) return this.#absentTables(l1Index, l2Index * this.#clusterBytes + within, offset, length);

    this.#readPiece(l2Offset, l2Index, within);
    const [kind, host, entryAt] = [this.#kind, this.#host, this.#entryAt];
    let run = this.#length;
    if (kind === 'compressed') return this.#compressedRun(entryAt, within, Math.min(run, length));
    let [index, inCluster] = [l2Index, within];
    while (run < length) {
      inCluster += this.#length;
      if (inCluster === this.#clusterBytes) [index, inCluster] = [index + 1, 0];
      if (index === this.#l2Entries) break;
      this.#readPiece(l2Offset, index, inCluster);
      if (this.#kind !== kind || (kind === 'data' && this.#host !== host + run)) break;
      run += this.#length;
    }
    run = Math.min(run, length);
    if (kind === 'zero') return { kind: 'zero', length: run };
    if (kind === 'absent') return runBelow(this.#space.backing, offset, run);
    this.#checkFree(this.#space.data, host, run, 'L2 entry', entryAt);
    return this.#dataRun(host, run);
  }

  /** Where the L2 table lies; 0 where there is none. */
  #l2OffsetAt(l1Index: number): number {
    const at = this.#l1Offset + l1Index * 8;
    if (l1Index >= this.#l1Entries) {
      throw new ParseError('invalid', 'l1_size', at, `${this.#l1Entries}, expected more than ${l1Index}`);
    }
    const { view, start } = this.#pages.at(at, 8, 'L1 entry');
    const high = view.getUint32(at - start);
    const low = view.getUint32(at - start + 4);
    const offset = (high & 0xffffff) * 2 ** 32 + low;
    if ((high & (RESERVED_HIGH | COMPRESSED)) !== 0 || offset % this.#clusterBytes !== 0) {
      throw invalidEntry('L1 entry', at, high, low, 'the offset of a whole cluster');
    }
    if (offset === 0) return 0;
    this.#checkFree(this.#space.source, offset, this.#clusterBytes, 'L1 entry', at);
    return offset;
  }

  /** No L2 table from here on, for as many L1 entries as one page shows. */
  #absentTables(l1Index: number, within: number, offset: number, length: number): Run {
    const tableSpan = this.#l2Entries * this.#clusterBytes;
    let run = tableSpan - within;
    const { view, start } = this.#pages.at(this.#l1Offset + l1Index * 8, 8, 'L1 entry');
    let next = this.#l1Offset + (l1Index + 1) * 8 - start;
    while (run < length && next + 8 <= view.byteLength && (view.getUint32(next) & 0xffffff) === 0) {
      if (view.getUint32(next + 4) !== 0) break;
      run += tableSpan;
      next += 8;
    }
    return runBelow(this.#space.backing, offset, Math.min(run, length));
  }

  /** Looks at one L2 entry from `within` its cluster on, as far as its state is the same. */
  #readPiece(l2Offset: number, index: number, within: number): void {
    const at = l2Offset + index * this.#entryBytes;
    const { view, start } = this.#pages.at(at, this.#entryBytes, 'L2 entry');
    const high = view.getUint32(at - start);
    const low = view.getUint32(at - start + 4);
    this.#entryAt = at;
    this.#length = this.#clusterBytes - within;
    if ((high & COMPRESSED) !== 0) {
      this.#kind = 'compressed';
      return;
    }
    const { header, data, source } = this.#space;
    const host = (high & 0xffffff) * 2 ** 32 + low - (low & ALL_ZEROS);
    if ((high & RESERVED_HIGH) !== 0 || host % this.#clusterBytes !== 0) {
      throw invalidEntry('L2 entry', at, high, low, 'the offset of a whole cluster');
    }
    // In an external data file even offset 0 is a cluster; then COPIED says that it is one.
    const allocated = host !== 0 || (data !== source && high >>> 0 >= COPIED);
    this.#host = host + within;
    this.#kind = allocated ? 'data' : 'absent';
    if (header.extendedL2) {
      this.#readSubclusters(view, at, start, within, allocated);
    } else if ((low & ALL_ZEROS) !== 0) {
      if (header.version === 2) throw invalidEntry('L2 entry', at, high, low, 'no zero flag in version 2');
      this.#kind = 'zero';
    }
    if (header.extendedL2 && (low & ALL_ZEROS) !== 0) {
      throw invalidEntry('L2 entry', at, high, low, 'no zero flag beside sub-clusters');
    }
  }

  #readSubclusters(view: DataView, at: number, start: number, within: number, allocated: boolean): void {
    const zeros = view.getUint32(at - start + 8);
    const present = view.getUint32(at - start + 12);
    if ((zeros & present) !== 0 || (present !== 0 && !allocated)) {
      throw invalidEntry(
        'L2 sub-cluster bitmap',
        at + 8,
        zeros,
        present,
        'each sub-cluster in one state, with an offset',
      );
    }
    const bytes = this.#clusterBytes / SUBCLUSTERS;
    const first = Math.floor(within / bytes);
    const state = stateOf(zeros, present, first);
    let end = first + 1;
    while (end < SUBCLUSTERS && stateOf(zeros, present, end) === state) end += 1;
    this.#kind = state;
    this.#length = end * bytes - within;
  }

  /** Refuses what is not whole within its file, or lies where the image keeps its own structures. */
  #checkFree(source: ByteSource, start: number, length: number, field: string, at: number): void {
    if (start + length > source.size) {
      const found = `says ${length} bytes at ${start}, but the file ends at ${source.size}`;
      throw new ParseError('truncated', field, at, found);
    }
    if (source !== this.#space.source) return;
    for (const { name, start: from, end } of this.#space.header.reserved) {
      if (start < end && start + length > from)
        throw new ParseError('invalid', field, at, `${start}, where ${name} lies`);
    }
  }

  #dataRun(host: number, length: number): Run {
    const { data, header, decrypt } = this.#space;
    if (header.encryption === undefined) return { kind: 'data', length, source: data, at: host };
    const first = Math.floor(host / SECTOR_BYTES);
    const skipped = host - first * SECTOR_BYTES;
    const run = Math.min(length, MAX_DECRYPTED_BYTES - skipped);
    const sectors = Math.ceil((skipped + run) / SECTOR_BYTES) * SECTOR_BYTES;
    const block = (): Uint8Array => {
      if (decrypt === undefined) {
        throw new DiskError('needs-key', `the image is encrypted (${header.encryption}), and no key was given`);
      }
      return decrypt(data.read(first * SECTOR_BYTES, sectors), first);
    };
    return { kind: 'block', length: run, block, at: skipped };
  }

  #compressedRun(entryAt: number, within: number, length: number): Run {
    return { kind: 'block', length, block: () => this.#decompressed(entryAt), at: within };
  }

  #decompressed(entryAt: number): Uint8Array {
    const { header, source, data, blocks, codecs } = this.#space;
    if (data !== source || header.encryption !== undefined) {
      const beside = data === source ? 'encryption' : 'an external data file';
      throw new ParseError('invalid', 'L2 entry', entryAt, `says compressed, which does not go with ${beside}`);
    }
    const { view, start } = this.#pages.at(entryAt, 8, 'L2 entry');
    const high = view.getUint32(entryAt - start);
    const low = view.getUint32(entryAt - start + 4);
    // The offset takes 62 - (cluster_bits - 8) bits, and the count of further sectors the rest up to bit 61.
    const offsetBitsHigh = 62 - (Math.log2(this.#clusterBytes) - 8) - 32;
    const host = (high & (2 ** offsetBitsHigh - 1)) * 2 ** 32 + low;
    const sectors = (high & 0x3fffffff) >>> offsetBitsHigh;
    const cached = blocks.get(host);
    if (cached !== undefined) return cached;
    // The last sector may be cut short by the end of the image.
    const length = Math.min((sectors + 1) * SECTOR_BYTES - (host % SECTOR_BYTES), source.size - host);
    this.#checkFree(source, host, Math.max(length, 1), 'L2 entry', entryAt);
    const block = source.read(host, length);
    const zstd = header.compression === 'zstd';
    const bytes = decodeBlock(
      codecs,
      zstd ? 'zstd' : 'deflateRaw',
      zstd ? zstdFrame(block, host) : block,
      this.#clusterBytes,
      'compressed cluster',
      host,
    );
    blocks.set(host, bytes);
    return bytes;
  }
}

function stateOf(zeros: number, present: number, index: number): 'zero' | 'data' | 'absent' {
  if (((zeros >>> index) & 1) === 1) return 'zero';
  return ((present >>> index) & 1) === 1 ? 'data' : 'absent';
}

function invalidEntry(field: string, at: number, high: number, low: number, expected: string): ParseError {
  const value = (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
  return new ParseError('invalid', field, at, `0x${value.toString(16)}, expected ${expected}`);
}
