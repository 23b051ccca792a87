// The decompressors that Node has built in.
import { inflateRawSync, inflateSync, zstdDecompressSync } from 'node:zlib';
import type { Codecs } from '../source/codecs.ts';

/** xz, LZMA and LZO are not among them; LZ4 is this library's own. */
export const nodeCodecs: Codecs = {
  deflateRaw: (block, maxOutputLength) => inflateRawSync(block, { maxOutputLength }),
  zlib: (block, maxOutputLength) => inflateSync(block, { maxOutputLength }),
  zstd: (block, maxOutputLength) => zstdDecompressSync(block, { maxOutputLength }),
};
