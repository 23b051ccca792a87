// The grains of a hosted sparse extent: directory, tables, and grains compressed one by one (VMware, Virtual Disk Format 5.0,
// "Hosted Sparse Extents" and "Stream-Optimized Compressed Sparse Extents").
import { ParseError } from '@ringwall/bytes';
import type { ByteSource } from '../../source/byte-source.ts';
import type { CacheSection } from '../../source/byte-cache.ts';
import type { Codecs } from '../../source/codecs.ts';
import { codecNamed, decompressBlock } from '../../source/decompress.ts';
import { TablePages } from '../../source/table-pages.ts';
import { checkWithin, cursorAt } from '../fields.ts';
import { runBelow, type Run } from '../runs.ts';
import { SECTOR_BYTES } from './descriptor.ts';
import type { SparseHeader } from './sparse-header.ts';

/** A grain table entry of a grain that reads as zeros, where the header allows them. */
const ZEROED = 1;
const MARKER_BYTES = 12;

export interface GrainSpace {
  readonly source: ByteSource;
  readonly header: SparseHeader;
  /** The same part of the disk in the image below. */
  readonly below: ByteSource | undefined;
  readonly tables: CacheSection;
  readonly blocks: CacheSection;
  readonly codecs: Codecs;
}

export class GrainMap {
  readonly #space: GrainSpace;
  readonly #pages: TablePages;

  constructor(space: GrainSpace) {
    this.#space = space;
    this.#pages = new TablePages(space.source, space.tables);
  }

  locate(offset: number, length: number): Run {
    const { header, source, below } = this.#space;
    const { grainBytes, tableEntries, zeroedGrains } = header;
    const grain = Math.floor(offset / grainBytes);
    const within = offset - grain * grainBytes;
    const table = Math.floor(grain / tableEntries);
    let index = grain - table * tableEntries;
    const tableOffset = this.#tableAt(table);
    if (tableOffset === 0) {
      return runBelow(below, offset, Math.min(length, (tableEntries - index) * grainBytes - within));
    }
    const at = tableOffset + index * 4;
    const entry = this.#entryAt(at, 'grain table entry');
    const isData = entry !== 0 && !(entry === ZEROED && zeroedGrains);
    let run = grainBytes - within;
    if (isData && header.compressed) return this.#compressed(entry, at, grain, within, Math.min(run, length));
    const step = isData ? grainBytes / SECTOR_BYTES : 0;
    for (let next = entry + step; run < length; next += step) {
      index += 1;
      if (index === tableEntries || this.#entryAt(tableOffset + index * 4, 'grain table entry') !== next) break;
      run += grainBytes;
    }
    run = Math.min(run, length);
    if (entry === 0) return runBelow(below, offset, run);
    if (!isData) return { kind: 'zero', length: run };
    this.#checkPlace(entry * SECTOR_BYTES, within + run, 'grain table entry', at);
    return { kind: 'data', length: run, source, at: entry * SECTOR_BYTES + within };
  }

  /** Where the grain table lies; 0 where there is none. */
  #tableAt(table: number): number {
    const { header } = this.#space;
    const at = header.directoryOffset + table * 4;
    const start = this.#entryAt(at, 'grain directory entry') * SECTOR_BYTES;
    if (start !== 0) this.#checkPlace(start, header.tableEntries * 4, 'grain directory entry', at);
    return start;
  }

  #entryAt(at: number, field: string): number {
    const { view, start } = this.#pages.at(at, 4, field);
    return view.getUint32(at - start, true);
  }

  #checkPlace(start: number, length: number, field: string, at: number): void {
    checkWithin(this.#space.source, start, length, field, at);
    const { header } = this.#space;
    const { offset, length: descriptorBytes } = header.descriptor;
    if (start < SECTOR_BYTES || (start < offset + descriptorBytes && start + length > offset)) {
      throw new ParseError('invalid', field, at, `${start}, where header or descriptor lie`);
    }
  }

  #compressed(entry: number, at: number, grain: number, within: number, length: number): Run {
    return { kind: 'block', length, at: within, block: () => this.#decompressed(entry * SECTOR_BYTES, at, grain) };
  }

  #decompressed(start: number, entryAt: number, grain: number): Uint8Array {
    const { source, header, blocks, codecs } = this.#space;
    const cached = blocks.get(start);
    if (cached !== undefined) return cached;
    this.#checkPlace(start, MARKER_BYTES, 'grain table entry', entryAt);
    const marker = cursorAt(source, start, MARKER_BYTES, 'grain marker');
    const sector = marker.u64le('grain marker lba');
    const size = marker.u32le('grain marker size');
    const expected = (BigInt(grain) * BigInt(header.grainBytes)) / BigInt(SECTOR_BYTES);
    if (sector !== expected)
      throw new ParseError('invalid', 'grain marker lba', start, `${sector}, expected ${expected}`);
    // Deflate makes what it cannot shrink a little larger, by far less than a tenth.
    if (size === 0 || size > header.grainBytes * 1.1 + SECTOR_BYTES) {
      throw new ParseError(
        'limit',
        'grain marker size',
        start + 8,
        `${size}, expected a compressed grain of ${header.grainBytes} bytes`,
      );
    }
    checkWithin(source, start + MARKER_BYTES, size, 'grain marker size', start + 8);
    const block = source.read(start + MARKER_BYTES, size);
    const bytes = decompressBlock(codecNamed(codecs, 'zlib'), block, header.grainBytes, 'compressed grain', start);
    // The last grain of a disk may end where the disk does.
    const needed = Math.min(header.grainBytes, header.capacity - grain * header.grainBytes);
    if (bytes.length < needed) {
      throw new ParseError('invalid', 'compressed grain', start, `holds ${bytes.length} bytes, expected ${needed}`);
    }
    blocks.set(start, bytes);
    return bytes;
  }
}
