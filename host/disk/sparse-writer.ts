// Writes what is not zero: a raw file stays as sparse as the disk that it shows.
import { writeSync } from 'node:fs';

/** The block of every file system here; a hole cannot be smaller. */
const BLOCK_BYTES = 4096;
const ZEROS = Buffer.alloc(BLOCK_BYTES);

/** Writes `bytes` at `offset` but for blocks of zeros. Returns how many bytes it wrote. */
export function writeSparse(descriptor: number, bytes: Uint8Array, offset: number): number {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let written = 0;
  let start = 0;
  for (let at = 0; at < buffer.length;) {
    // Blocks are those of the file, wherever `offset` lies in one.
    const end = Math.min(buffer.length, at + BLOCK_BYTES - ((offset + at) % BLOCK_BYTES));
    if (isZero(buffer, at, end)) {
      written += writeAll(descriptor, buffer, start, at, offset);
      start = end;
    }
    at = end;
  }
  return written + writeAll(descriptor, buffer, start, buffer.length, offset);
}

function isZero(buffer: Buffer, start: number, end: number): boolean {
  // Most blocks of data show it at once, without a call.
  return buffer[start] === 0 && buffer[end - 1] === 0 && buffer.compare(ZEROS, 0, end - start, start, end) === 0;
}

function writeAll(descriptor: number, buffer: Buffer, start: number, end: number, offset: number): number {
  for (let at = start; at < end;) at += writeSync(descriptor, buffer, at, end - at, offset + at);
  return end - start;
}
