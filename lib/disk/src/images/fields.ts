// Checks that the headers of all formats share. Every number in a header was chosen by whoever wrote the image.
import { Cursor, ParseError } from '@ringwall/bytes';
import type { ByteSource } from '../source/byte-source.ts';
import type { Codecs } from '../source/codecs.ts';
import { codecNamed, decompressBlock, type CodecName } from '../source/decompress.ts';

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

/** One compressed block, which must give exactly `expected` bytes. */
export function decodeBlock(
  codecs: Codecs,
  codec: CodecName,
  block: Uint8Array,
  expected: number,
  field: string,
  offset: number,
): Uint8Array {
  const bytes = decompressBlock(codecNamed(codecs, codec), block, expected, field, offset);
  if (bytes.length === expected) return bytes;
  throw new ParseError('invalid', field, offset, `holds ${bytes.length} bytes, expected ${expected}`);
}
