// Frames of a disk's contents as they come to the warden (api/disk-stream.ts): bytes of whoever imports, so that each number
// is checked before anything is allocated or written for it.
import type { Readable } from 'node:stream';
import { RingwallError } from '@ringwall/api';
import { CHUNK_DIGEST_BYTES, FRAME, FRAME_HEADER_BYTES } from '@ringwall/api/disk-stream';
import { readExactly, StreamEndedError } from '@ringwall/host/disk';

/** A sender that reads a slow disk, or skips what is there already, still says something within this. */
const SILENCE_TIMEOUT_MS = 120_000;

export type DiskFrame =
  | { readonly kind: 'data'; readonly chunk: number; readonly digest: Uint8Array; readonly bytes: Uint8Array }
  | { readonly kind: 'zeros'; readonly chunk: number; readonly chunks: number };

export interface DiskShape {
  readonly sizeBytes: number;
  readonly chunkBytes: number;
}

export function chunksOf({ sizeBytes, chunkBytes }: DiskShape): number {
  return Math.ceil(sizeBytes / chunkBytes);
}

/** Of the last chunk what is left. */
export function chunkLength({ sizeBytes, chunkBytes }: DiskShape, chunk: number): number {
  return Math.min(chunkBytes, sizeBytes - chunk * chunkBytes);
}

/** The first frame: from which chunk on the contents come. */
export async function readStart(stream: Readable, have: number): Promise<number> {
  const { kind, value } = await readHeader(stream);
  if (kind !== FRAME.start || value > have) throw malformed(`begins with ${kind} ${value}, ${have} chunks are there`);
  return value;
}

/** The chunks from `start` on, in their order, to the last. Throws where the stream ends before, or is no such stream. */
export async function* readDiskFrames(stream: Readable, shape: DiskShape, start: number): AsyncGenerator<DiskFrame> {
  const total = chunksOf(shape);
  for (let chunk = start; ;) {
    const { kind, value } = await readHeader(stream);
    if (kind === FRAME.end) {
      if (value === 0 && chunk === total) return;
      throw malformed(`ends after ${chunk} of ${total} chunks`);
    }
    if (chunk === total) throw malformed('goes on after the last chunk');
    if (kind === FRAME.zeros) {
      if (value === 0 || value > total - chunk) throw malformed(`${value} chunks of zeros at ${chunk} of ${total}`);
      yield { kind: 'zeros', chunk, chunks: value };
      chunk += value;
    } else if (kind === FRAME.data) {
      const length = chunkLength(shape, chunk);
      if (value !== length) throw malformed(`chunk ${chunk} has ${value} bytes, expected ${length}`);
      const digest = await read(stream, CHUNK_DIGEST_BYTES);
      yield { kind: 'data', chunk, digest, bytes: await read(stream, length) };
      chunk += 1;
    } else {
      throw malformed(`a frame of kind ${kind}`);
    }
  }
}

async function readHeader(stream: Readable): Promise<{ kind: number; value: number }> {
  const header = await read(stream, FRAME_HEADER_BYTES);
  return { kind: header.readUInt8(0), value: header.readUInt32BE(1) };
}

async function read(stream: Readable, length: number): Promise<Buffer> {
  try {
    return await readExactly(stream, length, SILENCE_TIMEOUT_MS);
  } catch (error) {
    throw error instanceof StreamEndedError ? brokenOff() : error;
  }
}

function brokenOff(): RingwallError {
  return new RingwallError('conflict', 'the import was broken off', {
    hint: 'the same command goes on where it was; ringwall disk rm NAME removes what is there',
  });
}

function malformed(what: string): RingwallError {
  return new RingwallError('bad-request', `the contents of the disk do not come as they should: ${what}`);
}
