// PAX extended headers: records `length key=value\n`, and the sparse files that GNU tar writes by them. POSIX.1-2024 pax,
// "pax Extended Header"; GNU tar manual, "Storing Sparse Files".
import { ParseError } from '@ringwall/bytes';

/** Linux stores 64 kB of extended attributes at most; paths have 4 kB. */
export const MAX_PAX_BYTES: number = 1024 * 1024;

/** What begins the key of an extended attribute, as star and GNU tar write it. */
export const ATTRIBUTE = 'SCHILY.xattr.';

/** Sparse files of version 0.0 have the two again and again; as one record, they are those of version 0.1. */
const PIECE = ['GNU.sparse.offset', 'GNU.sparse.numbytes'] as const;

export type PaxRecords = ReadonlyMap<string, string>;

const decoder: TextDecoder = new TextDecoder('utf-8');
const SPACE = 0x20;
const EQUALS = 0x3d;
const NEWLINE = 0x0a;
const MAX_LENGTH_DIGITS = 8;

/** Throws ParseError. */
export function parsePax(bytes: Uint8Array, offset: number): PaxRecords {
  const records = new Map<string, string>();
  const pieces: string[] = [];
  let at = 0;
  while (at < bytes.length) {
    const space = bytes.subarray(at, at + MAX_LENGTH_DIGITS + 1).indexOf(SPACE);
    const digits = decoder.decode(bytes.subarray(at, at + Math.max(0, space)));
    const length = /^[1-9]\d*$/.test(digits) ? Number(digits) : 0;
    const end = at + length;
    // The length counts itself, the space and the newline: anything else would read past its record.
    if (length <= space + 1 || end > bytes.length || bytes[end - 1] !== NEWLINE) {
      throw new ParseError(
        'invalid',
        'PAX record',
        offset + at,
        `of length “${digits}”, expected one that ends in a newline`,
      );
    }
    const record = bytes.subarray(at + space + 1, end - 1);
    const equals = record.indexOf(EQUALS);
    if (equals < 1) throw new ParseError('invalid', 'PAX record', offset + at, 'has no key');
    const key = decoder.decode(record.subarray(0, equals));
    const value = record.subarray(equals + 1);
    if (key === PIECE[0] || key === PIECE[1]) {
      const piece = decoder.decode(value);
      if (key !== PIECE[pieces.length % 2] || piece.includes(','))
        throw new ParseError('invalid', key, offset + at, 'is out of turn');
      pieces.push(piece);
    } else records.set(key, key.startsWith(ATTRIBUTE) ? bytesAsText(value) : decoder.decode(value));
    at = end;
  }
  if (pieces.length > 0) records.set('GNU.sparse.map', pieces.join(','));
  return records;
}

/** Extended attributes are no text: one character for each byte. */
function bytesAsText(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => String.fromCharCode(byte)).join('');
}

/** A number of a record; undefined where the record is not there. Throws ParseError. */
export function paxNumber(records: PaxRecords, key: string, offset: number): number | undefined {
  const text = records.get(key);
  if (text === undefined) return undefined;
  const value = Number(text);
  if (!/^-?\d{1,16}(?:\.\d{1,16})?$/.test(text) || !Number.isSafeInteger(Math.trunc(value))) {
    throw new ParseError('invalid', key, offset, `“${text.slice(0, 40)}”, expected a number`);
  }
  return Math.trunc(value);
}
