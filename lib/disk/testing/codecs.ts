// Decompressors for the tests: those of Node, and for .xz and .lzma the tool.
import { inflateRawSync, inflateSync, zstdDecompressSync } from 'node:zlib';
import type { Codecs, Decompress } from '../src/index.ts';
import { runTool } from './tools.ts';

const withXz =
  (format: string): Decompress =>
  (block, maxBytes) => {
    const bytes = runTool(['xz', '--decompress', '--stdout', `--format=${format}`], block);
    if (bytes.length > maxBytes) throw new RangeError('unpacks to too much');
    return bytes;
  };

export const TEST_CODECS: Codecs = {
  deflateRaw: (block, maxOutputLength) => inflateRawSync(block, { maxOutputLength }),
  zlib: (block, maxOutputLength) => inflateSync(block, { maxOutputLength }),
  zstd: (block, maxOutputLength) => zstdDecompressSync(block, { maxOutputLength }),
  xz: withXz('xz'),
  lzma: withXz('lzma'),
};
