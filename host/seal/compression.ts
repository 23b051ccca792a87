// Zstandard (RFC 8878) of one chunk at a time. zlib is told how large things get: else it hands out what it makes in pieces of 16 KiB,
// which takes longer than making it.
import { zstdCompress, zstdCompressSync, zstdDecompress, zstdDecompressSync, type ZstdOptions } from 'node:zlib';
import { promisify } from 'node:util';
import { release } from './release.ts';

const compress = promisify(zstdCompress);
const unpack = promisify(zstdDecompress);

/** In memory of its own, which `release` gives back; undefined where it does not get smaller. */
export function compressChunk(chunk: Uint8Array): Uint8Array | undefined {
  const options = optionsFor(chunk);
  const packed = inOwnMemory(zstdCompressSync(chunk, options), options);
  if (packed.length < chunk.length) return packed;
  release(packed);
  return undefined;
}

/** On another thread. */
export async function compressChunkAside(chunk: Uint8Array): Promise<Uint8Array> {
  return compress(chunk, optionsFor(chunk));
}

/** On another thread. Throws what zlib throws where it is no Zstandard, or unpacks to more than `most` bytes. */
export async function unpackChunkAside(packed: Uint8Array, most: number): Promise<Uint8Array> {
  return unpack(packed, optionsUpTo(most));
}

/** In memory of its own. Undefined where it is no Zstandard, or unpacks to more than `most` bytes. */
export function unpackChunk(packed: Uint8Array, most: number): Uint8Array | undefined {
  try {
    const options = optionsUpTo(most);
    return inOwnMemory(zstdDecompressSync(packed, options), options);
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

/** zlib gives a view of the room that it was told of: a mebibyte for each chunk, which would wait for the garbage collector. */
function inOwnMemory(view: Uint8Array<ArrayBuffer>, { chunkSize }: ZstdOptions): Uint8Array<ArrayBuffer> {
  // Small rooms are pieces of a pool that Node keeps.
  const isOwn = view.buffer.byteLength === chunkSize && chunkSize > Buffer.poolSize;
  return isOwn ? new Uint8Array(view.buffer.transfer(view.length)) : new Uint8Array(view);
}
