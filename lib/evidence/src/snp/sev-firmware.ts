// What OVMF says about itself to whoever starts it with SEV: the table of GUIDs that ends 32 bytes before its end, and the
// SEV metadata that it points to. edk2 OvmfPkg/ResetVector/Ia16/ResetVectorVtf0.asm and X64/OvmfSevMetadata.asm.
import { Cursor, ParseError, toHex } from '@ringwall/bytes';
import { EvidenceError } from '../errors.ts';

/** OVMF has 4 MiB at most; a flash of 16 MiB is the largest that fits below 4 GiB beside the rest. */
export const MAX_FIRMWARE_BYTES: number = 16 * 1024 * 1024;
const PAGE_BYTES = 4096;
const RESET_VECTOR_BYTES = 32;
const ENTRY_HEADER_BYTES = 18;
const MAX_SECTIONS = 64;
/** What OVMF asks for is a few hundred KiB; more pages take longer to digest than anyone waits. */
const MAX_SECTION_BYTES: number = 64 * 1024 * 1024;

/** GUIDs as their bytes are in the table. */
const TABLE_FOOTER = 'de82b596b21ff745baeaa366c55a082d';
const HASH_TABLE_AREA = '1f3755723b3a044b927b1da6efa8d454';
const RESET_BLOCK = 'de71f7007e1acb4f890e68c77e2fb44e';
const METADATA_OFFSET = '666588dc4a989847a75e5585a7bf67cc';
/** `ASEV`, little endian. */
const METADATA_SIGNATURE = 0x5645_5341;

export interface SevFirmware {
  /** Where processors but the first begin. */
  readonly resetEip: number;
  /** Where the hashes of a kernel are written; undefined where the firmware knows none. */
  readonly hashTableGpa: number | undefined;
  /** Memory that is set up before the start, in this order. */
  readonly sections: readonly { readonly gpa: number; readonly size: number; readonly type: number }[];
}

/** Throws EvidenceError `firmware-invalid`. */
export function readSevFirmware(file: Uint8Array): SevFirmware {
  if (file.length > MAX_FIRMWARE_BYTES || file.length % PAGE_BYTES !== 0 || file.length === 0) {
    const most = `pages of ${PAGE_BYTES} bytes, at most ${MAX_FIRMWARE_BYTES}`;
    throw new EvidenceError('firmware-invalid', `the firmware has ${file.length} bytes, expected ${most}`);
  }
  try {
    const entries = readTable(file);
    const reset = entries.get(RESET_BLOCK);
    const metadata = entries.get(METADATA_OFFSET);
    if (reset === undefined || metadata === undefined) throw invalid('has no SEV metadata or reset block');
    const hashTable = entries.get(HASH_TABLE_AREA);
    const hashTableGpa = hashTable === undefined ? 0 : new Cursor(hashTable).u32le('hash table');
    return {
      resetEip: new Cursor(reset).u32le('reset address'),
      hashTableGpa: hashTableGpa === 0 ? undefined : hashTableGpa,
      sections: readSections(file, new Cursor(metadata).u32le('metadata offset')),
    };
  } catch (cause) {
    if (!(cause instanceof ParseError)) throw cause;
    throw new EvidenceError('firmware-invalid', cause.message, { cause });
  }
}

/** Backwards: each entry ends with its size and GUID. */
function readTable(file: Uint8Array): ReadonlyMap<string, Uint8Array> {
  const end = file.length - RESET_VECTOR_BYTES;
  const [size, guid] = readEntryEnd(file.subarray(0, end));
  if (guid !== TABLE_FOOTER) throw invalid('has no table of GUIDs');
  if (size < ENTRY_HEADER_BYTES || size > end) throw invalid('has a table of GUIDs that is larger than itself');
  let rest = file.subarray(end - size, end - ENTRY_HEADER_BYTES);
  const entries = new Map<string, Uint8Array>();
  while (rest.length > 0) {
    const [entryBytes, entryGuid] = readEntryEnd(rest);
    if (entryBytes < ENTRY_HEADER_BYTES || entryBytes > rest.length) throw invalid('has a GUID of impossible size');
    entries.set(entryGuid, rest.subarray(rest.length - entryBytes, rest.length - ENTRY_HEADER_BYTES));
    rest = rest.subarray(0, rest.length - entryBytes);
  }
  return entries;
}

function readEntryEnd(bytes: Uint8Array): [size: number, guid: string] {
  const cursor = new Cursor(bytes.subarray(Math.max(0, bytes.length - ENTRY_HEADER_BYTES)));
  return [cursor.u16le('entry size'), toHex(cursor.take(16, 'entry GUID'))];
}

function readSections(file: Uint8Array, offsetFromEnd: number): SevFirmware['sections'] {
  if (offsetFromEnd > file.length) throw invalid('has its SEV metadata outside itself');
  const cursor = new Cursor(file.subarray(file.length - offsetFromEnd), file.length - offsetFromEnd);
  if (cursor.u32le('signature') !== METADATA_SIGNATURE) throw invalid('has no SEV metadata where it says');
  cursor.skip(4, 'size');
  if (cursor.u32le('version') !== 1) throw invalid('has SEV metadata of a version that is not known');
  const count = cursor.u32le('sections');
  if (count > MAX_SECTIONS) throw invalid(`asks for ${count} pieces of memory, at most ${MAX_SECTIONS}`);
  const sections = Array.from({ length: count }, () => ({
    gpa: cursor.u32le('gpa'),
    size: cursor.u32le('size'),
    type: cursor.u32le('type'),
  }));
  const bytes = sections.reduce((total, { size }) => total + size, 0);
  if (bytes > MAX_SECTION_BYTES || sections.some(({ size }) => size % PAGE_BYTES !== 0)) {
    throw invalid('asks for memory that is not pages, or for too many');
  }
  return sections;
}

function invalid(detail: string): ParseError {
  return new ParseError('invalid', 'firmware', 0, detail);
}
