// The fields of a QCOW2 header as they are written, versions 2 and 3 (QEMU docs/interop/qcow2.txt, "Header"): only what says
// how the rest is to be read is checked here.
import { ParseError, type Cursor } from '@ringwall/bytes';
import type { ByteSource } from '../../source/byte-source.ts';
import { cursorAt } from '../fields.ts';

/** 'QFI', 0xfb. */
export const MAGIC = 0x514649fb;

const V2_HEADER_BYTES = 72;
const V3_HEADER_BYTES = 104;
const MIN_CLUSTER_BITS = 9;
const MAX_CLUSTER_BITS = 21;
const MAX_REFCOUNT_ORDER = 6;

interface Version3Fields {
  readonly incompatible_features: bigint;
  readonly compatible_features: bigint;
  readonly autoclear_features: bigint;
  readonly refcount_order: number;
  readonly header_length: number;
  readonly compression_type: number;
}

export interface RawHeader extends Version3Fields {
  readonly version: 2 | 3;
  readonly backing_file_offset: bigint;
  readonly backing_file_size: number;
  readonly cluster_bits: number;
  readonly size: bigint;
  readonly crypt_method: number;
  readonly l1_size: number;
  readonly l1_table_offset: bigint;
  readonly refcount_table_offset: bigint;
  readonly refcount_table_clusters: number;
  readonly nb_snapshots: number;
  readonly snapshots_offset: bigint;
}

const VERSION_2: Version3Fields = {
  incompatible_features: 0n,
  compatible_features: 0n,
  autoclear_features: 0n,
  refcount_order: 4,
  header_length: V2_HEADER_BYTES,
  compression_type: 0,
};

export function readRawHeader(source: ByteSource): RawHeader {
  const cursor = cursorAt(source, 0, Math.min(source.size, V3_HEADER_BYTES + 8), 'header');
  const magic = cursor.u32be('magic');
  if (magic !== MAGIC) throw new ParseError('invalid', 'magic', 0, `0x${magic.toString(16)}, expected 0x514649fb`);
  const version = cursor.u32be('version');
  if (version !== 2 && version !== 3) {
    throw new ParseError('unsupported', 'version', 4, `${version}, expected 2 or 3`);
  }
  const raw = {
    version,
    backing_file_offset: cursor.u64be('backing_file_offset'),
    backing_file_size: cursor.u32be('backing_file_size'),
    cluster_bits: cursor.u32be('cluster_bits'),
    size: cursor.u64be('size'),
    crypt_method: cursor.u32be('crypt_method'),
    l1_size: cursor.u32be('l1_size'),
    l1_table_offset: cursor.u64be('l1_table_offset'),
    refcount_table_offset: cursor.u64be('refcount_table_offset'),
    refcount_table_clusters: cursor.u32be('refcount_table_clusters'),
    nb_snapshots: cursor.u32be('nb_snapshots'),
    snapshots_offset: cursor.u64be('snapshots_offset'),
  } as const;
  if (raw.cluster_bits < MIN_CLUSTER_BITS || raw.cluster_bits > MAX_CLUSTER_BITS) {
    const expected = `${MIN_CLUSTER_BITS}..${MAX_CLUSTER_BITS}`;
    throw new ParseError('invalid', 'cluster_bits', 20, `${raw.cluster_bits}, expected ${expected}`);
  }
  return { ...raw, ...(version === 2 ? VERSION_2 : readVersion3(cursor, 2 ** raw.cluster_bits)) };
}

function readVersion3(cursor: Cursor, clusterBytes: number): Version3Fields {
  const raw = {
    incompatible_features: cursor.u64be('incompatible_features'),
    compatible_features: cursor.u64be('compatible_features'),
    autoclear_features: cursor.u64be('autoclear_features'),
    refcount_order: cursor.u32be('refcount_order'),
    header_length: cursor.u32be('header_length'),
  };
  if (raw.refcount_order > MAX_REFCOUNT_ORDER) {
    throw new ParseError('invalid', 'refcount_order', 96, `${raw.refcount_order}, expected 0..${MAX_REFCOUNT_ORDER}`);
  }
  const { header_length } = raw;
  if (header_length < V3_HEADER_BYTES || header_length > clusterBytes || header_length % 8 !== 0) {
    const expected = `a multiple of 8 from ${V3_HEADER_BYTES} to the cluster size`;
    throw new ParseError('invalid', 'header_length', 100, `${header_length}, expected ${expected}`);
  }
  return { ...raw, compression_type: header_length > V3_HEADER_BYTES ? cursor.u8('compression_type') : 0 };
}
