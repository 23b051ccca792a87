// The label of an LVM2 physical volume and the newest text of its metadata area (lvm2: format_text/layout.h, label/label.h):
// each with the same checksum, the text in a ring that it may wrap around in.
import { concatBytes, Cursor, ParseError } from '@ringwall/bytes';
import { crc32 } from '../../checksum/crc.ts';
import type { ByteSource } from '../../source/byte-source.ts';

export interface PhysicalVolumeLabel {
  /** As LVM prints it, with dashes. */
  readonly uuid: string;
  /** The newest metadata, undefined where this volume keeps none. */
  readonly metadata: { readonly text: string; readonly offset: number } | undefined;
}

const SECTOR_BYTES = 512;
const LABEL_SECTORS = 4;
const LABEL_ID = 'LABELONE';
const LABEL_TYPE = 'LVM2 001';
const AREA_MAGIC = ' LVM2 x[5A%r0N*>';
const AREA_VERSION = 1;
/** INITIAL_CRC of lvm2, and no inversion at the end. */
const CRC_INITIAL = 0xf597a6cf;
const AREA_HEADER_BYTES = 512;
const UUID_BYTES = 32;
/** Areas listed in one label; LVM makes at most two of each kind. */
const MAX_AREAS = 16;
/** The text of a group with thousands of volumes has some megabytes. */
const MAX_METADATA_BYTES = 8 * 2 ** 20;
const IGNORED = 1;

/** Whether one of the first four sectors is the label of a physical volume. */
export function recogniseLvm(source: ByteSource): boolean {
  return labelSector(source) !== undefined;
}

/** The label of the physical volume that `source` is. */
export function readLvmLabel(source: ByteSource): PhysicalVolumeLabel {
  const sector = labelSector(source);
  if (sector === undefined) throw new ParseError('invalid', 'label', 0, `missing, expected ${LABEL_ID}`);
  const base = sector * SECTOR_BYTES;
  const bytes = source.read(base, SECTOR_BYTES);
  const cursor = new Cursor(bytes, base);
  cursor.skip(8, 'id');
  const own = cursor.u64le('sector_xl');
  if (own !== BigInt(sector)) throw cursor.error('invalid', 'sector_xl', `${own}, expected ${sector}`);
  expectChecksum('crc_xl', cursor.u32le('crc_xl'), bytes.subarray(20), base + 16);
  const headerAt = cursor.u32le('offset_xl');
  const type = ascii(cursor.take(8, 'type'));
  if (type !== LABEL_TYPE) throw cursor.error('unsupported', 'type', `${JSON.stringify(type)}, expected ${LABEL_TYPE}`);

  const header = new Cursor(bytes.subarray(Math.min(headerAt, SECTOR_BYTES)), base + headerAt);
  const uuid = dashed(ascii(header.take(UUID_BYTES, 'pv_uuid')));
  header.skip(8, 'device_size_xl');
  readAreas(header);
  const areas = readAreas(header);
  const texts = areas.map((area) => readMetadata(source, area.offset, area.size));
  return { uuid, metadata: texts.find((text) => text !== undefined) };
}

function labelSector(source: ByteSource): number | undefined {
  for (let sector = 0; sector < LABEL_SECTORS && (sector + 1) * SECTOR_BYTES <= source.size; sector += 1) {
    if (ascii(source.read(sector * SECTOR_BYTES, LABEL_ID.length)) === LABEL_ID) return sector;
  }
  return undefined;
}

/** A list of areas, up to the one of zeros that ends it. */
function readAreas(cursor: Cursor): { offset: number; size: number }[] {
  const areas: { offset: number; size: number }[] = [];
  for (;;) {
    const offset = safe(cursor, 'disk_area offset');
    const size = safe(cursor, 'disk_area size');
    if (offset === 0) return areas;
    if (areas.length >= MAX_AREAS) throw cursor.error('limit', 'disk_area', `has more than ${MAX_AREAS} entries`);
    areas.push({ offset, size });
  }
}

function readMetadata(source: ByteSource, areaOffset: number, areaSize: number): PhysicalVolumeLabel['metadata'] {
  const bytes = source.read(areaOffset, AREA_HEADER_BYTES);
  const cursor = new Cursor(bytes, areaOffset);
  expectChecksum('mda checksum_xl', cursor.u32le('checksum_xl'), bytes.subarray(4), areaOffset);
  const magic = ascii(cursor.take(16, 'magic'));
  if (magic !== AREA_MAGIC) throw cursor.error('invalid', 'magic', 'is not that of an LVM2 metadata area');
  const version = cursor.u32le('version');
  if (version !== AREA_VERSION) throw cursor.error('unsupported', 'version', `${version}, expected ${AREA_VERSION}`);
  const start = safe(cursor, 'start');
  const size = safe(cursor, 'size');
  if (start !== areaOffset || size > areaSize || size < AREA_HEADER_BYTES) {
    throw cursor.error('invalid', 'size', `${size} at ${start}, expected ${areaSize} at ${areaOffset}`);
  }
  const offset = safe(cursor, 'raw_locn offset');
  const length = safe(cursor, 'raw_locn size');
  const checksum = cursor.u32le('raw_locn checksum');
  const flags = cursor.u32le('raw_locn flags');
  if (offset === 0 || flags & IGNORED) return undefined;
  if (length > MAX_METADATA_BYTES) {
    throw cursor.error('limit', 'raw_locn size', `${length}, expected at most ${MAX_METADATA_BYTES}`);
  }
  if (offset < AREA_HEADER_BYTES || offset >= size || length > size - AREA_HEADER_BYTES) {
    throw cursor.error('invalid', 'raw_locn offset', `${offset} with ${length} bytes, expected within ${size}`);
  }
  const head = Math.min(length, size - offset);
  const first = source.read(areaOffset + offset, head);
  const rest = source.read(areaOffset + AREA_HEADER_BYTES, length - head);
  const text = rest.length === 0 ? first : concatBytes(first, rest);
  expectChecksum('raw_locn checksum', checksum, text, areaOffset + offset);
  const end = text.indexOf(0);
  const used = end === -1 ? text : text.subarray(0, end);
  return { text: new TextDecoder().decode(used), offset: areaOffset + offset };
}

function expectChecksum(field: string, stored: number, bytes: Uint8Array, offset: number): void {
  const expected = crc32(CRC_INITIAL, bytes);
  if (stored === expected) return;
  throw new ParseError('invalid', field, offset, `0x${stored.toString(16)}, expected 0x${expected.toString(16)}`);
}

function safe(cursor: Cursor, field: string): number {
  const value = cursor.u64le(field);
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw cursor.error('limit', field, `${value}, expected below 2^53`);
  return Number(value);
}

/** LVM keeps its uuids without the dashes that it prints: 6-4-4-4-4-4-6. */
function dashed(uuid: string): string {
  return uuid.replace(/^(.{6})(.{4})(.{4})(.{4})(.{4})(.{4})(.{6})$/, '$1-$2-$3-$4-$5-$6-$7');
}

function ascii(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes);
}
