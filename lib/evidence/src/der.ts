// DER, ITU-T X.690 section 10, as far as certificates and revocation lists need it: definite lengths in their shortest
// form, tags below 31.
// What BER allows beyond that is refused, so that one certificate has one spelling. Throws ParseError only.
import { Cursor, ParseError } from '@ringwall/bytes';

export const DER_TAG = {
  BOOLEAN: 0x01,
  INTEGER: 0x02,
  BIT_STRING: 0x03,
  OCTET_STRING: 0x04,
  NULL: 0x05,
  OID: 0x06,
  ENUMERATED: 0x0a,
  UTF8_STRING: 0x0c,
  PRINTABLE_STRING: 0x13,
  IA5_STRING: 0x16,
  UTC_TIME: 0x17,
  GENERALIZED_TIME: 0x18,
  SEQUENCE: 0x30,
  SET: 0x31,
} as const;

export interface DerValue {
  readonly tag: number;
  readonly content: Uint8Array;
  /** Tag, length and content: what a signature or a comparison is over. */
  readonly whole: Uint8Array;
}

/** Reads one value after the other; each read says which tag it expects. */
export class DerReader {
  readonly #bytes: Uint8Array;
  readonly #cursor: Cursor;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#cursor = new Cursor(bytes);
  }

  get done(): boolean {
    return this.#cursor.remaining === 0;
  }

  read(tag: number, field: string): DerValue {
    const value = this.readAny(field);
    if (value.tag !== tag) {
      throw this.#cursor.error('invalid', field, `has tag 0x${value.tag.toString(16)}, expected 0x${tag.toString(16)}`);
    }
    return value;
  }

  readAny(field: string): DerValue {
    const cursor = this.#cursor;
    const start = cursor.offset;
    const tag = cursor.u8(field);
    if ((tag & 0x1f) === 0x1f) throw cursor.error('unsupported', field, 'has a tag of several bytes, expected one');
    const length = readLength(cursor, field);
    const contentAt = cursor.offset;
    cursor.skip(length, field);
    // One copy for both: a later change of the input changes nothing that was read.
    const whole = this.#bytes.slice(start, cursor.offset);
    return { tag, content: whole.subarray(contentAt - start), whole };
  }

  /** The next value if it has this tag. */
  optional(tag: number, field: string): DerValue | undefined {
    return this.#bytes[this.#cursor.offset] === tag ? this.read(tag, field) : undefined;
  }

  sequence(field: string): DerReader {
    return new DerReader(this.read(DER_TAG.SEQUENCE, field).content);
  }

  end(field: string): void {
    this.#cursor.end(field);
  }
}

/** A BOOLEAN's content: DER knows one way to say true. */
export function readBoolean(value: DerValue, field: string): boolean {
  const [byte] = value.content;
  if (value.content.length !== 1 || (byte !== 0 && byte !== 0xff)) {
    throw new ParseError('invalid', field, 0, 'is not true or false, expected one byte 00 or ff');
  }
  return byte === 0xff;
}

/** A positive INTEGER's digits at a fixed width, or undefined where it is negative, padded or too long. */
export function unsignedOf(value: DerValue, bytes: number): Uint8Array | undefined {
  const [first, second] = value.content;
  if (first === undefined || first >= 0x80) return undefined;
  if (first === 0 && second !== undefined && second < 0x80) return undefined;
  const digits = first === 0 ? value.content.subarray(1) : value.content;
  if (digits.length > bytes) return undefined;
  const padded = new Uint8Array(bytes);
  padded.set(digits, bytes - digits.length);
  return padded;
}

function readLength(cursor: Cursor, field: string): number {
  const first = cursor.u8(`${field} length`);
  if (first < 0x80) return first;
  if (first === 0x81) {
    const length = cursor.u8(`${field} length`);
    if (length >= 0x80) return length;
  } else if (first === 0x82) {
    const length = cursor.u16be(`${field} length`);
    if (length >= 0x100) return length;
  } else if (first === 0x83) {
    const length = cursor.u8(`${field} length`) * 0x1_0000 + cursor.u16be(`${field} length`);
    if (length >= 0x1_0000) return length;
  }
  // 0x80 is BER's indefinite form; nothing that is read here is longer than 16 MiB.
  throw cursor.error('invalid', `${field} length`, `begins 0x${first.toString(16)}, expected the shortest form`);
}
