// The header of LUKS2 (LUKS2 On-Disk Format Specification 1.1.1, sections 2 and 3): a binary part with a checksum over
// itself and the JSON behind it, and a copy of both, of which the newer counts.
import { Cursor, ParseError } from '@ringwall/bytes';
import type { ByteSource } from '../source/byte-source.ts';
import { hashName } from './hash-name.ts';
import { asciiOf } from './header-text.ts';
import type { LuksHeader } from './luks-header.ts';
import { parseLuks2Metadata } from './luks2-metadata.ts';
import { nodeCrypto } from './node-crypto.ts';

const BINARY_BYTES = 4096;
const CHECKSUM_AT = 448;
const CHECKSUM_BYTES = 64;
/** The sizes that a header may have, and so the places of its copy (section 2.1). */
const HEADER_SIZES: readonly number[] = [14, 15, 16, 17, 18, 19, 20, 21, 22].map((bits) => 2 ** bits);
const MAGIC = 'LUKS\xba\xbe';
const COPY_MAGIC = 'SKUL\xba\xbe';
const VERSION = 2;

interface BinaryHeader {
  readonly sequence: bigint;
  readonly label: string;
  readonly uuid: string;
  readonly json: Uint8Array;
  readonly offset: number;
}

/** The newer header of those that hold. Where none does, what is wrong with the first is thrown. */
export function readLuks2(source: ByteSource): LuksHeader {
  const first = attempt(() => readBinary(source, 0, MAGIC));
  const places = first instanceof ParseError ? HEADER_SIZES : [first.json.length + BINARY_BYTES];
  let copy: BinaryHeader | undefined;
  for (const place of places) {
    const found = attempt(() => readBinary(source, place, COPY_MAGIC));
    if (!(found instanceof ParseError)) copy = found;
  }
  const notes: string[] = [];
  if (first instanceof ParseError) {
    if (copy === undefined) throw first;
    notes.push(`LUKS2 header does not hold (${first.message}): read from its copy`);
    return headerOf(copy, notes);
  }
  if (copy === undefined) notes.push('the copy of the LUKS2 header does not hold');
  if (copy !== undefined && copy.sequence > first.sequence) {
    notes.push('the copy of the LUKS2 header is newer, and counts');
    return headerOf(copy, notes);
  }
  return headerOf(first, notes);
}

function headerOf({ label, uuid, json, offset }: BinaryHeader, notes: readonly string[]): LuksHeader {
  return { version: VERSION, uuid, label, notes, ...parseLuks2Metadata(json, offset + BINARY_BYTES) };
}

function readBinary(source: ByteSource, offset: number, magic: string): BinaryHeader {
  const bytes = source.read(offset, BINARY_BYTES);
  const cursor = new Cursor(bytes, offset);
  const found = String.fromCharCode(...cursor.take(magic.length, 'magic'));
  if (found !== magic) throw new ParseError('invalid', 'magic', offset, 'is not that of a LUKS2 header');
  const version = cursor.u16be('version');
  if (version !== VERSION) throw cursor.error('unsupported', 'version', `${version}, expected ${VERSION}`);
  const size = Number(cursor.u64be('hdr_size'));
  if (!HEADER_SIZES.includes(size)) throw cursor.error('invalid', 'hdr_size', `${size}, expected 2^14 to 2^22`);
  const sequence = cursor.u64be('seqid');
  const label = asciiOf(cursor.take(48, 'label'), 'label', offset + 24);
  const algorithm = asciiOf(cursor.take(32, 'csum_alg'), 'csum_alg', offset + 72);
  hashName(algorithm, 'csum_alg', offset + 72);
  cursor.skip(64, 'salt');
  const uuid = asciiOf(cursor.take(40, 'uuid'), 'uuid', offset + 168);
  cursor.skip(48, 'subsystem');
  const own = cursor.u64be('hdr_offset');
  if (own !== BigInt(offset)) throw cursor.error('invalid', 'hdr_offset', `${own}, expected ${offset}`);
  const whole = new Uint8Array(source.read(offset, size));
  const stored = whole.slice(CHECKSUM_AT, CHECKSUM_AT + CHECKSUM_BYTES);
  whole.fill(0, CHECKSUM_AT, CHECKSUM_AT + CHECKSUM_BYTES);
  const expected = nodeCrypto().hash(algorithm, whole, 'buffer');
  if (!expected.every((byte, index) => stored[index] === byte)) {
    throw new ParseError('invalid', 'csum', offset + CHECKSUM_AT, `of the LUKS2 header at ${offset} does not hold`);
  }
  return { sequence, label, uuid, json: whole.subarray(BINARY_BYTES), offset };
}

function attempt(read: () => BinaryHeader): BinaryHeader | ParseError {
  try {
    return read();
  } catch (error) {
    if (error instanceof ParseError) return error;
    throw error;
  }
}
