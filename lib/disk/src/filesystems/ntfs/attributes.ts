// The attributes of a file put together: some files have too many for one record, and a list of where the others lie; a large
// attribute comes in pieces.
import { ParseError } from '@ringwall/bytes';
import { DiskError } from '../../disk-error.ts';
import { dataWithin, memorySource, type ByteSource } from '../../source/byte-source.ts';
import { sourceOfRuns } from '../run-source.ts';
import type { NtfsGeometry } from './boot-sector.ts';
import { openCompressed } from './compressed.ts';
import { ATTRIBUTE, recordNumber, type NtfsAttribute, type NtfsRecord } from './record.ts';
import { decodeRuns } from './runlist.ts';

/** An attribute list may have so many bytes (Windows keeps it under 256 KiB). */
const MAX_LIST_BYTES = 2 ** 18;
const LIST_ENTRY_BYTES = 26;
/** All records of one file together: 32,768 of the usual size. */
const MAX_RECORDS_BYTES = 32 * 2 ** 20;

/** All attributes of a file: those of its record, and those of the records that its list names. */
export function collectAttributes(
  record: NtfsRecord,
  disk: ByteSource,
  geometry: NtfsGeometry,
  readRecord: (number: number) => NtfsRecord,
): readonly NtfsAttribute[] {
  const list = record.attributes.filter(({ type }) => type === ATTRIBUTE.attributeList);
  if (list.length === 0) return record.attributes;
  const source = openAttribute(list, disk, geometry);
  if (source.size > MAX_LIST_BYTES) {
    throw new ParseError(
      'limit',
      'attribute list',
      geometry.mftStart,
      `${source.size} bytes, expected at most ${MAX_LIST_BYTES}`,
    );
  }
  const bytes = source.read(0, source.size);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const others = new Set<number>();
  for (let at = 0; at + LIST_ENTRY_BYTES <= bytes.length;) {
    const number = recordNumber(view, at + 16);
    if (number !== record.number) others.add(number);
    const length = view.getUint16(at + 4, true);
    if (length < LIST_ENTRY_BYTES) {
      throw new ParseError(
        'invalid',
        'attribute list',
        geometry.mftStart,
        `an entry of ${length} bytes, expected at least 26`,
      );
    }
    at += length;
  }
  if (others.size * geometry.recordBytes > MAX_RECORDS_BYTES) {
    throw new ParseError('limit', 'attribute list', geometry.mftStart, `leads to ${others.size} records`);
  }
  const attributes = [...record.attributes];
  for (const number of others) {
    const other = readRecord(number);
    if (other.base !== record.number) {
      const found = `record ${number} belongs to ${other.base}, expected ${record.number}`;
      throw new ParseError('invalid', 'attribute list', geometry.mftStart, found);
    }
    for (const attribute of other.attributes) attributes.push(attribute);
  }
  return attributes;
}

/** The pieces of one attribute, in order. */
export function attributeNamed(
  attributes: readonly NtfsAttribute[],
  type: number,
  name: string,
): readonly NtfsAttribute[] {
  return attributes
    .filter((attribute) => attribute.type === type && attribute.name === name)
    .toSorted((left, right) => (left.runs?.firstCluster ?? 0) - (right.runs?.firstCluster ?? 0));
}

/** The contents of an attribute from its `pieces`. */
export function openAttribute(pieces: readonly NtfsAttribute[], disk: ByteSource, geometry: NtfsGeometry): ByteSource {
  const [first] = pieces;
  if (first === undefined) return memorySource(new Uint8Array(0));
  if (first.encrypted) throw new DiskError('needs-key', 'is encrypted by EFS, whose keys are not read');
  if (first.value !== undefined) return memorySource(first.value);
  const nonResident = pieces.flatMap(({ runs }) => (runs === undefined ? [] : [runs]));
  const [head] = nonResident;
  if (head === undefined) return memorySource(new Uint8Array(0));
  const runs = decodeRuns(nonResident, geometry);
  const { size, initializedSize } = head;
  if (first.compressed && head.unitBits > 0) return openCompressed(disk, runs, size, head.unitBits, geometry);
  return initializedOnly(sourceOfRuns(disk, runs, size, 'attribute'), Math.min(initializedSize, size));
}

/** What was never written reads as zeros, whatever lies there. */
function initializedOnly(source: ByteSource, initialized: number): ByteSource {
  const { size } = source;
  if (initialized >= size) return source;
  return {
    size,
    read(offset, length) {
      if (offset + length <= initialized) return source.read(offset, length);
      const bytes = new Uint8Array(source.read(offset, length));
      bytes.fill(0, Math.max(initialized - offset, 0));
      return bytes;
    },
    nextData(offset) {
      const data = dataWithin(source, offset, initialized - offset);
      return data === undefined ? undefined : { offset: offset + data.offset, length: data.length };
    },
  };
}
