// QED images: QEMU's format between QCOW2's versions 2 and 3 (QEMU docs/interop/qed_spec.txt).
import { ParseError } from '@ringwall/bytes';
import type { ByteSource } from '../source/byte-source.ts';
import { TablePages } from '../source/table-pages.ts';
import type { DiskImage, ExternalReference, ImageChain, ImageHeader, ParsedImage } from './disk-image.ts';
import { diskOf } from './disk-of.ts';
import { checkWithin, cursorAt, safeNumber } from './fields.ts';
import { runBelow, type Locate } from './runs.ts';

/** 'QED', 0, little-endian. */
const MAGIC = 0x00444551;
const HEADER_BYTES = 64;
const MIN_CLUSTER_BYTES = 2 ** 12;
const MAX_CLUSTER_BYTES = 2 ** 26;
const MAX_TABLE_CLUSTERS = 16;
const MAX_NAME_BYTES = 1023;
const BACKING_FILE = 1n;
const NEED_CHECK = 2n;
const BACKING_IS_RAW = 4n;
/** An L2 entry of a cluster that reads as zeros. */
const ZERO_CLUSTER = 1;

interface QedHeader {
  readonly clusterBytes: number;
  readonly headerBytes: number;
  readonly tableBytes: number;
  readonly l1Offset: number;
  readonly described: ImageHeader;
}

export function recogniseQed(source: ByteSource): boolean {
  return source.size >= 4 && cursorAt(source, 0, 4, 'magic').u32le('magic') === MAGIC;
}

export function parseQed(source: ByteSource): ParsedImage {
  const header = parseHeader(source);
  return { ...header.described, open: (chain) => openQed(source, header, chain) };
}

function parseHeader(source: ByteSource): QedHeader {
  const cursor = cursorAt(source, 0, HEADER_BYTES, 'header');
  cursor.skip(4, 'magic');
  const clusterBytes = cursor.u32le('cluster_size');
  const tableClusters = cursor.u32le('table_size');
  const headerClusters = cursor.u32le('header_size');
  const features = cursor.u64le('features');
  cursor.skip(16, 'compat_features, autoclear_features');
  const l1Offset = safeNumber(cursor.u64le('l1_table_offset'), 'l1_table_offset', 40);
  const virtualSize = safeNumber(cursor.u64le('image_size'), 'image_size', 48);
  const nameOffset = cursor.u32le('backing_filename_offset');
  const nameBytes = cursor.u32le('backing_filename_size');
  if (!isPowerOfTwo(clusterBytes) || clusterBytes < MIN_CLUSTER_BYTES || clusterBytes > MAX_CLUSTER_BYTES) {
    const expected = `a power of two from ${MIN_CLUSTER_BYTES} to ${MAX_CLUSTER_BYTES}`;
    throw new ParseError('invalid', 'cluster_size', 4, `${clusterBytes}, expected ${expected}`);
  }
  if (!isPowerOfTwo(tableClusters) || tableClusters > MAX_TABLE_CLUSTERS) {
    throw new ParseError('invalid', 'table_size', 8, `${tableClusters}, expected 1, 2, 4, 8 or 16`);
  }
  const headerBytes = headerClusters * clusterBytes;
  if (headerClusters === 0 || headerBytes > source.size) {
    throw new ParseError('invalid', 'header_size', 12, `${headerClusters}, expected at least 1, within the image`);
  }
  const unknown = features & ~(BACKING_FILE | NEED_CHECK | BACKING_IS_RAW);
  if (unknown !== 0n) throw new ParseError('unsupported', 'features', 16, `0x${features.toString(16)}, expected 0..7`);
  const tableBytes = tableClusters * clusterBytes;
  checkTable(source, { clusterBytes, headerBytes, tableBytes }, l1Offset, 'l1_table_offset', 40);
  const reach = (tableBytes / 8) ** 2 * clusterBytes;
  if (virtualSize > reach) {
    throw new ParseError(
      'invalid',
      'image_size',
      48,
      `${virtualSize}, expected at most ${reach}, which the tables reach`,
    );
  }
  const references: ExternalReference[] = [];
  if ((features & BACKING_FILE) !== 0n) {
    if (
      nameBytes === 0 ||
      nameBytes > MAX_NAME_BYTES ||
      nameOffset < HEADER_BYTES ||
      nameOffset + nameBytes > headerBytes
    ) {
      const found = `${nameBytes} at ${nameOffset}, expected 1..${MAX_NAME_BYTES} bytes within the header`;
      throw new ParseError('invalid', 'backing_filename_size', 60, found);
    }
    const name = new TextDecoder().decode(source.read(nameOffset, nameBytes));
    const format = (features & BACKING_IS_RAW) === 0n ? undefined : 'raw';
    references.push({ kind: 'backing', name, format, field: 'backing_filename_offset', offset: nameOffset });
  }
  const facts = { clusterBytes, tableBytes, ...((features & NEED_CHECK) === 0n ? {} : { dirty: true }) };
  const described = { format: 'qed', virtualSize, facts, references, snapshots: [], encryption: undefined } as const;
  return { clusterBytes, headerBytes, tableBytes, l1Offset, described };
}

function openQed(source: ByteSource, header: QedHeader, chain: ImageChain): DiskImage {
  const [reference] = header.described.references;
  const backing = reference && chain.openImage(reference, reference.format === 'raw' ? 'raw' : undefined);
  return diskOf(header.described, clustersOf(source, header, new TablePages(source, chain.tables.section()), backing));
}

function clustersOf(source: ByteSource, header: QedHeader, pages: TablePages, backing: ByteSource | undefined): Locate {
  const { clusterBytes, tableBytes, headerBytes } = header;
  const entries = tableBytes / 8;
  const entryAt = (at: number, field: string): number => {
    const { view, start } = pages.at(at, 8, field);
    // Exact up to 2^53, and what is above lies beyond the end of any file.
    return view.getUint32(at - start + 4, true) * 2 ** 32 + view.getUint32(at - start, true);
  };
  return (offset, length) => {
    const cluster = Math.floor(offset / clusterBytes);
    const within = offset - cluster * clusterBytes;
    const l1Index = Math.floor(cluster / entries);
    let index = cluster - l1Index * entries;
    const l1At = header.l1Offset + l1Index * 8;
    const l2Offset = entryAt(l1At, 'L1 entry');
    if (l2Offset === 0) return runBelow(backing, offset, Math.min(length, (entries - index) * clusterBytes - within));
    checkTable(source, header, l2Offset, 'L1 entry', l1At);
    const l2At = l2Offset + index * 8;
    const first = entryAt(l2At, 'L2 entry');
    let run = clusterBytes - within;
    for (index += 1; run < length && index < entries; index += 1) {
      const expected = first > ZERO_CLUSTER ? first + within + run : first;
      if (entryAt(l2Offset + index * 8, 'L2 entry') !== expected) break;
      run += clusterBytes;
    }
    run = Math.min(run, length);
    if (first === 0) return runBelow(backing, offset, run);
    if (first === ZERO_CLUSTER) return { kind: 'zero', length: run };
    if (first % clusterBytes !== 0 || first < headerBytes) {
      throw new ParseError('invalid', 'L2 entry', l2At, `${first}, expected the offset of a cluster behind the header`);
    }
    checkWithin(source, first + within, run, 'L2 entry', l2At);
    return { kind: 'data', length: run, source, at: first + within };
  };
}

/** A table begins at a cluster behind the header, and is whole. */
function checkTable(
  source: ByteSource,
  { clusterBytes, headerBytes, tableBytes }: Pick<QedHeader, 'clusterBytes' | 'headerBytes' | 'tableBytes'>,
  start: number,
  field: string,
  offset: number,
): void {
  if (start % clusterBytes !== 0 || start < headerBytes) {
    throw new ParseError('invalid', field, offset, `${start}, expected the offset of a cluster behind the header`);
  }
  checkWithin(source, start, tableBytes, field, offset);
}

function isPowerOfTwo(value: number): boolean {
  return value > 0 && 2 ** Math.round(Math.log2(value)) === value;
}
