// The GUID partition table (UEFI specification 2.10, section 5.3): a header and its copy at the other end of the disk, each
// with its own checksum and that of the entries. The copy is read where the first does not hold, and said so.
import { Cursor, ParseError } from '@ringwall/bytes';
import { CRC_START, crc32 } from '../checksum/crc.ts';
import type { ByteSource } from '../source/byte-source.ts';
import { guidText } from '../uuid.ts';
import type { Partition, PartitionTable } from './partition.ts';

const SIGNATURE = 'EFI PART';
const REVISION_1 = 0x00010000;
const MIN_HEADER_BYTES = 92;
const CHECKSUM_AT = 16;
const ENTRY_BYTES = 128;
/** Bytes of all entries: 8,192 entries of the usual size. UEFI reserves 16 KiB, for 128. */
const MAX_ENTRIES_BYTES = 2 ** 20;
const NAME_UNITS = 36;
const SECTOR_SIZES: readonly number[] = [512, 4096];
const UNUSED_TYPE = '00000000-0000-0000-0000-000000000000';

interface Header {
  readonly diskId: string;
  readonly firstUsable: number;
  readonly lastUsable: number;
  readonly entries: Uint8Array;
  readonly entriesOffset: number;
  readonly entryBytes: number;
  readonly entriesChecksum: number;
}

/** The size of sectors for which a GPT header lies in the second one, undefined where none does. */
export function gptSectorBytes(disk: ByteSource): number | undefined {
  return SECTOR_SIZES.find((bytes) => bytes * 2 <= disk.size && signatureAt(disk, bytes) === SIGNATURE);
}

/**
 * The table of `disk`, whose sectors have `sectorBytes`. Where the header at its start does not hold, the copy at its end is
 * read; where neither does, what is wrong with the first is thrown.
 */
export function readGpt(disk: ByteSource, sectorBytes: number): PartitionTable {
  const last = Math.floor(disk.size / sectorBytes) - 1;
  const primary = attempt(() => readHeader(disk, sectorBytes, 1));
  const backup = attempt(() => readHeader(disk, sectorBytes, last));
  const notes: string[] = [];
  if (primary instanceof ParseError) {
    if (backup instanceof ParseError) throw primary;
    notes.push(`GPT header does not hold (${primary.message}): read from its copy at the end`);
  } else if (backup instanceof ParseError) {
    notes.push(`the copy of the GPT at the end does not hold (${backup.message})`);
  } else if (primary.entriesChecksum !== backup.entriesChecksum || primary.diskId !== backup.diskId) {
    notes.push('the copy of the GPT at the end says something else');
  }
  const header = primary instanceof ParseError ? backup : primary;
  if (header instanceof ParseError) throw header;
  return {
    scheme: 'gpt',
    id: header.diskId,
    sectorBytes,
    partitions: partitionsOf(header, sectorBytes),
    notes,
  };
}

function signatureAt(disk: ByteSource, offset: number): string {
  return String.fromCharCode(...disk.read(offset, SIGNATURE.length));
}

function attempt<T>(read: () => T): T | ParseError {
  try {
    return read();
  } catch (error) {
    if (error instanceof ParseError) return error;
    throw error;
  }
}

function readHeader(disk: ByteSource, sectorBytes: number, sector: number): Header {
  const base = sector * sectorBytes;
  const bytes = disk.read(base, sectorBytes);
  const cursor = new Cursor(bytes, base);
  const signature = String.fromCharCode(...cursor.take(SIGNATURE.length, 'Signature'));
  if (signature !== SIGNATURE) throw new ParseError('invalid', 'Signature', base, `missing, expected ${SIGNATURE}`);
  const revision = cursor.u32le('Revision');
  if (revision !== REVISION_1)
    throw cursor.error('unsupported', 'Revision', `0x${revision.toString(16)}, expected 1.0`);
  const headerBytes = cursor.u32le('HeaderSize');
  if (headerBytes < MIN_HEADER_BYTES || headerBytes > sectorBytes) {
    throw cursor.error('invalid', 'HeaderSize', `${headerBytes}, expected ${MIN_HEADER_BYTES} to ${sectorBytes}`);
  }
  const checksum = cursor.u32le('HeaderCRC32');
  const zeroed = new Uint8Array(bytes.subarray(0, headerBytes));
  zeroed.fill(0, CHECKSUM_AT, CHECKSUM_AT + 4);
  expectChecksum('HeaderCRC32', checksum, zeroed, base + CHECKSUM_AT);
  cursor.skip(4, 'Reserved');
  const own = lba(cursor, 'MyLBA');
  if (own !== sector) throw cursor.error('invalid', 'MyLBA', `${own}, expected ${sector}`);
  cursor.skip(8, 'AlternateLBA');
  const firstUsable = lba(cursor, 'FirstUsableLBA');
  const lastUsable = lba(cursor, 'LastUsableLBA');
  const diskId = guidText(cursor.take(16, 'DiskGUID'));
  const entriesOffset = lba(cursor, 'PartitionEntryLBA') * sectorBytes;
  const count = cursor.u32le('NumberOfPartitionEntries');
  const entryBytes = cursor.u32le('SizeOfPartitionEntry');
  if (entryBytes < ENTRY_BYTES || (entryBytes & (entryBytes - 1)) !== 0) {
    throw cursor.error('invalid', 'SizeOfPartitionEntry', `${entryBytes}, expected 128 times a power of two`);
  }
  if (count * entryBytes > MAX_ENTRIES_BYTES) {
    const detail = `${count} of ${entryBytes} bytes, expected at most ${MAX_ENTRIES_BYTES} bytes`;
    throw cursor.error('limit', 'NumberOfPartitionEntries', detail);
  }
  const entriesChecksum = cursor.u32le('PartitionEntryArrayCRC32');
  const entries = disk.read(entriesOffset, count * entryBytes);
  expectChecksum('PartitionEntryArrayCRC32', entriesChecksum, entries, base + 88);
  return { diskId, firstUsable, lastUsable, entries, entriesOffset, entryBytes, entriesChecksum };
}

function partitionsOf(header: Header, sectorBytes: number): Partition[] {
  const partitions: Partition[] = [];
  for (let at = 0; at < header.entries.length; at += header.entryBytes) {
    const cursor = new Cursor(header.entries.subarray(at, at + header.entryBytes), header.entriesOffset + at);
    const type = guidText(cursor.take(16, 'PartitionTypeGUID'));
    if (type === UNUSED_TYPE) continue;
    const uuid = guidText(cursor.take(16, 'UniquePartitionGUID'));
    const first = lba(cursor, 'StartingLBA');
    const last = lba(cursor, 'EndingLBA');
    if (first < header.firstUsable || last > header.lastUsable || first > last) {
      const detail = `${first} to ${last}, expected within ${header.firstUsable} to ${header.lastUsable}`;
      throw cursor.error('invalid', 'StartingLBA', detail);
    }
    cursor.skip(8, 'Attributes');
    partitions.push({
      number: at / header.entryBytes + 1,
      offset: first * sectorBytes,
      length: (last - first + 1) * sectorBytes,
      type,
      name: utf16(cursor.take(NAME_UNITS * 2, 'PartitionName')),
      uuid,
    });
  }
  return partitions;
}

function expectChecksum(field: string, stored: number, bytes: Uint8Array, offset: number): void {
  const expected = (crc32(CRC_START, bytes) ^ CRC_START) >>> 0;
  if (stored === expected) return;
  throw new ParseError('invalid', field, offset, `0x${stored.toString(16)}, expected 0x${expected.toString(16)}`);
}

/** Sector numbers that can be said in bytes at all. */
function lba(cursor: Cursor, field: string): number {
  const value = cursor.u64le(field);
  if (value > BigInt(Math.floor(Number.MAX_SAFE_INTEGER / 4096))) {
    throw cursor.error('limit', field, `${value}, expected below 2^53 bytes`);
  }
  return Number(value);
}

function utf16(bytes: Uint8Array): string {
  const text = new TextDecoder('utf-16le').decode(bytes);
  const end = text.indexOf('\0');
  return end === -1 ? text : text.slice(0, end);
}
