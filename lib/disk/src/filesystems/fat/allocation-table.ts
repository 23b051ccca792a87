// The file allocation table: for each cluster the next one of its file. A chain that leads back into itself is refused.
import { BoundedMap, ParseError } from '@ringwall/bytes';
import { DiskError } from '../../disk-error.ts';
import type { ByteSource } from '../../source/byte-source.ts';
import { RunList } from '../run-source.ts';
import type { FatGeometry } from './boot-sector.ts';

/** The table is read in pages of 4 KiB, of which 64 are kept: the chains of a directory's files lie near each other. */
const PAGE_BYTES = 4096;
const CACHED_PAGES = 64;

/** Pieces of one file: 16 MiB of memory, and every cluster of a file of 4 GiB in clusters of 4 KiB. */
const MAX_RUNS = 2 ** 20;

const FREE = 0;
const FIRST_CLUSTER = 2;

/** By kind: the value that marks a bad cluster; the eight after it end a chain. */
const BAD = { fat12: 0xff7, fat16: 0xfff7, fat32: 0x0fff_fff7 } as const;

export class AllocationTable {
  readonly #source: ByteSource;
  readonly #geometry: FatGeometry;
  readonly #pages = new BoundedMap<number, Uint8Array>(CACHED_PAGES);

  constructor(source: ByteSource, geometry: FatGeometry) {
    this.#source = source;
    this.#geometry = geometry;
  }

  /** Whether a cluster belongs to no file. */
  isFree(cluster: number): boolean {
    return this.#entry(cluster) === FREE;
  }

  /** Whether there is such a cluster. */
  has(cluster: number): boolean {
    return cluster >= FIRST_CLUSTER && cluster < this.#geometry.clusterCount + FIRST_CLUSTER;
  }

  /** Where a cluster lies in the volume. */
  placeOf(cluster: number): number {
    return this.#geometry.dataStart + (cluster - FIRST_CLUSTER) * this.#geometry.clusterBytes;
  }

  /** The clusters of the chain that begins with `first`, in order. */
  *chain(first: number, field: string): Generator<number> {
    // Brent's way to find a loop: remember a cluster, at distances that double; whoever meets it again goes in a circle.
    let remembered = -1;
    let steps = 0;
    let distance = 1;
    for (let cluster = first; ;) {
      if (!this.has(cluster)) {
        throw new ParseError(
          'invalid',
          field,
          this.#entryOffset(cluster),
          `leads to cluster ${cluster}, which there is not`,
        );
      }
      if (cluster === remembered) {
        throw new ParseError('invalid', field, this.#entryOffset(cluster), `leads to cluster ${cluster} again`);
      }
      yield cluster;
      steps += 1;
      if (steps === distance) {
        remembered = cluster;
        steps = 0;
        distance *= 2;
      }
      const next = this.#entry(cluster);
      if (next > BAD[this.#geometry.kind]) return;
      if (next === FREE || next === BAD[this.#geometry.kind]) {
        const what = next === FREE ? 'a free' : 'a bad';
        throw new ParseError(
          'invalid',
          field,
          this.#entryOffset(cluster),
          `leads from cluster ${cluster} to ${what} one`,
        );
      }
      cluster = next;
    }
  }

  /** The runs of a file of `size` bytes whose first cluster is `first`. */
  runs(first: number, size: number): RunList {
    const { clusterBytes } = this.#geometry;
    const runs = new RunList();
    if (size === 0) return runs;
    let covered = 0;
    for (const cluster of this.chain(first, 'cluster chain')) {
      runs.append(clusterBytes, this.placeOf(cluster));
      covered += clusterBytes;
      if (covered >= size) return runs;
      if (runs.length > MAX_RUNS) throw new DiskError('limit', `a file in more than ${MAX_RUNS} pieces`);
    }
    const found = `ends after ${covered} bytes, but the file has ${size}`;
    throw new ParseError('truncated', 'cluster chain', this.#entryOffset(first), found);
  }

  #entryOffset(cluster: number): number {
    const { kind, tableStart } = this.#geometry;
    if (kind === 'fat12') return tableStart + cluster + (cluster >> 1);
    return tableStart + cluster * (kind === 'fat16' ? 2 : 4);
  }

  #entry(cluster: number): number {
    const { kind } = this.#geometry;
    const offset = this.#entryOffset(cluster);
    const low = this.#byte(offset) | (this.#byte(offset + 1) << 8);
    if (kind === 'fat12') return cluster % 2 === 0 ? low & 0xfff : low >> 4;
    if (kind === 'fat16') return low;
    return (low | (this.#byte(offset + 2) << 16) | (this.#byte(offset + 3) << 24)) & 0x0fff_ffff;
  }

  #byte(offset: number): number {
    const { tableStart, tableBytes } = this.#geometry;
    const page = Math.floor((offset - tableStart) / PAGE_BYTES);
    let bytes = this.#pages.get(page);
    if (bytes === undefined) {
      const start = page * PAGE_BYTES;
      bytes = this.#source.read(tableStart + start, Math.min(PAGE_BYTES, tableBytes - start));
      this.#pages.set(page, bytes);
    }
    return bytes[offset - tableStart - page * PAGE_BYTES] ?? 0;
  }
}
