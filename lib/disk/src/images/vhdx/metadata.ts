// The metadata of a VHDX image: sizes, identity, and where its parent is (MS-VHDX section 2.6).
import { Cursor, ParseError } from '@ringwall/bytes';
import type { ByteSource } from '../../source/byte-source.ts';
import type { ExternalReference } from '../disk-image.ts';
import { cursorAt, safeNumber } from '../fields.ts';
import { guidText } from '../../uuid.ts';
import { MIB } from './header.ts';
import type { Region } from './regions.ts';

const SIGNATURE = 'metadata';
const TABLE_BYTES = 64 * 1024;
const MAX_ENTRIES = 2047;
const REQUIRED = 4;
const ITEM = {
  'caa16737-fa36-4d43-b3b6-33f0aa44e76b': 'file parameters',
  '2fa54224-cd1b-4876-b211-5dbed83bf4b8': 'virtual disk size',
  'beca12ab-b2e6-4523-93ef-c309e000c746': 'virtual disk id',
  '8141bf1d-a96f-4709-ba47-f233a8faab5f': 'logical sector size',
  'cda348c7-445d-4471-9cc9-e9885251c556': 'physical sector size',
  'a8d35f2d-b30b-454d-abf7-d3d84834ab0c': 'parent locator',
} as const;
type Item = (typeof ITEM)[keyof typeof ITEM];

const MAX_VIRTUAL_SIZE = 2 ** 46;
const MAX_BLOCK_BYTES = 256 * MIB;
const VHDX_PARENT = 'b04aefb7-d19e-4a81-b789-25b8e9445913';
/** Names of the parent, in the order in which they are to be tried (section 2.6.2.6.3). */
const PATH_KEYS = ['relative_path', 'volume_path', 'absolute_win32_path'] as const;

export interface VhdxMetadata {
  readonly blockBytes: number;
  readonly fixed: boolean;
  readonly hasParent: boolean;
  readonly virtualSize: number;
  readonly diskId: string;
  readonly sectorBytes: number;
  readonly physicalSectorBytes: number;
  readonly parent: ParentLocator | undefined;
}

export interface ParentLocator {
  readonly references: readonly ExternalReference[];
  /** data_write_guid of the parent. */
  readonly linkage: string;
  readonly linkageOffset: number;
}

interface Entry {
  readonly start: number;
  readonly length: number;
}

export function readMetadata(source: ByteSource, region: Region): VhdxMetadata {
  const items = readTable(source, region);
  const cursorOf = (item: Item, length: number): Cursor => {
    const entry = items.get(item);
    if (entry === undefined) throw new ParseError('invalid', 'metadata', region.start, `has no ${item}`);
    if (entry.length < length)
      throw new ParseError('invalid', item, entry.start, `has ${entry.length} bytes, expected ${length}`);
    return cursorAt(source, entry.start, length, item);
  };
  const parameters = cursorOf('file parameters', 8);
  const at = parameters.offset;
  const blockBytes = parameters.u32le('block_size');
  const flags = parameters.u32le('file parameters flags');
  if (blockBytes < MIB || blockBytes > MAX_BLOCK_BYTES || (blockBytes & (blockBytes - 1)) !== 0) {
    throw new ParseError('invalid', 'block_size', at, `${blockBytes}, expected a power of two from 1 MiB to 256 MiB`);
  }
  const sizes = cursorOf('virtual disk size', 8);
  const sizeAt = sizes.offset;
  const virtualSize = safeNumber(sizes.u64le('virtual_disk_size'), 'virtual_disk_size', sizeAt);
  const sectorBytes = sectorSize(cursorOf('logical sector size', 4), 'logical_sector_size');
  const physicalSectorBytes = sectorSize(cursorOf('physical sector size', 4), 'physical_sector_size');
  if (virtualSize > MAX_VIRTUAL_SIZE || virtualSize % sectorBytes !== 0) {
    const expected = `a multiple of the sector size up to ${MAX_VIRTUAL_SIZE}`;
    throw new ParseError('invalid', 'virtual_disk_size', sizeAt, `${virtualSize}, expected ${expected}`);
  }
  const hasParent = (flags & 2) !== 0;
  const locator = items.get('parent locator');
  if (hasParent && locator === undefined) {
    throw new ParseError(
      'invalid',
      'file parameters flags',
      at + 4,
      'say that there is a parent, but no locator says where',
    );
  }
  return {
    ...{ blockBytes, hasParent, virtualSize, sectorBytes, physicalSectorBytes },
    fixed: (flags & 1) !== 0,
    diskId: guidText(cursorOf('virtual disk id', 16).take(16, 'virtual_disk_id')),
    parent: hasParent && locator !== undefined ? readLocator(source, locator) : undefined,
  };
}

function readTable(source: ByteSource, region: Region): Map<Item, Entry> {
  const cursor = cursorAt(source, region.start, TABLE_BYTES, 'metadata table');
  const signature = new TextDecoder('latin1').decode(cursor.take(8, 'signature'));
  if (signature !== SIGNATURE) {
    throw new ParseError(
      'invalid',
      'metadata signature',
      region.start,
      `${JSON.stringify(signature)}, expected 'metadata'`,
    );
  }
  cursor.skip(2, 'reserved');
  const count = cursor.u16le('entry_count');
  if (count > MAX_ENTRIES) {
    throw new ParseError(
      'limit',
      'metadata entry_count',
      region.start + 10,
      `${count}, expected at most ${MAX_ENTRIES}`,
    );
  }
  cursor.skip(20, 'reserved');
  const items = new Map<Item, Entry>();
  for (let index = 0; index < count; index += 1) {
    const at = cursor.offset;
    const guid = guidText(cursor.take(16, 'metadata item_id'));
    const offset = cursor.u32le('metadata item offset');
    const length = cursor.u32le('metadata item length');
    const flags = cursor.u32le('metadata item flags');
    cursor.skip(4, 'reserved');
    const item = Object.entries(ITEM).find(([known]) => known === guid)?.[1];
    if (item === undefined) {
      if ((flags & REQUIRED) === 0) continue;
      throw new ParseError('unsupported', 'metadata item_id', at, `${guid} is required, and unknown`);
    }
    if (items.has(item)) throw new ParseError('invalid', 'metadata item_id', at, `${item} a second time`);
    if (offset < TABLE_BYTES || length > MIB || offset + length > region.length) {
      throw new ParseError(
        'invalid',
        'metadata item offset',
        at + 16,
        `${length} at ${offset}, expected behind the table in its region`,
      );
    }
    items.set(item, { start: region.start + offset, length });
  }
  return items;
}

function sectorSize(cursor: Cursor, field: string): number {
  const at = cursor.offset;
  const bytes = cursor.u32le(field);
  if (bytes !== 512 && bytes !== 4096) throw new ParseError('invalid', field, at, `${bytes}, expected 512 or 4096`);
  return bytes;
}

function readLocator(source: ByteSource, { start, length }: Entry): ParentLocator {
  const bytes = source.read(start, length);
  const cursor = new Cursor(bytes, start);
  const type = guidText(cursor.take(16, 'parent locator type'));
  if (type !== VHDX_PARENT)
    throw new ParseError('unsupported', 'parent locator type', start, `${type}, expected ${VHDX_PARENT}`);
  cursor.skip(2, 'reserved');
  const count = cursor.u16le('parent locator key_value_count');
  const values = new Map<string, { readonly text: string; readonly offset: number }>();
  for (let index = 0; index < count; index += 1) {
    const keyAt = cursor.u32le('parent locator key_offset');
    const valueAt = cursor.u32le('parent locator value_offset');
    const keyBytes = cursor.u16le('parent locator key_length');
    const valueBytes = cursor.u16le('parent locator value_length');
    const key = textAt(bytes, start, keyAt, keyBytes, 'parent locator key');
    values.set(key, {
      text: textAt(bytes, start, valueAt, valueBytes, 'parent locator value'),
      offset: start + valueAt,
    });
  }
  const linkage = values.get('parent_linkage');
  if (linkage === undefined) throw new ParseError('invalid', 'parent locator', start, 'has no parent_linkage');
  const references = PATH_KEYS.flatMap((key): ExternalReference[] => {
    const value = values.get(key);
    if (value === undefined) return [];
    return [{ kind: 'parent', name: value.text, format: 'vhdx', field: `parent locator ${key}`, offset: value.offset }];
  });
  return { references, linkage: linkage.text.replace(/^\{(.*)\}$/, '$1').toLowerCase(), linkageOffset: linkage.offset };
}

function textAt(bytes: Uint8Array, base: number, at: number, length: number, field: string): string {
  const cursor = new Cursor(bytes, base);
  cursor.skip(at, field);
  return new TextDecoder('utf-16le').decode(cursor.take(length, field));
}
