// Checks that the headers of all formats share. Every number in a header was chosen by whoever wrote the image.
import { Cursor, ParseError } from '@ringwall/bytes';
import { DiskError } from '../disk-error.ts';
import type { ByteSource } from '../source/byte-source.ts';
import type { Decompress } from '../source/codecs.ts';

/** A cursor over `length` bytes of the image; its offsets count from the image's start. */
export function cursorAt(source: ByteSource, offset: number, length: number, structure: string): Cursor {
  checkWithin(source, offset, length, structure, offset);
  return new Cursor(source.read(offset, length), offset);
}

/** A 64-bit number as a JavaScript one. */
export function safeNumber(value: bigint, field: string, offset: number): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw new ParseError('limit', field, offset, `${value}, expected at most ${Number.MAX_SAFE_INTEGER}`);
  }
  return Number(value);
}

/** Refuses a structure that is not whole within the image; `offset` is where the field lies that says where it is. */
export function checkWithin(source: ByteSource, start: number, length: number, field: string, offset: number): void {
  if (start > source.size || length > source.size - start) {
    throw new ParseError(
      'truncated',
      field,
      offset,
      `says ${length} bytes at ${start}, but the image ends at ${source.size}`,
    );
  }
}

/** A codec, or `needs-codec`. */
export function codecOf(codec: Decompress | undefined, name: string): Decompress {
  if (codec === undefined)
    throw new DiskError('needs-codec', `the image is compressed with ${name}, which was not given`);
  return codec;
}

/** One compressed block, which must give exactly `expected` bytes. A codec's own errors become `ParseError`. */
export function decodeBlock(
  codec: Decompress,
  block: Uint8Array,
  expected: number,
  field: string,
  offset: number,
): Uint8Array {
  let bytes: Uint8Array;
  try {
    bytes = codec(block, expected);
  } catch (cause) {
    const detail = cause instanceof Error ? cause.message : String(cause);
    throw new ParseError('invalid', field, offset, `cannot be decompressed: ${detail}`);
  }
  if (bytes.length !== expected) {
    throw new ParseError('invalid', field, offset, `holds ${bytes.length} bytes, expected ${expected}`);
  }
  return bytes;
}
