// A layer's bytes, checked and unpacked as they come: gzip (RFC 1952), zstd (RFC 8878) or plain tar, told by the first bytes.
// Nothing is written anywhere.
import { pipeline } from 'node:stream/promises';
import { setImmediate } from 'node:timers/promises';
import { constants, createGunzip, createZstdDecompress } from 'node:zlib';
import { OciError, type InspectionBudget, type LayerContents, type LayerInspection } from '@ringwall/oci';
import { whole } from '../threads/index.ts';
import { algorithmOf } from './blob.ts';
import type { OpenHash, StreamHash } from './stream-hash.ts';

/** zlib makes chunks of 16 KiB otherwise, and each costs a turn of the event loop. */
const CHUNK_BYTES = 512 * 1024;
/** RFC 8878, section 3.1.1.1.2: what every decoder should have for a window; one of each thread may be held. */
const ZSTD_WINDOW_LOG = 23;
/** As zstd itself by default: one layer of an image at a time may make us hold it. */
const ZSTD_LARGE_WINDOW_LOG = 27;
/** The longest beginning that says how a layer is packed: a frame header of zstd. */
const START_BYTES = 18;
/** A file of zeros packs to a thousandth: a layer may hold some, and is no bomb. */
const FREE_BYTES: number = 256 * 1024 ** 2;
/** Text of the most regular kind packs to a hundredth; what unpacks to more than that is made to cost time. */
const MAX_RATIO = 200;

const GZIP = [0x1f, 0x8b];
const ZSTD = [0x28, 0xb5, 0x2f, 0xfd];
const REFUSED: readonly (readonly [name: string, magic: readonly number[]])[] = [
  ['bzip2', [0x42, 0x5a, 0x68]],
  ['xz', [0xfd, 0x37, 0x7a, 0x58, 0x5a]],
];

export interface PackedLayer {
  readonly chunks: AsyncIterable<Uint8Array>;
  readonly bytes: number;
  /** '' where it is not known. */
  readonly digest: string;
  readonly diffId: string;
}

export interface UnpackOptions {
  readonly inspection: LayerInspection;
  readonly budget: InspectionBudget;
  readonly openHash: OpenHash;
  /** Says between chunks what to wait for. */
  readonly room?: (() => Promise<void> | undefined) | undefined;
}

/** Throws OciError, or what `chunks` and `room` throw. */
export async function unpackLayer(
  layer: PackedLayer,
  { inspection, budget, openHash, room = () => undefined }: UnpackOptions,
): Promise<LayerContents> {
  const { digest, diffId, bytes } = layer;
  const packed = digest === '' ? undefined : openHash(algorithmOf(digest));
  const unpacked = diffId === '' ? undefined : openHash(algorithmOf(diffId));
  const most = Math.max(FREE_BYTES, bytes * MAX_RATIO);
  let unpackedBytes = 0;
  const take = (chunk: Uint8Array): Promise<void> | undefined => {
    unpackedBytes += chunk.length;
    if (unpackedBytes > most)
      throw new OciError('limit', `unpacks to more than ${String(most)} bytes out of ${String(bytes)}: a bomb`);
    unpacked?.update(chunk);
    inspection.push(chunk);
    return room();
  };
  const chunks = counted(layer, packed);
  const start = await startOf(chunks);
  const packedBytes = joined(start, chunks);
  const needsLargeWindow = zstdWindowBytes(start) > 2 ** ZSTD_WINDOW_LOG;
  if (needsLargeWindow) budget.enterLarge();
  try {
    await unpack(packedBytes, start, needsLargeWindow ? ZSTD_LARGE_WINDOW_LOG : ZSTD_WINDOW_LOG, take);
  } catch (error) {
    throw explained(error);
  }
  if (needsLargeWindow) {
    // The window is garbage only when nothing that waits for this turn to end holds its stream.
    await setImmediate();
    budget.leaveLarge();
  }
  await check(packed, digest, 'its digest');
  await check(unpacked, diffId, 'the digest of what it unpacks to');
  return inspection.end();
}

async function* counted(
  { chunks, bytes }: PackedLayer,
  hash: StreamHash | undefined,
): AsyncGenerator<Uint8Array, void> {
  let seen = 0;
  for await (const chunk of chunks) {
    seen += chunk.length;
    if (seen > bytes) throw new OciError('malformed', `has more than the ${String(bytes)} bytes that were said`);
    hash?.update(chunk);
    yield chunk;
  }
  if (seen < bytes) throw new OciError('malformed', `has ${String(seen)} of the ${String(bytes)} bytes that were said`);
}

async function unpack(
  packed: AsyncIterable<Uint8Array>,
  start: Uint8Array,
  windowLog: number,
  take: (chunk: Uint8Array) => Promise<void> | undefined,
): Promise<void> {
  const decompressor = decompressorFor(start, windowLog);
  if (decompressor === undefined) for await (const chunk of packed) await take(chunk);
  else
    await pipeline(packed, decompressor, async (source: AsyncIterable<Uint8Array>) => {
      for await (const chunk of source) await take(chunk);
    });
}

/** Enough to know what it is, however short the pieces are. */
async function startOf(chunks: AsyncIterator<Uint8Array>): Promise<Uint8Array> {
  let start = new Uint8Array();
  while (start.length < START_BYTES) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    const next = await chunks.next();
    if (next.done === true) break;
    start = start.length === 0 ? new Uint8Array(next.value) : Buffer.concat([start, next.value]);
  }
  return start;
}

/** Of the first frame: later ones must do with as much. RFC 8878, section 3.1.1.1. */
function zstdWindowBytes(start: Uint8Array): number {
  if (start.length < START_BYTES || !ZSTD.every((byte, at) => start[at] === byte)) return 0;
  const view = new DataView(start.buffer, start.byteOffset);
  const descriptor = view.getUint8(ZSTD.length);
  const isSingleSegment = (descriptor & 0x20) !== 0;
  if (!isSingleSegment) {
    const window = view.getUint8(ZSTD.length + 1);
    const base = 2 ** (10 + (window >> 3));
    return base + (base / 8) * (window & 7);
  }
  const size = ZSTD.length + 1 + ([0, 1, 2, 4][descriptor & 3] ?? 0);
  return (
    [
      () => view.getUint8(size),
      () => view.getUint16(size, true) + 256,
      () => view.getUint32(size, true),
      () => Number(view.getBigUint64(size, true)),
    ][descriptor >> 6]?.() ?? 0
  );
}

async function* joined(start: Uint8Array, rest: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void> {
  yield start;
  yield* rest;
}

function decompressorFor(
  start: Uint8Array,
  windowLog: number,
): ReturnType<typeof createGunzip | typeof createZstdDecompress> | undefined {
  const begins = (magic: readonly number[]): boolean => magic.every((byte, at) => start[at] === byte);
  const refused = REFUSED.find(([, magic]) => begins(magic));
  if (refused !== undefined) throw new OciError('malformed', `is packed with ${refused[0]}, which no registry serves`);
  if (begins(GZIP)) return whole(() => createGunzip({ chunkSize: CHUNK_BYTES }));
  if (!begins(ZSTD)) return undefined;
  const params = { [constants.ZSTD_d_windowLogMax]: windowLog };
  return whole(() => createZstdDecompress({ chunkSize: CHUNK_BYTES, params }));
}

/** zlib's own errors are about bytes of the image. */
function explained(error: unknown): unknown {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (!/^(?:Z_|ZSTD_|ERR_ZLIB)/.test(code) || !(error instanceof Error)) return error;
  return new OciError('malformed', `cannot be unpacked: ${error.message}`, { cause: error });
}

async function check(hash: StreamHash | undefined, digest: string, what: string): Promise<void> {
  if (hash === undefined) return;
  const found = `${algorithmOf(digest)}:${await hash.digest()}`;
  if (found !== digest) throw new OciError('malformed', `${what} is ${found}, and ${digest} was said`);
}
