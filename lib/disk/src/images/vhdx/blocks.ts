// The block allocation table of a VHDX image and its sector bitmaps (MS-VHDX sections 2.5 and 2.4).
import { ParseError } from '@ringwall/bytes';
import type { ByteSource } from '../../source/byte-source.ts';
import type { TablePages } from '../../source/table-pages.ts';
import { checkWithin } from '../fields.ts';
import { runBelow, type Run } from '../runs.ts';
import { MIB } from './header.ts';
import type { VhdxMetadata } from './metadata.ts';
import type { Regions } from './regions.ts';

/** Sectors that one block of a sector bitmap, 1 MiB, stands for. */
const SECTORS_PER_BITMAP = 2 ** 23;
const STATE = { notPresent: 0, undefined: 1, zero: 2, unmapped: 3, present: 6, partlyPresent: 7 } as const;
/** Bits 3 to 19 of an entry. */
const RESERVED = 0xffff8;

export interface VhdxSpace {
  /** The image after its log. */
  readonly source: ByteSource;
  readonly pages: TablePages;
  readonly regions: Regions;
  readonly metadata: VhdxMetadata;
  readonly parent: ByteSource | undefined;
}

interface BatEntry {
  readonly state: number;
  readonly place: number;
  readonly at: number;
}

export class VhdxBlocks {
  readonly #space: VhdxSpace;
  /** Payload blocks for each sector bitmap block. */
  readonly #chunkRatio: number;

  constructor(space: VhdxSpace) {
    this.#space = space;
    const { sectorBytes, blockBytes, virtualSize, hasParent } = space.metadata;
    this.#chunkRatio = (SECTORS_PER_BITMAP * sectorBytes) / blockBytes;
    const blocks = Math.ceil(virtualSize / blockBytes);
    const entries = hasParent
      ? Math.ceil(blocks / this.#chunkRatio) * (this.#chunkRatio + 1)
      : blocks + Math.floor(Math.max(blocks - 1, 0) / this.#chunkRatio);
    const { bat } = space.regions;
    if (entries * 8 > bat.length) {
      const found = `${bat.length}, expected at least ${entries * 8} for the disk's size`;
      throw new ParseError('invalid', 'region length', bat.offset + 24, found);
    }
  }

  locate(offset: number, length: number): Run {
    const { blockBytes } = this.#space.metadata;
    let block = Math.floor(offset / blockBytes);
    const within = offset - block * blockBytes;
    const entry = this.#payload(block);
    let run = blockBytes - within;
    // Partly present blocks are told apart sector by sector; whole ones are joined.
    if (entry.state !== STATE.partlyPresent) {
      for (block += 1; run < length; block += 1) {
        const next = this.#payload(block);
        if (next.state !== entry.state) break;
        if (entry.state === STATE.present && next.place !== entry.place + within + run) break;
        run += blockBytes;
      }
    }
    run = Math.min(run, length);
    switch (entry.state) {
      case STATE.present:
        return this.#data(entry, within, run);
      case STATE.partlyPresent:
        return this.#partly(entry, offset, within, run);
      case STATE.notPresent:
        return runBelow(this.#space.parent, offset, run);
      default:
        return { kind: 'zero', length: run };
    }
  }

  #payload(block: number): BatEntry {
    const entry = this.#entryAt(block + Math.floor(block / this.#chunkRatio));
    if (entry.state > STATE.unmapped && entry.state < STATE.present) {
      throw new ParseError('invalid', 'payload block state', entry.at, `${entry.state}, expected 0..3, 6 or 7`);
    }
    if (entry.state === STATE.partlyPresent && this.#space.parent === undefined) {
      throw new ParseError('invalid', 'payload block state', entry.at, '7 (partly present), expected a parent beside');
    }
    return entry;
  }

  #entryAt(index: number): BatEntry {
    const { pages, regions } = this.#space;
    const at = regions.bat.start + index * 8;
    const { view, start } = pages.at(at, 8, 'block allocation table entry');
    const low = view.getUint32(at - start, true);
    const high = view.getUint32(at - start + 4, true);
    if ((low & RESERVED) !== 0) {
      const found = `0x${low.toString(16)} in its lower half, expected reserved bits 3..19 to be 0`;
      throw new ParseError('invalid', 'block allocation table entry', at, found);
    }
    return { state: low & 7, place: (high * 2 ** 12 + (low >>> 20)) * MIB, at };
  }

  #data({ place, at }: BatEntry, within: number, length: number): Run {
    const { source } = this.#space;
    this.#checkFree(place, within + length, at);
    return { kind: 'data', length, source, at: place + within };
  }

  #partly(entry: BatEntry, offset: number, within: number, length: number): Run {
    const { metadata, parent } = this.#space;
    const { sectorBytes, blockBytes } = metadata;
    const chunk = Math.floor(offset / (blockBytes * this.#chunkRatio));
    const bitmap = this.#entryAt((chunk + 1) * (this.#chunkRatio + 1) - 1);
    if (bitmap.state !== STATE.present) {
      throw new ParseError('invalid', 'sector bitmap block state', bitmap.at, `${bitmap.state}, expected 6 (present)`);
    }
    this.#checkFree(bitmap.place, MIB, bitmap.at);
    const first = Math.floor(offset / sectorBytes) - chunk * SECTORS_PER_BITMAP;
    const end = (within + length) / sectorBytes - Math.floor(within / sectorBytes);
    const own = this.#isOwn(bitmap.place, first);
    let sectors = 1;
    while (sectors < end && this.#isOwn(bitmap.place, first + sectors) === own) sectors += 1;
    const run = Math.min(length, sectors * sectorBytes - (offset % sectorBytes));
    return own ? this.#data(entry, within, run) : runBelow(parent, offset, run);
  }

  #isOwn(bitmap: number, sector: number): boolean {
    const at = bitmap + (sector >> 3);
    const { view, start } = this.#space.pages.at(at, 1, 'sector bitmap');
    return ((view.getUint8(at - start) >> (sector & 7)) & 1) === 1;
  }

  #checkFree(start: number, length: number, at: number): void {
    const field = 'block allocation table entry';
    checkWithin(this.#space.source, start, length, field, at);
    for (const { name, start: from, length: bytes } of this.#space.regions.reserved) {
      if (start < from + bytes && start + length > from)
        throw new ParseError('invalid', field, at, `${start}, where ${name} lies`);
    }
  }
}
