// The header of a dynamic or differencing VHD, with the names of its parent (Virtual Hard Disk Image Format Specification
// 1.0, "Dynamic Disk Header Format").
import { ParseError, type Cursor } from '@ringwall/bytes';
import type { ByteSource } from '../../source/byte-source.ts';
import { uuidText } from '../../uuid.ts';
import type { ExternalReference } from '../disk-image.ts';
import { checkWithin, cursorAt, safeNumber } from '../fields.ts';
import { asciiText, SECTOR_BYTES, verifyVhdChecksum, type VhdFooter } from './footer.ts';

const HEADER_BYTES = 1024;
const COOKIE = 'cxsparse';
const VERSION_1 = 0x0001_0000;
const CHECKSUM_OFFSET = 36;
/** The format's default is 2 MiB. */
const MAX_BLOCK_BYTES = 2 ** 28;
const NAME_OFFSET = 64;
const NAME_BYTES = 512;
const LOCATORS_OFFSET = 576;
const LOCATORS = 8;
const LOCATOR_BYTES = 24;
/** A path of Windows ends at 32,767 characters. */
const MAX_LOCATOR_BYTES = 65_536;
/** Platform codes whose names are UTF-16, little-endian; the others are not paths that anyone could look up by name. */
const UTF16_LOCATORS: readonly string[] = ['W2ku', 'W2ru'];

export interface DynamicHeader {
  readonly tableOffset: number;
  readonly entries: number;
  readonly blockBytes: number;
  readonly parentUuid: string;
  /** Where the header says it. */
  readonly parentUuidOffset: number;
  /** Names of the parent; none for a dynamic disk. */
  readonly references: readonly ExternalReference[];
}

export function readDynamicHeader(source: ByteSource, footer: VhdFooter): DynamicHeader {
  const offset = safeNumber(footer.dataOffset, 'data_offset', footer.offset + 16);
  checkWithin(source, offset, HEADER_BYTES, 'data_offset', footer.offset + 16);
  const cursor = cursorAt(source, offset, HEADER_BYTES, 'dynamic disk header');
  const at = (field: number): number => offset + field;
  const cookie = asciiText(cursor.take(8, 'cookie'));
  if (cookie !== COOKIE)
    throw new ParseError('invalid', 'cookie', offset, `${JSON.stringify(cookie)}, expected ${COOKIE}`);
  cursor.skip(8, 'data_offset');
  const tableOffset = safeNumber(cursor.u64be('table_offset'), 'table_offset', at(16));
  const version = cursor.u32be('header_version');
  const entries = cursor.u32be('max_table_entries');
  const blockBytes = cursor.u32be('block_size');
  cursor.skip(4, 'checksum');
  const parentUuid = uuidText(cursor.take(16, 'parent_unique_id'));
  verifyVhdChecksum(source.read(offset, HEADER_BYTES), CHECKSUM_OFFSET, offset);
  if (version !== VERSION_1) {
    throw new ParseError('unsupported', 'header_version', at(24), `0x${version.toString(16)}, expected 0x10000`);
  }
  if (blockBytes < SECTOR_BYTES || blockBytes > MAX_BLOCK_BYTES || (blockBytes & (blockBytes - 1)) !== 0) {
    const expected = `a power of two from ${SECTOR_BYTES} to ${MAX_BLOCK_BYTES}`;
    throw new ParseError('invalid', 'block_size', at(32), `${blockBytes}, expected ${expected}`);
  }
  const needed = Math.ceil(footer.virtualSize / blockBytes);
  if (entries < needed) {
    throw new ParseError('invalid', 'max_table_entries', at(28), `${entries}, expected at least ${needed}`);
  }
  if (tableOffset % SECTOR_BYTES !== 0) {
    throw new ParseError('invalid', 'table_offset', at(16), `${tableOffset}, expected a multiple of 512`);
  }
  checkWithin(source, tableOffset, needed * 4, 'table_offset', at(16));
  const references = footer.type === 'differencing' ? readParents(source, offset) : [];
  return { tableOffset, entries, blockBytes, parentUuid, parentUuidOffset: at(40), references };
}

function readParents(source: ByteSource, header: number): ExternalReference[] {
  const name = utf16(source.read(header + NAME_OFFSET, NAME_BYTES), 'utf-16be');
  const references = [parentNamed(name, 'parent_unicode_name', header + NAME_OFFSET)];
  const cursor = cursorAt(source, header + LOCATORS_OFFSET, LOCATORS * LOCATOR_BYTES, 'parent locators');
  for (let index = 0; index < LOCATORS; index += 1) {
    const reference = readLocator(source, cursor);
    if (reference !== undefined) references.push(reference);
  }
  return references.filter((reference) => reference.name !== '');
}

function readLocator(source: ByteSource, cursor: Cursor): ExternalReference | undefined {
  const at = cursor.offset;
  const platform = asciiText(cursor.take(4, 'parent locator platform_code'));
  cursor.skip(4, 'parent locator platform_data_space');
  const length = cursor.u32be('parent locator platform_data_length');
  cursor.skip(4, 'parent locator reserved');
  const start = safeNumber(
    cursor.u64be('parent locator platform_data_offset'),
    'parent locator platform_data_offset',
    at + 16,
  );
  if (!UTF16_LOCATORS.includes(platform)) return undefined;
  if (length > MAX_LOCATOR_BYTES) {
    throw new ParseError(
      'limit',
      'parent locator platform_data_length',
      at + 8,
      `${length}, expected at most ${MAX_LOCATOR_BYTES}`,
    );
  }
  checkWithin(source, start, length, 'parent locator platform_data_offset', at + 16);
  return parentNamed(utf16(source.read(start, length), 'utf-16le'), `parent locator ${platform}`, start);
}

function parentNamed(name: string, field: string, offset: number): ExternalReference {
  return { kind: 'parent', name, format: 'vhd', field, offset };
}

function utf16(bytes: Uint8Array, encoding: 'utf-16be' | 'utf-16le'): string {
  const text = new TextDecoder(encoding).decode(bytes);
  const end = text.indexOf('\0');
  return end === -1 ? text : text.slice(0, end);
}
