// Zstandard (RFC 8878) of one chunk at a time. zlib is told how large things get: else it hands out what it makes in pieces of 16 KiB,
// which takes longer than making it.
import { zstdCompress, zstdCompressSync, zstdDecompress, zstdDecompressSync, type ZstdOptions } from 'node:zlib';
import { promisify } from 'node:util';

const compress = promisify(zstdCompress);
const unpack = promisify(zstdDecompress);

export function compressChunk(chunk: Uint8Array): Uint8Array {
  return zstdCompressSync(chunk, optionsFor(chunk));
}

/** On another thread. */
export async function compressChunkAside(chunk: Uint8Array): Promise<Uint8Array> {
  return compress(chunk, optionsFor(chunk));
}

/** On another thread. Throws what zlib throws where it is no Zstandard, or unpacks to more than `most` bytes. */
export async function unpackChunkAside(packed: Uint8Array, most: number): Promise<Uint8Array> {
  return unpack(packed, optionsUpTo(most));
}

/** Undefined where it is no Zstandard, or unpacks to more than `most` bytes. */
export function unpackChunk(packed: Uint8Array, most: number): Uint8Array | undefined {
  try {
    return zstdDecompressSync(packed, optionsUpTo(most));
  } catch {
    // What zlib says of it is as good as nothing: what comes out is no chunk.
    return undefined;
  }
}

function optionsFor({ length }: Uint8Array): ZstdOptions {
  // What does not compress becomes longer by less than this (ZSTD_compressBound() of zstd.h).
  return { pledgedSrcSize: length, chunkSize: length + (length >> 8) + 64 };
}

function optionsUpTo(most: number): ZstdOptions {
  return { maxOutputLength: most, chunkSize: most };
}
