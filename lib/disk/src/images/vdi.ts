// VDI images, version 1.1: the format of VirtualBox (VirtualBox include/VBox/vd.h and Storage/VDICore.h describe its header).
import { ParseError } from '@ringwall/bytes';
import type { ByteSource } from '../source/byte-source.ts';
import { TablePages } from '../source/table-pages.ts';
import { locateBlocks, type BlockTable } from './block-table.ts';
import type { DiskImage, ExternalReference, ImageChain, ImageHeader, ParsedImage } from './disk-image.ts';
import { diskOf } from './disk-of.ts';
import { checkWithin, cursorAt, safeNumber } from './fields.ts';
import { guidText } from '../uuid.ts';
import { openParent } from './parent.ts';
import { runBelow, type Locate } from './runs.ts';

const SIGNATURE = 0xbeda107f;
const SIGNATURE_OFFSET = 64;
const VERSION_1_1 = 0x0001_0001;
const HEADER_BYTES = 472;
/** Counts from header_size on, which lies at 72. */
const MIN_HEADER_SIZE = 384;
const TYPES: Readonly<Record<number, string>> = { 1: 'dynamic', 2: 'fixed', 4: 'differencing' };
const SECTOR_BYTES = 512;
/** VirtualBox makes blocks of 1 MiB. */
const MAX_BLOCK_BYTES = 2 ** 28;
const BLOCK_FREE = 0xffffffff;
const BLOCK_ZERO = 0xfffffffe;
const DESCRIPTION_BYTES = 256;
const PARENT_UUID_OFFSET = 440;

interface VdiHeader {
  readonly described: ImageHeader;
  readonly mapOffset: number;
  readonly dataOffset: number;
  readonly blockBytes: number;
  readonly extraBytes: number;
  readonly blocks: number;
  readonly allocated: number;
}

export function recogniseVdi(source: ByteSource): boolean {
  if (source.size < SIGNATURE_OFFSET + 4) return false;
  return cursorAt(source, SIGNATURE_OFFSET, 4, 'signature').u32le('signature') === SIGNATURE;
}

export function parseVdi(source: ByteSource): ParsedImage {
  const header = parseHeader(source);
  return { ...header.described, open: (chain) => openVdi(source, header, chain) };
}

function parseHeader(source: ByteSource): VdiHeader {
  const cursor = cursorAt(source, 0, HEADER_BYTES, 'header');
  const creator = printable(cursor.take(SIGNATURE_OFFSET, 'text'));
  cursor.skip(4, 'signature');
  const version = cursor.u32le('version');
  if (version !== VERSION_1_1) {
    throw new ParseError('unsupported', 'version', 68, `0x${version.toString(16)}, expected 0x10001`);
  }
  const headerSize = cursor.u32le('header_size');
  if (headerSize < MIN_HEADER_SIZE) {
    throw new ParseError('invalid', 'header_size', 72, `${headerSize}, expected at least ${MIN_HEADER_SIZE}`);
  }
  const type = cursor.u32le('image_type');
  const typeName = TYPES[type];
  if (typeName === undefined) throw new ParseError('unsupported', 'image_type', 76, `${type}, expected 1, 2 or 4`);
  cursor.skip(4, 'image_flags');
  const description = printable(cursor.take(DESCRIPTION_BYTES, 'description'));
  const mapOffset = cursor.u32le('offset_bmap');
  const dataOffset = cursor.u32le('offset_data');
  cursor.skip(12, 'geometry');
  const sectorBytes = cursor.u32le('sector_size');
  cursor.skip(4, 'unused');
  const virtualSize = safeNumber(cursor.u64le('disk_size'), 'disk_size', 368);
  const blockBytes = cursor.u32le('block_size');
  const extraBytes = cursor.u32le('block_extra');
  const blocks = cursor.u32le('blocks_in_image');
  const allocated = cursor.u32le('blocks_allocated');
  const uuid = guidText(cursor.take(16, 'uuid_image'));
  cursor.skip(32, 'uuid_last_snap, uuid_link');
  const parent = guidText(cursor.take(16, 'uuid_parent'));
  if (sectorBytes !== SECTOR_BYTES) throw new ParseError('invalid', 'sector_size', 360, `${sectorBytes}, expected 512`);
  if (blockBytes === 0 || blockBytes % SECTOR_BYTES !== 0 || blockBytes > MAX_BLOCK_BYTES) {
    const expected = `a multiple of 512 up to ${MAX_BLOCK_BYTES}`;
    throw new ParseError('invalid', 'block_size', 376, `${blockBytes}, expected ${expected}`);
  }
  if (extraBytes > MAX_BLOCK_BYTES) {
    throw new ParseError('limit', 'block_extra', 380, `${extraBytes}, expected at most ${MAX_BLOCK_BYTES}`);
  }
  if (blocks < Math.ceil(virtualSize / blockBytes)) {
    const expected = `at least ${Math.ceil(virtualSize / blockBytes)} for the disk's size`;
    throw new ParseError('invalid', 'blocks_in_image', 384, `${blocks}, expected ${expected}`);
  }
  if (allocated > blocks) {
    throw new ParseError('invalid', 'blocks_allocated', 388, `${allocated}, expected at most ${blocks}`);
  }
  if (mapOffset % 4 !== 0 || mapOffset < HEADER_BYTES) {
    throw new ParseError('invalid', 'offset_bmap', 340, `${mapOffset}, expected a multiple of 4 behind the header`);
  }
  checkWithin(source, mapOffset, blocks * 4, 'offset_bmap', 340);
  if (dataOffset < mapOffset + blocks * 4) {
    throw new ParseError('invalid', 'offset_data', 344, `${dataOffset}, expected at least ${mapOffset + blocks * 4}`);
  }
  const references: ExternalReference[] =
    type === 4
      ? [{ kind: 'parent', name: parent, format: 'vdi', field: 'uuid_parent', offset: PARENT_UUID_OFFSET }]
      : [];
  const facts = { version: '1.1', type: typeName, creator, uuid, blockBytes, ...(description && { description }) };
  const described = { format: 'vdi', virtualSize, facts, references, snapshots: [], encryption: undefined } as const;
  return { described, mapOffset, dataOffset, blockBytes, extraBytes, blocks, allocated };
}

function openVdi(source: ByteSource, header: VdiHeader, chain: ImageChain): DiskImage {
  const { references } = header.described;
  const [reference] = references;
  const parent =
    reference &&
    openParent(chain, references, 'vdi', {
      ...{ fact: 'uuid', expected: reference.name, field: reference.field, offset: reference.offset },
    });
  const { dataOffset, blockBytes, extraBytes, allocated } = header;
  const table: BlockTable = {
    ...{ source, blockBytes, littleEndian: true, field: 'block map entry' },
    pages: new TablePages(source, chain.tables.section()),
    tableOffset: header.mapOffset,
    entries: header.blocks,
    placeOf(entry, at) {
      if (entry === BLOCK_FREE) return 'absent';
      if (entry === BLOCK_ZERO) return 'zero';
      if (entry >= allocated) {
        throw new ParseError(
          'invalid',
          'block map entry',
          at,
          `${entry}, expected below blocks_allocated ${allocated}`,
        );
      }
      return dataOffset + entry * (blockBytes + extraBytes) + extraBytes;
    },
  };
  const absent: Locate = (offset, length) => runBelow(parent, offset, length);
  return diskOf(header.described, (offset, length) => locateBlocks(table, offset, length, absent));
}

function printable(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return new TextDecoder().decode(end === -1 ? bytes : bytes.subarray(0, end)).trim();
}
