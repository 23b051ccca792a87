// What firmware notes of the code and tables that it measured: image loads, firmware blobs, hand-off tables, partition
// tables. PC Client Platform Firmware Profile 1.06 sections 10.2.3 to 10.2.5 and 10.2.7. None of it is measured but the
// partition table: it says what the digest was of, and whoever wrote the log chose the words.

import { Cursor, toHex } from '@ringwall/bytes';
import { parseDevicePath } from './device-path.ts';
import { asciiText, readGuid, readLength, shown, shownUtf16 } from './event-text.ts';

/** shim logs its structure with room for one element more than it has. Nothing of an image load is measured. */
const IMAGE_LOAD_SLACK_BYTES = 9;
const HANDOFF_ENTRY_BYTES = 24;
/** UEFI 2.10 section 5.3.2: "EFI PART", and a header of 92 bytes that may grow. */
const GPT_SIGNATURE = '4546492050415254';
const GPT_HEADER_BYTES = 92;
const GPT_ENTRY_BYTES = 128;
const GPT_NAME_BYTES = 72;

/** UEFI_IMAGE_LOAD_EVENT. */
export interface ImageLoad {
  readonly kind: 'image-load';
  readonly address: bigint;
  readonly length: bigint;
  readonly linkTimeAddress: bigint;
  readonly devicePath: string;
}

/** UEFI_PLATFORM_FIRMWARE_BLOB and its second form, which has a description. */
export interface FirmwareBlob {
  readonly kind: 'firmware-blob';
  readonly description: string;
  readonly base: bigint;
  readonly length: bigint;
}

/** UEFI_HANDOFF_TABLE_POINTERS and its second form, which has a description. */
export interface HandoffTables {
  readonly kind: 'handoff-tables';
  readonly description: string;
  readonly tables: readonly { readonly guid: string; readonly address: bigint }[];
}

export interface GptPartition {
  readonly type: string;
  readonly guid: string;
  readonly firstBlock: bigint;
  readonly lastBlock: bigint;
  readonly name: string;
}

/** UEFI_GPT_DATA. */
export interface PartitionTable {
  readonly kind: 'partition-table';
  readonly diskGuid: string;
  readonly partitions: readonly GptPartition[];
}

export function parseImageLoad(data: Uint8Array, offset: number): ImageLoad {
  const cursor = new Cursor(data, offset);
  const address = cursor.u64le('imageLocationInMemory');
  const length = cursor.u64le('imageLengthInMemory');
  const linkTimeAddress = cursor.u64le('imageLinkTimeAddress');
  const pathLength = readLength(cursor, 'lengthOfDevicePath');
  const pathOffset = cursor.offset;
  const path = cursor.take(pathLength, 'devicePath');
  if (cursor.remaining > IMAGE_LOAD_SLACK_BYTES) cursor.end('UEFI_IMAGE_LOAD_EVENT');
  return { kind: 'image-load', address, length, linkTimeAddress, devicePath: parseDevicePath(path, pathOffset) };
}

export function parseFirmwareBlob(data: Uint8Array, offset: number): FirmwareBlob {
  const cursor = new Cursor(data, offset);
  const blob = { base: cursor.u64le('blobBase'), length: cursor.u64le('blobLength') };
  cursor.end('UEFI_PLATFORM_FIRMWARE_BLOB');
  return { kind: 'firmware-blob', description: '', ...blob };
}

export function parseFirmwareBlob2(data: Uint8Array, offset: number): FirmwareBlob {
  const cursor = new Cursor(data, offset);
  const description = readDescription(cursor);
  const blob = { base: cursor.u64le('blobBase'), length: cursor.u64le('blobLength') };
  cursor.end('UEFI_PLATFORM_FIRMWARE_BLOB2');
  return { kind: 'firmware-blob', description, ...blob };
}

export function parseHandoffTables(data: Uint8Array, offset: number): HandoffTables {
  return readHandoffTables(new Cursor(data, offset), '');
}

export function parseHandoffTables2(data: Uint8Array, offset: number): HandoffTables {
  const cursor = new Cursor(data, offset);
  const description = readDescription(cursor);
  return readHandoffTables(cursor, description);
}

export function parsePartitionTable(data: Uint8Array, offset: number): PartitionTable {
  const cursor = new Cursor(data, offset);
  const signature = toHex(cursor.take(8, 'signature'));
  if (signature !== GPT_SIGNATURE) throw cursor.error('invalid', 'signature', `${signature}, expected EFI PART`);
  cursor.skip(4, 'revision');
  const headerSize = cursor.u32le('headerSize');
  if (headerSize !== GPT_HEADER_BYTES) throw cursor.error('invalid', 'headerSize', `${headerSize}, expected 92`);
  // CRC, reserved, and where the two headers and the usable blocks lie.
  cursor.skip(8 + 4 * 8, 'blocks');
  const diskGuid = readGuid(cursor, 'diskGuid');
  cursor.skip(8 + 4, 'partitionEntryLba');
  const entryBytes = cursor.u32le('sizeOfPartitionEntry');
  if (entryBytes < GPT_ENTRY_BYTES)
    throw cursor.error('invalid', 'sizeOfPartitionEntry', `${entryBytes}, expected 128`);
  cursor.skip(4, 'partitionEntryArrayCrc32');
  const count = readLength(cursor, 'numberOfPartitions', entryBytes);
  const partitions = Array.from({ length: count }, () => readPartition(cursor.sub(entryBytes, 'partition')));
  cursor.end('UEFI_GPT_DATA');
  return { kind: 'partition-table', diskGuid, partitions };
}

function readPartition(cursor: Cursor): GptPartition {
  const type = readGuid(cursor, 'partitionTypeGuid');
  const guid = readGuid(cursor, 'uniquePartitionGuid');
  const firstBlock = cursor.u64le('startingLba');
  const lastBlock = cursor.u64le('endingLba');
  cursor.skip(8, 'attributes');
  return { type, guid, firstBlock, lastBlock, name: shownUtf16(cursor.take(GPT_NAME_BYTES, 'partitionName')) };
}

function readHandoffTables(cursor: Cursor, description: string): HandoffTables {
  const count = readLength(cursor, 'numberOfTables', HANDOFF_ENTRY_BYTES);
  const tables = Array.from({ length: count }, () => ({
    guid: readGuid(cursor, 'vendorGuid'),
    address: cursor.u64le('vendorTable'),
  }));
  cursor.end('UEFI_HANDOFF_TABLE_POINTERS');
  return { kind: 'handoff-tables', description, tables };
}

function readDescription(cursor: Cursor): string {
  const bytes = cursor.take(cursor.u8('descriptionSize'), 'description');
  return asciiText(bytes) ?? shown(new TextDecoder('latin1').decode(bytes));
}
