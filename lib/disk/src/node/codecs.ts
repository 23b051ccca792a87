// The decompressors that Node has built in.
import type * as Zlib from 'node:zlib';
import type { Codecs } from '../source/codecs.ts';

/** xz, LZMA and LZO are not among them; LZ4 is this library's own. */
export const nodeCodecs: Codecs = {
  deflateRaw: (block, maxBytes) => zlib().inflateRawSync(block, atOnce(maxBytes)),
  zlib: (block, maxBytes) => zlib().inflateSync(block, atOnce(maxBytes)),
  zstd: (block, maxBytes) => zlib().zstdDecompressSync(block, atOnce(maxBytes)),
};

let loaded: typeof Zlib | undefined;

/** Loaded by the first block: a program that meets none starts a tenth faster. */
function zlib(): typeof Zlib {
  return (loaded ??= process.getBuiltinModule('node:zlib'));
}

/**
 * Into one buffer: Node's usual pieces of 16 KiB are joined by a copy of it all. With a byte to spare, since a buffer that is full
 * makes Node take a second one. The least that zlib takes are 64 bytes.
 */
function atOnce(maxOutputLength: number): { readonly maxOutputLength: number; readonly chunkSize: number } {
  return { maxOutputLength, chunkSize: Math.max(maxOutputLength + 1, 64) };
}
