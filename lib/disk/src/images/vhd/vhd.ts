// VHD images: the format of Virtual PC, Xen and Azure (Microsoft, Virtual Hard Disk Image Format Specification 1.0).
import { ParseError } from '@ringwall/bytes';
import type { ByteSource } from '../../source/byte-source.ts';
import { TablePages } from '../../source/table-pages.ts';
import { locateBlocks, type BlockTable } from '../block-table.ts';
import { diskOf } from '../disk-of.ts';
import type { DiskImage, ImageChain, ImageHeader, ParsedImage } from '../disk-image.ts';
import { checkWithin } from '../fields.ts';
import { openParent } from '../parent.ts';
import { runBelow, type Locate, type Run } from '../runs.ts';
import { readDynamicHeader, type DynamicHeader } from './dynamic-header.ts';
import { hasFooter, readFooter, SECTOR_BYTES, type VhdFooter } from './footer.ts';

const BLOCK_ABSENT = 0xffffffff;

export function recogniseVhd(source: ByteSource): boolean {
  return hasFooter(source, source.size - SECTOR_BYTES) || hasFooter(source, 0);
}

export function parseVhd(source: ByteSource): ParsedImage {
  const footer = readFooter(source);
  if (footer.type === 'fixed') {
    checkWithin(source, 0, footer.virtualSize + SECTOR_BYTES, 'current_size', footer.offset + 48);
    const header = describe(footer, undefined);
    return {
      ...header,
      open: () => diskOf(header, (offset, length) => ({ kind: 'data', length, source, at: offset })),
    };
  }
  const dynamic = readDynamicHeader(source, footer);
  const header = describe(footer, dynamic);
  return { ...header, open: (chain) => openBlocks(source, header, dynamic, chain) };
}

function describe(
  { type, virtualSize, created, creator, uuid, savedState }: VhdFooter,
  dynamic: DynamicHeader | undefined,
): ImageHeader {
  return {
    format: 'vhd',
    virtualSize,
    facts: {
      ...{ type, creator, created, uuid },
      ...(savedState ? { savedState } : {}),
      ...(dynamic === undefined ? {} : { blockBytes: dynamic.blockBytes }),
    },
    references: dynamic?.references ?? [],
    snapshots: [],
    encryption: undefined,
  };
}

function openBlocks(source: ByteSource, header: ImageHeader, dynamic: DynamicHeader, chain: ImageChain): DiskImage {
  const { blockBytes, tableOffset, entries } = dynamic;
  const bitmapBytes = Math.ceil(blockBytes / SECTOR_BYTES / 8 / SECTOR_BYTES) * SECTOR_BYTES;
  const table: BlockTable = {
    ...{ source, blockBytes, tableOffset, entries, littleEndian: false, field: 'block allocation table entry' },
    pages: new TablePages(source, chain.tables.section()),
    placeOf(entry, at) {
      if (entry === BLOCK_ABSENT) return 'absent';
      if (entry === 0) throw new ParseError('invalid', 'block allocation table entry', at, '0, where the footer lies');
      return entry * SECTOR_BYTES + bitmapBytes;
    },
  };
  if (header.facts['type'] !== 'differencing') {
    // Bitmaps of a dynamic disk say which sectors were ever written; the others are zeros, or what the last owner of the
    // file left there. Like QEMU we show the whole block.
    const absent: Locate = (_, length) => ({ kind: 'zero', length });
    return diskOf(header, (offset, length) => locateBlocks(table, offset, length, absent));
  }
  const parent = openParent(chain, header.references, 'vhd', {
    ...{ fact: 'uuid', expected: dynamic.parentUuid, field: 'parent_unique_id', offset: dynamic.parentUuidOffset },
  });
  const absent: Locate = (offset, length) => runBelow(parent, offset, length);
  return diskOf(header, (offset, length) => {
    const run = locateBlocks(table, offset, Math.min(length, blockBytes - (offset % blockBytes)), absent);
    return run.kind === 'data' && run.source === source
      ? ownOrParents(table, bitmapBytes, run, offset % blockBytes, () => absent(offset, run.length))
      : run;
  });
}

/** In a differencing disk the bitmap in front of a block says, sector by sector, what is its own. */
function ownOrParents(
  { pages, field }: BlockTable,
  bitmapBytes: number,
  run: Run & { readonly kind: 'data' },
  within: number,
  below: () => Run,
): Run {
  const bitmap = run.at - within - bitmapBytes;
  const isOwn = (sector: number): boolean => {
    const at = bitmap + (sector >> 3);
    const { view, start } = pages.at(at, 1, field);
    return ((view.getUint8(at - start) >> (7 - (sector & 7))) & 1) === 1;
  };
  const first = Math.floor(within / SECTOR_BYTES);
  const own = isOwn(first);
  let end = first + 1;
  while (end * SECTOR_BYTES < within + run.length && isOwn(end) === own) end += 1;
  const length = Math.min(run.length, end * SECTOR_BYTES - within);
  if (own) return { ...run, length };
  const parents = below();
  return { ...parents, length: Math.min(parents.length, length) };
}
