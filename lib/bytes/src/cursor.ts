// A bounds-checked reader over bytes that somebody else wrote. Nothing is allocated before its length was checked.

import { ParseError, type ParseErrorCode } from './parse-error.ts';

/**
 * Reads forward through `bytes`; each read names its field, and a read beyond the end throws `ParseError`.
 * What `take` returns is a copy, so that a later change of the input changes nothing that was checked.
 */
export class Cursor {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #base: number;
  #position = 0;

  /** `base` is where `bytes` begin within the whole input; offsets in errors count from there. */
  constructor(bytes: Uint8Array, base = 0) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#base = base;
  }

  /** The position of the next byte, counted from the start of the whole input. */
  get offset(): number {
    return this.#base + this.#position;
  }

  get remaining(): number {
    return this.#bytes.length - this.#position;
  }

  u8(field: string): number {
    return this.#view.getUint8(this.#advance(1, field));
  }

  u16be(field: string): number {
    return this.#view.getUint16(this.#advance(2, field), false);
  }

  u32be(field: string): number {
    return this.#view.getUint32(this.#advance(4, field), false);
  }

  u64be(field: string): bigint {
    return this.#view.getBigUint64(this.#advance(8, field), false);
  }

  u16le(field: string): number {
    return this.#view.getUint16(this.#advance(2, field), true);
  }

  u32le(field: string): number {
    return this.#view.getUint32(this.#advance(4, field), true);
  }

  u64le(field: string): bigint {
    return this.#view.getBigUint64(this.#advance(8, field), true);
  }

  /** The next `length` bytes, copied. */
  take(length: number, field: string): Uint8Array<ArrayBuffer> {
    const start = this.#advance(length, field);
    return new Uint8Array(this.#bytes.subarray(start, start + length));
  }

  /** A cursor over the next `length` bytes only; its offsets still count from the start of the whole input. */
  sub(length: number, field: string): Cursor {
    const base = this.offset;
    const start = this.#advance(length, field);
    return new Cursor(this.#bytes.subarray(start, start + length), base);
  }

  /** All bytes that are left, copied. */
  rest(field: string): Uint8Array<ArrayBuffer> {
    return this.take(this.remaining, field);
  }

  /** Passes over `length` bytes. */
  skip(length: number, field: string): void {
    this.#advance(length, field);
  }

  /** The end of a parse: bytes that are left over are refused. */
  end(structure: string): void {
    if (this.remaining !== 0) {
      throw new ParseError('trailing', structure, this.offset, `has ${this.remaining} bytes after its end, expected 0`);
    }
  }

  /** Makes a `ParseError` for this position: `throw cursor.error('invalid', 'magic', '1, expected 2')`. */
  error(code: ParseErrorCode, field: string, detail: string): ParseError {
    return new ParseError(code, field, this.offset, detail);
  }

  #advance(length: number, field: string): number {
    if (!Number.isSafeInteger(length) || length < 0) {
      throw new ParseError('invalid', field, this.offset, `has length ${length}, expected a whole number of bytes`);
    }
    if (length > this.remaining) {
      throw new ParseError(
        'truncated',
        field,
        this.offset,
        `needs ${length} bytes, expected at most ${this.remaining}`,
      );
    }
    const start = this.#position;
    this.#position += length;
    return start;
  }
}
