// The header of a hosted sparse extent, and its second copy at the end of a streamed one (VMware, Virtual Disk Format 5.0,
// "Hosted Sparse Extents", "Stream-Optimized Compressed Sparse Extents").
import { ParseError } from '@ringwall/bytes';
import type { ByteSource } from '../../source/byte-source.ts';
import { checkWithin, cursorAt, safeNumber } from '../fields.ts';
import { MAX_DESCRIPTOR_BYTES, SECTOR_BYTES } from './descriptor.ts';

/** 'KDMV', little-endian. */
const MAGIC = 0x564d444b;
const HEADER_BYTES = 512;
const FLAG = { newlines: 1, zeroedGrains: 4, compressed: 0x1_0000, markers: 0x2_0000 } as const;
/** What a carriage return, a line feed and a space become where the file was sent as text. */
const NEWLINES = [0x0a, 0x20, 0x0d, 0x0a] as const;
const COMPRESSED_DEFLATE = 1;
const GRAIN_DIRECTORY_AT_END = 0xffff_ffff_ffff_ffffn;
/** 512 entries, 2 KiB, in every image of VMware's. */
const MAX_TABLE_ENTRIES = 65_536;
/** VMware's are 64 KiB; QEMU reads up to 64 MiB, which would be held in memory where it is compressed. */
const MAX_GRAIN_BYTES = 2 * 2 ** 20;
/** Footer marker, footer, end-of-stream marker. */
const FOOTER_FROM_END = 1024;
const FOOTER_MARKER = 3;

export interface SparseHeader {
  readonly version: number;
  /** Bytes of the disk that it holds. */
  readonly capacity: number;
  readonly grainBytes: number;
  readonly tableEntries: number;
  readonly directoryOffset: number;
  readonly compressed: boolean;
  readonly markers: boolean;
  readonly zeroedGrains: boolean;
  readonly unclean: boolean;
  readonly fromFooter: boolean;
  /** Of the descriptor; of length 0 where none is embedded. */
  readonly descriptor: { readonly offset: number; readonly length: number };
}

export function isSparseExtent(source: ByteSource): boolean {
  return source.size >= 4 && cursorAt(source, 0, 4, 'magic').u32le('magic') === MAGIC;
}

export function readSparseHeader(source: ByteSource): SparseHeader {
  const header = parseHeader(source, 0);
  if (header.gdOffset !== GRAIN_DIRECTORY_AT_END) return checkHeader(source, header, 0, false);
  const at = source.size - FOOTER_FROM_END;
  checkWithin(source, at - SECTOR_BYTES, SECTOR_BYTES + FOOTER_FROM_END, 'footer', 56);
  const marker = cursorAt(source, at - SECTOR_BYTES, 16, 'footer marker');
  marker.skip(8, 'footer marker sectors');
  const [size, type] = [marker.u32le('footer marker size'), marker.u32le('footer marker type')];
  if (size !== 0 || type !== FOOTER_MARKER) {
    throw new ParseError(
      'invalid',
      'footer marker type',
      at - SECTOR_BYTES + 12,
      `${type}, expected 3: is the end cut off?`,
    );
  }
  const footer = parseHeader(source, at);
  if (footer.gdOffset === GRAIN_DIRECTORY_AT_END) {
    throw new ParseError('invalid', 'footer gdOffset', at + 56, 'at the end, expected where the grain directory is');
  }
  return checkHeader(source, footer, at, true);
}

interface RawHeader {
  readonly version: number;
  readonly flags: number;
  readonly capacity: bigint;
  readonly grainSize: bigint;
  readonly descriptorOffset: bigint;
  readonly descriptorSize: bigint;
  readonly numGTEsPerGT: number;
  readonly gdOffset: bigint;
  readonly uncleanShutdown: number;
  readonly compressAlgorithm: number;
}

function parseHeader(source: ByteSource, offset: number): RawHeader {
  const cursor = cursorAt(source, offset, HEADER_BYTES, 'header');
  const magic = cursor.u32le('magic');
  if (magic !== MAGIC) throw new ParseError('invalid', 'magic', offset, `0x${magic.toString(16)}, expected 'KDMV'`);
  const version = cursor.u32le('version');
  if (version < 1 || version > 3)
    throw new ParseError('unsupported', 'version', offset + 4, `${version}, expected 1..3`);
  const flags = cursor.u32le('flags');
  const raw = {
    ...{ version, flags },
    capacity: cursor.u64le('capacity'),
    grainSize: cursor.u64le('grainSize'),
    descriptorOffset: cursor.u64le('descriptorOffset'),
    descriptorSize: cursor.u64le('descriptorSize'),
    numGTEsPerGT: cursor.u32le('numGTEsPerGT'),
  };
  cursor.skip(8, 'rgdOffset');
  const gdOffset = cursor.u64le('gdOffset');
  cursor.skip(8, 'overHead');
  const uncleanShutdown = cursor.u8('uncleanShutdown');
  const newlines = cursor.take(4, 'newline characters');
  if ((flags & FLAG.newlines) !== 0 && NEWLINES.some((byte, index) => newlines[index] !== byte)) {
    throw new ParseError('invalid', 'newline characters', offset + 73, 'were changed: the file was sent as text');
  }
  return { ...raw, gdOffset, uncleanShutdown, compressAlgorithm: cursor.u16le('compressAlgorithm') };
}

function checkHeader(source: ByteSource, raw: RawHeader, offset: number, fromFooter: boolean): SparseHeader {
  const bytes = (sectors: bigint, field: string, at: number): number => safeNumber(sectors * 512n, field, offset + at);
  const capacity = bytes(raw.capacity, 'capacity', 12);
  const grainBytes = bytes(raw.grainSize, 'grainSize', 20);
  if (grainBytes < SECTOR_BYTES || grainBytes > MAX_GRAIN_BYTES || (grainBytes & (grainBytes - 1)) !== 0) {
    const expected = `a power of two from ${SECTOR_BYTES} to ${MAX_GRAIN_BYTES}`;
    throw new ParseError('invalid', 'grainSize', offset + 20, `makes ${grainBytes} bytes, expected ${expected}`);
  }
  const tableEntries = raw.numGTEsPerGT;
  if (tableEntries === 0 || tableEntries > MAX_TABLE_ENTRIES) {
    throw new ParseError('limit', 'numGTEsPerGT', offset + 44, `${tableEntries}, expected 1..${MAX_TABLE_ENTRIES}`);
  }
  const compressed = (raw.flags & FLAG.compressed) !== 0;
  if (compressed !== (raw.compressAlgorithm === COMPRESSED_DEFLATE) || raw.compressAlgorithm > COMPRESSED_DEFLATE) {
    const expected = compressed ? '1, as the flags say' : '0, as the flags say';
    throw new ParseError('invalid', 'compressAlgorithm', offset + 77, `${raw.compressAlgorithm}, expected ${expected}`);
  }
  const markers = (raw.flags & FLAG.markers) !== 0;
  if (compressed && !markers) {
    throw new ParseError(
      'unsupported',
      'flags',
      offset + 8,
      `0x${raw.flags.toString(16)}: compressed grains without markers`,
    );
  }
  const directoryOffset = bytes(raw.gdOffset, 'gdOffset', 56);
  const directoryEntries = Math.ceil(capacity / (grainBytes * tableEntries));
  checkWithin(source, directoryOffset, directoryEntries * 4, 'gdOffset', offset + 56);
  if (directoryOffset === 0) throw new ParseError('invalid', 'gdOffset', offset + 56, '0, where the header lies');
  const length = bytes(raw.descriptorSize, 'descriptorSize', 36);
  if (length > MAX_DESCRIPTOR_BYTES) {
    throw new ParseError(
      'limit',
      'descriptorSize',
      offset + 36,
      `makes ${length} bytes, expected at most ${MAX_DESCRIPTOR_BYTES}`,
    );
  }
  const start = bytes(raw.descriptorOffset, 'descriptorOffset', 28);
  if (start !== 0) checkWithin(source, start, length, 'descriptorOffset', offset + 28);
  return {
    ...{ version: raw.version, capacity, grainBytes, tableEntries, directoryOffset },
    ...{ compressed, markers, fromFooter, unclean: raw.uncleanShutdown !== 0 },
    zeroedGrains: (raw.flags & FLAG.zeroedGrains) !== 0,
    descriptor: { offset: start, length: start === 0 ? 0 : length },
  };
}
