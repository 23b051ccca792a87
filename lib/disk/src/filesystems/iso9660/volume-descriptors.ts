// Volume descriptors of ISO 9660 (ECMA-119, section 8), from sector 16 on: the primary one, Joliet's among the supplementary ones,
// and the boot record of El Torito.
import { ParseError } from '@ringwall/bytes';
import type { ByteSource } from '../../source/byte-source.ts';
import { parseDirectoryRecord, type DirectoryRecord } from './directory-record.ts';

export const SECTOR_BYTES = 2048;

const FIRST_SECTOR = 16;
/** Real discs have three or four; a chain without a terminator ends here. */
const MAX_DESCRIPTORS = 64;

const BOOT_RECORD = 0;
const PRIMARY = 1;
const SUPPLEMENTARY = 2;
const TERMINATOR = 255;

const ROOT_RECORD_OFFSET = 156;
const ROOT_RECORD_BYTES = 34;

/** Escape sequences of UCS-2 (Joliet Specification, "SVD Escape Sequences"). */
const JOLIET_ESCAPES: readonly string[] = ['%/@', '%/C', '%/E'];

export interface VolumeDescriptor {
  readonly blockBytes: number;
  readonly size: number;
  readonly label: string;
  /** As blkid prints it: when the volume was last changed. */
  readonly uuid: string;
  readonly root: DirectoryRecord;
}

export interface VolumeDescriptors {
  readonly primary: VolumeDescriptor;
  readonly joliet: VolumeDescriptor | undefined;
  /** The sector of the boot catalog. */
  readonly bootCatalog: number | undefined;
}

export function isIso9660(head: Uint8Array): boolean {
  return ascii(head.subarray(FIRST_SECTOR * SECTOR_BYTES + 1, FIRST_SECTOR * SECTOR_BYTES + 6)) === 'CD001';
}

export function readVolumeDescriptors(source: ByteSource): VolumeDescriptors {
  let primary: VolumeDescriptor | undefined;
  let joliet: VolumeDescriptor | undefined;
  let bootCatalog: number | undefined;
  for (let index = 0; index < MAX_DESCRIPTORS; index += 1) {
    const position = (FIRST_SECTOR + index) * SECTOR_BYTES;
    const sector = source.read(position, SECTOR_BYTES);
    const view = new DataView(sector.buffer, sector.byteOffset, SECTOR_BYTES);
    const magic = ascii(sector.subarray(1, 6));
    if (magic !== 'CD001') {
      throw new ParseError(
        'invalid',
        'Standard Identifier',
        position + 1,
        `${JSON.stringify(magic)}, expected "CD001"`,
      );
    }
    const type = view.getUint8(0);
    if (type === TERMINATOR) break;
    if (type === PRIMARY) primary ??= parseDescriptor(sector, position, source.size, ascii);
    const isJoliet = JOLIET_ESCAPES.includes(ascii(sector.subarray(88, 91)));
    if (type === SUPPLEMENTARY && isJoliet) joliet ??= parseDescriptor(sector, position, source.size, ucs2);
    if (type === BOOT_RECORD && ascii(sector.subarray(7, 30)) === 'EL TORITO SPECIFICATION') {
      bootCatalog = view.getUint32(71, true);
    }
  }
  if (primary === undefined) {
    throw new ParseError('invalid', 'volume descriptors', FIRST_SECTOR * SECTOR_BYTES, 'hold no primary one');
  }
  return { primary, joliet, bootCatalog };
}

/** UCS-2 in big-endian, as Joliet has all text. */
export function ucs2(bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at + 1 < bytes.length; at += 2)
    text += String.fromCharCode(((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0));
  return text;
}

/** Seconds of the 17 bytes of a date in digits (ECMA-119, section 8.4.26.1), in milliseconds since 1970; 0 where there is none. */
export function parseLongDate(bytes: Uint8Array): number {
  const match = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)$/.exec(ascii(bytes.subarray(0, 16)));
  if (match === null) return 0;
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, hundredths = 0] = match.slice(1).map(Number);
  if (month === 0) return 0;
  const zone = ((bytes[16] ?? 0) << 24) >> 24;
  return Date.UTC(year, month - 1, day, hour, minute, second, hundredths * 10) - zone * 15 * 60_000;
}

function parseDescriptor(
  sector: Uint8Array,
  position: number,
  sourceSize: number,
  decode: (bytes: Uint8Array) => string,
): VolumeDescriptor {
  const view = new DataView(sector.buffer, sector.byteOffset, SECTOR_BYTES);
  const blockBytes = view.getUint16(128, true);
  if (blockBytes !== 512 && blockBytes !== 1024 && blockBytes !== 2048) {
    throw new ParseError('invalid', 'Logical Block Size', position + 128, `${blockBytes}, expected 512, 1024 or 2048`);
  }
  const size = view.getUint32(80, true) * blockBytes;
  if (size > sourceSize) {
    const found = `${size / blockBytes} blocks of ${blockBytes} bytes, but the image has ${sourceSize} bytes`;
    throw new ParseError('truncated', 'Volume Space Size', position + 80, found);
  }
  const record = sector.subarray(ROOT_RECORD_OFFSET, ROOT_RECORD_OFFSET + ROOT_RECORD_BYTES);
  const changed = sector.subarray(830, 847);
  const digits = ascii(changed.subarray(0, 16));
  return {
    blockBytes,
    size,
    label: decode(sector.subarray(40, 72)).replace(/[\0 ]+$/, ''),
    uuid: /^\d{16}$/.test(digits)
      ? digits.replace(/^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)$/, '$1-$2-$3-$4-$5-$6-$7')
      : '',
    root: parseDirectoryRecord(record, position + ROOT_RECORD_OFFSET),
  };
}

function ascii(bytes: Uint8Array): string {
  return new TextDecoder('latin1').decode(bytes);
}
