// A compressed block through the decompressor that the caller passed: whatever goes wrong in there is an error of this library.
import { ParseError } from '@ringwall/bytes';
import { DiskError } from '../disk-error.ts';
import type { Codecs, Decompress } from './codecs.ts';
import { decompressLz4 } from './lz4.ts';

export type CodecName = keyof Codecs;

/** The decompressor for `name`, as it was passed; LZ4 has one of this library's own. */
export function codecNamed(codecs: Codecs, name: CodecName): Decompress {
  const given = codecs[name] ?? (name === 'lz4' ? decompressLz4 : undefined);
  if (given !== undefined) return given;
  return () => {
    throw new DiskError('needs-codec', `is compressed with ${name}, for which no decompressor was given`);
  };
}

/**
 * At most `maxBytes` bytes of `block`. `field` and `offset` say what is compressed and where in the image it lies; the
 * decompressor's own errors, whatever their class, become a `ParseError` there.
 */
export function decompressBlock(
  decompress: Decompress,
  block: Uint8Array,
  maxBytes: number,
  field: string,
  offset: number,
): Uint8Array {
  let bytes: Uint8Array;
  try {
    bytes = decompress(block, maxBytes);
  } catch (error) {
    if (error instanceof DiskError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new ParseError('invalid', field, offset, `does not unpack (${reason})`);
  }
  if (bytes.length > maxBytes) {
    throw new ParseError('limit', field, offset, `unpacks to ${bytes.length} bytes, expected at most ${maxBytes}`);
  }
  return bytes;
}
