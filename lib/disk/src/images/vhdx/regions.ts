// The region table of a VHDX image, of which there are two copies (MS-VHDX section 2.2.3).
import { ParseError } from '@ringwall/bytes';
import type { ByteSource } from '../../source/byte-source.ts';
import { checkWithin, cursorAt, safeNumber } from '../fields.ts';
import { guidText } from '../../uuid.ts';
import { checkChecksum, MIB, type VhdxHeader } from './header.ts';

const TABLE_OFFSETS = [192 * 1024, 256 * 1024] as const;
const TABLE_BYTES = 64 * 1024;
const SIGNATURE = 0x69676572;
const MAX_ENTRIES = 2047;
const BAT = '2dc27766-f623-4200-9d64-115e9bfd4a08';
const METADATA = '8b7ca206-4790-4b9a-b8fe-575f050f886e';

export interface Region {
  readonly name: string;
  readonly start: number;
  readonly length: number;
  /** Where the table says it. */
  readonly offset: number;
}

export interface Regions {
  readonly bat: Region;
  readonly metadata: Region;
  /** All that no block of the disk may overlap. */
  readonly reserved: readonly Region[];
}

export function readRegions(source: ByteSource, header: VhdxHeader): Regions {
  const [first, second] = TABLE_OFFSETS;
  try {
    return parseRegions(source, header, first);
  } catch (error) {
    if (!(error instanceof ParseError && error.field === 'checksum')) throw error;
    return parseRegions(source, header, second);
  }
}

function parseRegions(source: ByteSource, header: VhdxHeader, offset: number): Regions {
  const cursor = cursorAt(source, offset, TABLE_BYTES, 'region table');
  const signature = cursor.u32le('signature');
  checkChecksum(source.read(offset, TABLE_BYTES), cursor.u32le('checksum'), offset);
  if (signature !== SIGNATURE) {
    throw new ParseError('invalid', 'region table signature', offset, `0x${signature.toString(16)}, expected 'regi'`);
  }
  const count = cursor.u32le('entry_count');
  if (count > MAX_ENTRIES)
    throw new ParseError('limit', 'entry_count', offset + 8, `${count}, expected at most ${MAX_ENTRIES}`);
  cursor.skip(4, 'reserved');
  const found = new Map<string, Region>();
  const reserved: Region[] = [
    { name: 'the headers', start: 0, length: MIB, offset: 0 },
    { name: 'the log', start: header.logOffset, length: header.logLength, offset: header.offset + 72 },
  ];
  for (let index = 0; index < count; index += 1) {
    const at = cursor.offset;
    const guid = guidText(cursor.take(16, 'region guid'));
    const start = safeNumber(cursor.u64le('region file_offset'), 'region file_offset', at + 16);
    const length = cursor.u32le('region length');
    const required = (cursor.u32le('region flags') & 1) === 1;
    const name = guid === BAT ? 'the block allocation table' : guid === METADATA ? 'the metadata' : `region ${guid}`;
    if (required && guid !== BAT && guid !== METADATA) {
      throw new ParseError('unsupported', 'region guid', at, `${guid} is required, and unknown`);
    }
    if (start % MIB !== 0 || length % MIB !== 0 || length === 0) {
      throw new ParseError(
        'invalid',
        'region file_offset',
        at + 16,
        `${length} at ${start}, expected multiples of 1 MiB`,
      );
    }
    const other = reserved.find((region) => start < region.start + region.length && start + length > region.start);
    if (other !== undefined)
      throw new ParseError('invalid', 'region file_offset', at + 16, `${start}, where ${other.name} lies`);
    checkWithin(source, start, length, 'region file_offset', at + 16);
    const region = { name, start, length, offset: at };
    reserved.push(region);
    found.set(guid, region);
  }
  const [bat, metadata] = [found.get(BAT), found.get(METADATA)];
  if (bat === undefined || metadata === undefined) {
    throw new ParseError('invalid', 'region table', offset, 'lacks the block allocation table or the metadata');
  }
  return { bat, metadata, reserved };
}
