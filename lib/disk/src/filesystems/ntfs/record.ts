// Records of the master file table and their attributes (Linux-NTFS documentation, "FILE Record" and "Attributes"). The last two
// bytes of each 512 are replaced on disk by a number that is the same in all of them, so that a write cut short is noticed.
import { ParseError } from '@ringwall/bytes';

const STRIDE_BYTES = 512;
const IN_USE = 1;
const DIRECTORY = 2;
const END = 0xffff_ffff;

/** Attribute types. */
export const ATTRIBUTE = {
  standardInformation: 0x10,
  attributeList: 0x20,
  fileName: 0x30,
  volumeName: 0x60,
  volumeInformation: 0x70,
  data: 0x80,
  indexRoot: 0x90,
  indexAllocation: 0xa0,
  reparsePoint: 0xc0,
} as const;

export interface NtfsAttribute {
  readonly type: number;
  readonly name: string;
  readonly compressed: boolean;
  readonly encrypted: boolean;
  /** Of a resident one. */
  readonly value: Uint8Array | undefined;
  /** Of one that lies elsewhere. */
  readonly runs: NonResident | undefined;
}

export interface NonResident {
  /** The first of its clusters that this piece is about. */
  readonly firstCluster: number;
  /** Packed runs. */
  readonly pairs: Uint8Array;
  /** Clusters that are compressed together, as an exponent; 0 where none are. */
  readonly unitBits: number;
  /** Only the first piece says them. */
  readonly size: number;
  readonly initializedSize: number;
}

export interface NtfsRecord {
  readonly number: number;
  readonly inUse: boolean;
  readonly isDirectory: boolean;
  readonly links: number;
  /** The record that this one continues; 0 where it stands for itself. */
  readonly base: number;
  readonly attributes: readonly NtfsAttribute[];
}

/** Puts the replaced bytes back; `position` is where `raw` lies. */
export function applyFixups(raw: Uint8Array, magic: string, position: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(raw);
  const view = new DataView(bytes.buffer);
  const found = new TextDecoder('latin1').decode(bytes.subarray(0, 4));
  if (found !== magic)
    throw new ParseError('invalid', 'record magic', position, `${JSON.stringify(found)}, expected "${magic}"`);
  const offset = view.getUint16(4, true);
  const count = view.getUint16(6, true);
  if (count !== bytes.length / STRIDE_BYTES + 1 || offset + 2 * count > STRIDE_BYTES - 2) {
    throw new ParseError('invalid', 'usa_count', position + 6, `${count} at ${offset}, for ${bytes.length} bytes`);
  }
  const expected = view.getUint16(offset, true);
  for (let index = 1; index < count; index += 1) {
    const end = index * STRIDE_BYTES - 2;
    if (view.getUint16(end, true) !== expected) {
      throw new ParseError('invalid', 'fixup', position + end, 'is not that of its record: it was written in part');
    }
    view.setUint16(end, view.getUint16(offset + 2 * index, true), true);
  }
  return bytes;
}

export function parseNtfsRecord(raw: Uint8Array, number: number, position: number): NtfsRecord {
  const bytes = applyFixups(raw, 'FILE', position);
  const view = new DataView(bytes.buffer);
  const flags = view.getUint16(22, true);
  const attributes: NtfsAttribute[] = [];
  for (let at = view.getUint16(20, true); ;) {
    if (at + 4 > bytes.length)
      throw new ParseError('truncated', 'attribute', position + at, 'begins beyond its record');
    if (view.getUint32(at, true) === END) break;
    const length = at + 8 <= bytes.length ? view.getUint32(at + 4, true) : 0;
    if (length < 24 || length % 8 !== 0 || length > bytes.length - at) {
      throw new ParseError(
        'invalid',
        'attribute length',
        position + at + 4,
        `${length}, expected 24..${bytes.length - at}`,
      );
    }
    attributes.push(parseAttribute(bytes.subarray(at, at + length), position + at));
    at += length;
  }
  return {
    number,
    inUse: (flags & IN_USE) !== 0,
    isDirectory: (flags & DIRECTORY) !== 0,
    links: view.getUint16(18, true),
    base: recordNumber(view, 32),
    attributes,
  };
}

/** 48 bits of record number, and 16 that count how often the record was used anew. */
export function recordNumber(view: DataView, offset: number): number {
  return view.getUint32(offset, true) + view.getUint16(offset + 4, true) * 2 ** 32;
}

export function utf16(bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at + 1 < bytes.length; at += 2)
    text += String.fromCharCode((bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8));
  return text;
}

function parseAttribute(bytes: Uint8Array, position: number): NtfsAttribute {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const slice = (offset: number, length: number, field: string): Uint8Array => {
    if (offset + length > bytes.length) {
      throw new ParseError('truncated', field, position + offset, `${length} bytes at ${offset}, beyond its attribute`);
    }
    return bytes.subarray(offset, offset + length);
  };
  const flags = view.getUint16(12, true);
  const common = {
    type: view.getUint32(0, true),
    name: utf16(slice(view.getUint16(10, true), 2 * view.getUint8(9), 'attribute name')),
    compressed: (flags & 0xff) !== 0,
    encrypted: (flags & 0x4000) !== 0,
  };
  if (view.getUint8(8) === 0) {
    const value = slice(view.getUint16(20, true), view.getUint32(16, true), 'attribute value');
    return { ...common, value, runs: undefined };
  }
  slice(0, 64, 'attribute header');
  const pairsStart = view.getUint16(32, true);
  const runs = {
    firstCluster: readSize(view, 16, 'lowest_vcn', position),
    pairs: slice(pairsStart, Math.max(bytes.length - pairsStart, 0), 'mapping pairs'),
    unitBits: view.getUint16(34, true),
    size: readSize(view, 48, 'data_size', position),
    initializedSize: readSize(view, 56, 'initialized_size', position),
  };
  return { ...common, value: undefined, runs };
}

function readSize(view: DataView, offset: number, field: string, position: number): number {
  const value = view.getUint32(offset, true) + view.getUint32(offset + 4, true) * 2 ** 32;
  if (value > Number.MAX_SAFE_INTEGER) {
    throw new ParseError('limit', field, position + offset, `${value}, expected at most ${Number.MAX_SAFE_INTEGER}`);
  }
  return value;
}
