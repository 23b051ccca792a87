// The checked header of a QCOW2 image (QEMU docs/interop/qcow2.txt, "Header").
import { ParseError } from '@ringwall/bytes';
import type { ByteSource } from '../../source/byte-source.ts';
import { checkWithin, cursorAt, safeNumber } from '../fields.ts';
import { readExtensions, text, type Extensions, type WrittenName } from './extensions.ts';
import { readRawHeader, type RawHeader } from './raw-header.ts';

/** Sub-clusters, 32 to a cluster, are at least a sector. */
const MIN_EXTENDED_CLUSTER_BITS = 14;
/** QEMU's own bounds. */
const MAX_L1_BYTES = 32 * 2 ** 20;
const MAX_REFCOUNT_TABLE_BYTES = 8 * 2 ** 20;
const MAX_SNAPSHOTS = 65_536;
const MAX_NAME_BYTES = 1023;
/** LUKS1 with its eight key slots takes 2 MiB, LUKS2 16 MiB. */
const MAX_ENCRYPTION_HEADER_BYTES = 32 * 2 ** 20;

const COMPRESSION = ['zlib', 'zstd'] as const;
const ENCRYPTION = [undefined, 'aes-cbc', 'luks'] as const;
const INCOMPATIBLE = { dirty: 1n, corrupt: 2n, externalData: 4n, compressionType: 8n, extendedL2: 16n } as const;
const KNOWN_INCOMPATIBLE = 31n;
const LAZY_REFCOUNTS = 1n;

/** A run of the image that holds no guest data. */
interface ReservedRun {
  readonly name: string;
  readonly start: number;
  readonly end: number;
}

export interface Qcow2Header {
  readonly version: 2 | 3;
  readonly clusterBytes: number;
  readonly virtualSize: number;
  readonly l1Offset: number;
  readonly l1Entries: number;
  readonly snapshotsOffset: number;
  readonly snapshotCount: number;
  readonly encryption: 'luks' | 'aes-cbc' | undefined;
  readonly encryptionHeader: { readonly offset: number; readonly length: number } | undefined;
  readonly compression: 'zlib' | 'zstd';
  readonly extendedL2: boolean;
  readonly dirty: boolean;
  readonly corrupt: boolean;
  readonly lazyRefcounts: boolean;
  readonly refcountBits: number;
  readonly backing: WrittenName | undefined;
  readonly backingFormat: string | undefined;
  /** Guest data lie in another file; its name is '' where the image gives none. */
  readonly dataFile: WrittenName | undefined;
  /** Header, tables and key material: no table and no cluster of a guest may lie there. */
  readonly reserved: readonly ReservedRun[];
}

export function parseHeader(source: ByteSource): Qcow2Header {
  const raw = readRawHeader(source);
  const clusterBytes = 2 ** raw.cluster_bits;
  const virtualSize = safeNumber(raw.size, 'size', 24);
  const compression = checkFeatures(raw);
  const has = (feature: bigint): boolean => (raw.incompatible_features & feature) !== 0n;
  const extendedL2 = has(INCOMPATIBLE.extendedL2);
  checkLimit(raw.l1_size * 8, MAX_L1_BYTES, 'l1_size', 36);
  const l1Needed = l1EntriesFor(virtualSize, clusterBytes, extendedL2);
  if (raw.l1_size < l1Needed) {
    throw new ParseError('invalid', 'l1_size', 36, `${raw.l1_size}, expected at least ${l1Needed} for the disk's size`);
  }
  const l1Offset = tableOffset(source, raw.l1_table_offset, raw.l1_size * 8, clusterBytes, 'l1_table_offset', 40);
  const refcountBytes = raw.refcount_table_clusters * clusterBytes;
  checkLimit(refcountBytes, MAX_REFCOUNT_TABLE_BYTES, 'refcount_table_clusters', 56);
  const refcountOffset = tableOffset(
    source,
    raw.refcount_table_offset,
    refcountBytes,
    clusterBytes,
    'refcount_table_offset',
    48,
  );
  checkLimit(raw.nb_snapshots, MAX_SNAPSHOTS, 'nb_snapshots', 60);
  const backing = readBackingName(source, raw, clusterBytes);
  const extensions = readExtensions(source, raw.header_length, backing?.offset ?? clusterBytes);
  const encryptionHeader = checkEncryption(source, raw, extensions, clusterBytes);
  return {
    version: raw.version,
    ...{ clusterBytes, virtualSize, l1Offset, l1Entries: raw.l1_size, compression, extendedL2 },
    snapshotCount: raw.nb_snapshots,
    snapshotsOffset:
      raw.nb_snapshots === 0 ? 0 : tableOffset(source, raw.snapshots_offset, 1, clusterBytes, 'snapshots_offset', 64),
    encryption: ENCRYPTION[raw.crypt_method],
    encryptionHeader,
    dirty: has(INCOMPATIBLE.dirty),
    corrupt: has(INCOMPATIBLE.corrupt),
    lazyRefcounts: (raw.compatible_features & LAZY_REFCOUNTS) !== 0n,
    refcountBits: 2 ** raw.refcount_order,
    backing,
    backingFormat: extensions.backingFormat,
    dataFile: has(INCOMPATIBLE.externalData) ? (extensions.dataFile ?? { name: '', offset: 72 }) : undefined,
    reserved: disjoint([
      { name: 'the header', start: 0, length: clusterBytes, field: 'magic', offset: 0 },
      { name: 'the L1 table', start: l1Offset, length: raw.l1_size * 8, field: 'l1_table_offset', offset: 40 },
      {
        name: 'the refcount table',
        ...{ start: refcountOffset, length: refcountBytes, field: 'refcount_table_offset', offset: 48 },
      },
      {
        name: 'the encryption header',
        start: encryptionHeader?.offset ?? 0,
        length: encryptionHeader?.length ?? 0,
        field: 'encryption header offset',
        offset: extensions.encryptionHeader?.at ?? 0,
      },
    ]),
  };
}

/** How many entries of an L1 table so many bytes of disk need. */
export function l1EntriesFor(virtualSize: number, clusterBytes: number, extendedL2: boolean): number {
  return Math.ceil(virtualSize / (clusterBytes * (clusterBytes / (extendedL2 ? 16 : 8))));
}

/** Where a table of `length` bytes lies: at a multiple of the cluster size, behind the header, within the image. */
export function tableOffset(
  source: ByteSource,
  value: bigint,
  length: number,
  clusterBytes: number,
  field: string,
  offset: number,
): number {
  const start = safeNumber(value, field, offset);
  if (start % clusterBytes !== 0) {
    throw new ParseError('invalid', field, offset, `${start}, expected a multiple of the cluster size ${clusterBytes}`);
  }
  checkWithin(source, start, length, field, offset);
  return start;
}

function checkFeatures(raw: RawHeader): 'zlib' | 'zstd' {
  const unknown = raw.incompatible_features & ~KNOWN_INCOMPATIBLE;
  if (unknown !== 0n) {
    throw new ParseError(
      'unsupported',
      'incompatible_features',
      72,
      `has bits 0x${unknown.toString(16)}, expected none of them`,
    );
  }
  if ((raw.incompatible_features & INCOMPATIBLE.extendedL2) !== 0n && raw.cluster_bits < MIN_EXTENDED_CLUSTER_BITS) {
    const expected = `at least ${MIN_EXTENDED_CLUSTER_BITS} with extended L2 entries`;
    throw new ParseError('invalid', 'cluster_bits', 20, `${raw.cluster_bits}, expected ${expected}`);
  }
  const compression = COMPRESSION[raw.compression_type];
  if (compression === undefined) {
    throw new ParseError('unsupported', 'compression_type', 104, `${raw.compression_type}, expected 0 or 1`);
  }
  const hasType = (raw.incompatible_features & INCOMPATIBLE.compressionType) !== 0n;
  if (hasType !== (raw.compression_type !== 0)) {
    const expected = `${hasType ? 'another than 0' : '0'}, as incompatible_features say`;
    throw new ParseError('invalid', 'compression_type', 104, `${raw.compression_type}, expected ${expected}`);
  }
  return compression;
}

function checkLimit(value: number, limit: number, field: string, offset: number): void {
  if (value > limit) throw new ParseError('limit', field, offset, `makes ${value}, expected at most ${limit}`);
}

function readBackingName(source: ByteSource, raw: RawHeader, clusterBytes: number): WrittenName | undefined {
  if (raw.backing_file_offset === 0n) return undefined;
  const offset = safeNumber(raw.backing_file_offset, 'backing_file_offset', 8);
  const length = raw.backing_file_size;
  if (length === 0 || length > MAX_NAME_BYTES) {
    throw new ParseError('limit', 'backing_file_size', 16, `${length}, expected 1..${MAX_NAME_BYTES}`);
  }
  if (offset < raw.header_length || offset + length > clusterBytes) {
    const expected = `${raw.header_length}..${clusterBytes - length}, behind the header in its cluster`;
    throw new ParseError('invalid', 'backing_file_offset', 8, `${offset}, expected ${expected}`);
  }
  return { name: text(cursorAt(source, offset, length, 'backing_file_offset').rest('backing file name')), offset };
}

function checkEncryption(
  source: ByteSource,
  raw: RawHeader,
  { encryptionHeader }: Extensions,
  clusterBytes: number,
): Qcow2Header['encryptionHeader'] {
  const method = ENCRYPTION[raw.crypt_method];
  if (raw.crypt_method >= ENCRYPTION.length) {
    throw new ParseError('unsupported', 'crypt_method', 32, `${raw.crypt_method}, expected 0, 1 or 2`);
  }
  if (method !== 'luks') {
    if (encryptionHeader === undefined) return undefined;
    throw new ParseError('invalid', 'crypt_method', 32, `${raw.crypt_method}, expected 2 beside an encryption header`);
  }
  if (encryptionHeader === undefined) {
    throw new ParseError('invalid', 'crypt_method', 32, '2, expected an extension that says where the LUKS header is');
  }
  const { at } = encryptionHeader;
  const length = safeNumber(encryptionHeader.length, 'encryption header length', at + 8);
  checkLimit(length, MAX_ENCRYPTION_HEADER_BYTES, 'encryption header length', at + 8);
  const field = 'encryption header offset';
  return { offset: tableOffset(source, encryptionHeader.offset, length, clusterBytes, field, at), length };
}

function disjoint(
  runs: readonly { name: string; start: number; length: number; field: string; offset: number }[],
): ReservedRun[] {
  const kept: ReservedRun[] = [];
  for (const { name, start, length, field, offset } of runs) {
    if (length === 0) continue;
    const end = start + length;
    const other = kept.find((run) => start < run.end && end > run.start);
    if (other !== undefined) throw new ParseError('invalid', field, offset, `${start}, where ${other.name} lies`);
    kept.push({ name, start, end });
  }
  return kept;
}
