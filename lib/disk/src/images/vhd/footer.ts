// The footer of a VHD image, of which dynamic ones keep a copy at their start (Microsoft, Virtual Hard Disk Image Format
// Specification 1.0, "Hard Disk Footer Format").
import { ParseError } from '@ringwall/bytes';
import type { ByteSource } from '../../source/byte-source.ts';
import { uuidText } from '../../uuid.ts';
import { cursorAt, safeNumber } from '../fields.ts';

export const SECTOR_BYTES = 512;
const COOKIE = 'conectix';
const VERSION_1 = 0x0001_0000;
const CHECKSUM_OFFSET = 64;
const TYPES: Readonly<Record<number, VhdType>> = { 2: 'fixed', 3: 'dynamic', 4: 'differencing' };
/** Times count seconds from the year 2000. */
const EPOCH_MS = Date.UTC(2000, 0, 1);

export type VhdType = 'fixed' | 'dynamic' | 'differencing';

export interface VhdFooter {
  readonly type: VhdType;
  readonly virtualSize: number;
  /** Of the dynamic disk header; a fixed disk has none. */
  readonly dataOffset: bigint;
  readonly created: string;
  readonly creator: string;
  readonly uuid: string;
  readonly savedState: boolean;
  /** Where this copy lies. */
  readonly offset: number;
}

/** Whether a footer lies at `offset`: its cookie, and a checksum that fits, for a guest's own bytes may hold the first. */
export function hasFooter(source: ByteSource, offset: number): boolean {
  if (offset < 0 || offset + SECTOR_BYTES > source.size) return false;
  const bytes = source.read(offset, SECTOR_BYTES);
  return (
    asciiText(bytes.subarray(0, 8)) === COOKIE &&
    storedChecksum(bytes, CHECKSUM_OFFSET) === vhdChecksum(bytes, CHECKSUM_OFFSET)
  );
}

/**
 * The footer: that at the end, for a fixed disk's first sector is its guest's to write; the copy at the start where the end
 * is gone.
 */
export function readFooter(source: ByteSource): VhdFooter {
  const end = source.size - SECTOR_BYTES;
  if (hasFooter(source, end)) return parseFooter(source, end);
  const footer = parseFooter(source, 0);
  if (footer.type !== 'fixed') return footer;
  throw new ParseError('invalid', 'disk_type', 60, '2 (fixed), expected a footer at the end of a fixed disk');
}

/** The complement of the sum of all bytes, those of the checksum itself left out. */
export function vhdChecksum(bytes: Uint8Array, checksumOffset: number): number {
  let sum = 0;
  for (let index = 0; index < bytes.length; index += 1) {
    if (index < checksumOffset || index >= checksumOffset + 4) sum += bytes[index] ?? 0;
  }
  return ~sum >>> 0;
}

/** Refuses a structure that lies at `start` for its checksum. */
export function verifyVhdChecksum(bytes: Uint8Array, checksumOffset: number, start: number): void {
  const stored = storedChecksum(bytes, checksumOffset);
  const computed = vhdChecksum(bytes, checksumOffset);
  if (stored === computed) return;
  const detail = `0x${stored.toString(16)}, expected 0x${computed.toString(16)}`;
  throw new ParseError('invalid', 'checksum', start + checksumOffset, detail);
}

export function asciiText(bytes: Uint8Array): string {
  return new TextDecoder('latin1').decode(bytes).replaceAll('\0', ' ').trimEnd();
}

function parseFooter(source: ByteSource, offset: number): VhdFooter {
  const cursor = cursorAt(source, offset, SECTOR_BYTES, 'footer');
  const bytes = source.read(offset, SECTOR_BYTES);
  const at = (field: number): number => offset + field;
  const cookie = asciiText(cursor.take(8, 'cookie'));
  if (cookie !== COOKIE)
    throw new ParseError('invalid', 'cookie', offset, `${JSON.stringify(cookie)}, expected ${COOKIE}`);
  cursor.skip(4, 'features');
  const version = cursor.u32be('file_format_version');
  const dataOffset = cursor.u64be('data_offset');
  const createdAt = cursor.u32be('timestamp');
  const creator = asciiText(cursor.take(4, 'creator_application'));
  cursor.skip(4, 'creator_version');
  const system = asciiText(cursor.take(4, 'creator_host_os'));
  cursor.skip(8, 'original_size');
  const virtualSize = safeNumber(cursor.u64be('current_size'), 'current_size', at(48));
  cursor.skip(4, 'disk_geometry');
  const type = cursor.u32be('disk_type');
  cursor.skip(4, 'checksum');
  const uuid = uuidText(cursor.take(16, 'unique_id'));
  const savedState = cursor.u8('saved_state') !== 0;
  verifyVhdChecksum(bytes, CHECKSUM_OFFSET, offset);
  if (version !== VERSION_1) {
    throw new ParseError('unsupported', 'file_format_version', at(12), `0x${version.toString(16)}, expected 0x10000`);
  }
  const typeName = TYPES[type];
  if (typeName === undefined) throw new ParseError('unsupported', 'disk_type', at(60), `${type}, expected 2, 3 or 4`);
  if (virtualSize % SECTOR_BYTES !== 0) {
    throw new ParseError('invalid', 'current_size', at(48), `${virtualSize}, expected a multiple of 512`);
  }
  const created = new Date(EPOCH_MS + createdAt * 1000).toISOString();
  return {
    ...{ type: typeName, virtualSize, dataOffset, created, uuid, savedState, offset },
    creator: [creator, system].join(' ').trim(),
  };
}

function storedChecksum(bytes: Uint8Array, at: number): number {
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(at);
}
