// Bytes of an image that somebody has: a part of a file that is open, or what comes from elsewhere.
import { createHash } from 'node:crypto';
import { readSync } from 'node:fs';
import { MAX_DOCUMENT_BYTES, OciError } from '@ringwall/oci';

export interface FileBlob {
  readonly kind: 'file';
  readonly descriptor: number;
  readonly offset: number;
  readonly bytes: number;
}

export type Blob =
  | FileBlob
  /** Each call begins anew. */
  | {
      readonly kind: 'stream';
      readonly bytes: number;
      readonly open: (signal: AbortSignal) => AsyncIterable<Uint8Array>;
    };

/** What was read already. */
export function memoryBlob(bytes: Uint8Array): Blob {
  return {
    kind: 'stream',
    bytes: bytes.length,
    // oxlint-disable-next-line require-await -- as those that come from elsewhere
    open: async function* () {
      yield bytes;
    },
  };
}

/** All of it, which is what `digest` says. Throws OciError, or what reading throws. */
export async function readBlob(blob: Blob, digest: string, maxBytes: number, signal: AbortSignal): Promise<Uint8Array> {
  if (blob.bytes > maxBytes)
    throw new OciError('limit', `${digest} has ${String(blob.bytes)} bytes, at most ${String(maxBytes)}`);
  const bytes = blob.kind === 'file' ? readPart(blob.descriptor, blob.offset, blob.bytes) : await gather(blob, signal);
  if (digestOf(bytes, digest) !== digest) throw new OciError('malformed', `${digest} is not what lies under that name`);
  return bytes;
}

/** A document that no digest names. Throws OciError. */
export function readDocument(blob: FileBlob, what: string): Uint8Array {
  if (blob.bytes > MAX_DOCUMENT_BYTES)
    throw new OciError('limit', `${what} has ${String(blob.bytes)} bytes, at most ${String(MAX_DOCUMENT_BYTES)}`);
  return readPart(blob.descriptor, blob.offset, blob.bytes);
}

/** By the algorithm of `like`. */
export function digestOf(bytes: Uint8Array, like: string): string {
  const algorithm = algorithmOf(like);
  return `${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}`;
}

export function algorithmOf(digest: string): string {
  return digest.slice(0, digest.indexOf(':'));
}

/** Less than asked for where the file ends. */
export function readPart(descriptor: number, offset: number, length: number): Uint8Array {
  const buffer = Buffer.allocUnsafe(length);
  let filled = 0;
  while (filled < length) {
    const got = readSync(descriptor, buffer, filled, length - filled, offset + filled);
    if (got === 0) break;
    filled += got;
  }
  return buffer.subarray(0, filled);
}

async function gather(blob: Blob & { kind: 'stream' }, signal: AbortSignal): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of blob.open(signal)) {
    bytes += chunk.length;
    if (bytes > blob.bytes) break;
    chunks.push(chunk);
  }
  if (bytes !== blob.bytes) throw new OciError('malformed', `has not the ${String(blob.bytes)} bytes that were said`);
  return Buffer.concat(chunks);
}
