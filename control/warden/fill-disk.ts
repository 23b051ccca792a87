// Fills a disk from a stream of its contents, and reads it back: what is written goes through QEMU's encryption, what is
// compared comes through ours, against digests that the sender computed. After whole runs of chunks all of it is flushed and
// their digests are kept, so that an import that was broken off goes on from there.
import { hash } from 'node:crypto';
import type { Duplex } from 'node:stream';
import { inspect } from 'node:util';
import { RingwallError, type ErrorBody } from '@ringwall/api';
import { fullOr } from '../files/index.ts';
import type { Secret } from '../keys/index.ts';
import type { WardenContext } from './context.ts';
import { chunkLength, chunksOf, readDiskFrames, readStart, type DiskFrame } from './disk-frames.ts';
import {
  DIGEST_BYTES,
  digestOfDigests,
  discardDisk,
  keepDigests,
  writeDiskSpec,
  type DiskSpecRecord,
} from './disk-records.ts';
import type { DiskLayout } from './layout.ts';
import type { DiskWriter } from './parts.ts';

/** Between two flushes: some seconds of work. */
const RUN_CHUNKS = 64;
/** Written at a time, so that encryption does not wait for the stream: 16 MiB. */
const WRITES_AT_A_TIME = 4;
/** Of the whole time, by what both take on one core. */
const WRITING_SHARE = 0.6;
const PROGRESS_INTERVAL_MS = 200;

interface Filling {
  readonly disk: DiskLayout;
  readonly record: DiskSpecRecord;
  /** Of the chunks that are there. */
  readonly digests: Uint8Array;
  readonly key: Secret;
}

/** Tells all on the stream, its own failure too, and ends it. Rejects only for a defect. */
export async function fillDisk(context: WardenContext, filling: Filling, stream: Duplex): Promise<void> {
  const stop = new AbortController();
  stream.on('error', () => stream.destroy());
  stream.once('close', () => stop.abort(new RingwallError('conflict', 'the import was broken off')));
  const say = (message: object): void => {
    if (stream.writable) stream.write(`${JSON.stringify(message)}\n`);
  };
  try {
    const digests = await writeContents(context, filling, stream, say);
    say({ done: { digest: await finish(context, filling, digests, say, stop.signal) } });
  } catch (error) {
    const explained = fullOr(error);
    const body: ErrorBody =
      explained instanceof RingwallError
        ? explained.toBody()
        : { code: 'internal', message: 'the import failed by a defect of ringwall', hint: 'see the log of the warden' };
    context.note(`${filling.disk.id}: ${explained instanceof RingwallError ? explained.message : inspect(explained)}`);
    say({ error: body, destroyed: explained instanceof DiskDiffers });
  }
  stream.end();
}

class DiskDiffers extends RingwallError {}

async function writeContents(
  context: WardenContext,
  { disk, record, digests: there, key }: Filling,
  stream: Duplex,
  say: (message: object) => void,
): Promise<Uint8Array> {
  const start = await readStart(stream, there.length / DIGEST_BYTES);
  if (record.digest !== undefined && start * DIGEST_BYTES < there.length) {
    throw new RingwallError('conflict', 'this disk is whole, and holds something else than the image', {
      hint: 'choose another name, or remove the disk first: ringwall disk rm NAME',
    });
  }
  const total = chunksOf(record);
  const digests = new Uint8Array(total * DIGEST_BYTES);
  digests.set(there.subarray(0, start * DIGEST_BYTES));
  if (start === total) {
    for await (const _ of readDiskFrames(stream, record, start)) continue;
    return digests;
  }
  await using writer = await context.parts.disks.open(disk, record.sizeBytes, key);
  const run = new Run(writer, disk, digests, start);
  const tell = everyNowAndThen((chunk: number) =>
    say({ progress: { step: 'writing the encrypted disk', fraction: (WRITING_SHARE * chunk) / total } }),
  );
  try {
    for await (const frame of readDiskFrames(stream, record, start)) {
      await run.add(frame, record);
      tell(frame.chunk);
    }
  } finally {
    // Also where it was broken off: what lies there whole need not come again.
    await run.keep();
  }
  return digests;
}

/** Chunks that are written, or are being written, since the last flush. */
class Run {
  readonly #writer: DiskWriter;
  readonly #disk: DiskLayout;
  readonly #digests: Uint8Array;
  readonly #writes: Set<Promise<void>> = new Set();
  #first: number;
  #next: number;
  #failure: Error | undefined;

  constructor(writer: DiskWriter, disk: DiskLayout, digests: Uint8Array, start: number) {
    this.#writer = writer;
    this.#disk = disk;
    this.#digests = digests;
    this.#first = start;
    this.#next = start;
  }

  async add(frame: DiskFrame, record: DiskSpecRecord): Promise<void> {
    const { chunk } = frame;
    if (frame.kind === 'data') {
      this.#digests.set(frame.digest, chunk * DIGEST_BYTES);
      this.#begin(this.#writer.write(chunk * record.chunkBytes, frame.bytes));
      this.#next = chunk + 1;
    } else {
      const end = chunk + frame.chunks;
      for (let at = chunk; at < end; at += 1)
        this.#digests.set(zerosDigest(chunkLength(record, at)), at * DIGEST_BYTES);
      const length = Math.min(end * record.chunkBytes, record.sizeBytes) - chunk * record.chunkBytes;
      this.#begin(this.#writer.writeZeros(chunk * record.chunkBytes, length));
      this.#next = end;
    }
    while (this.#writes.size >= WRITES_AT_A_TIME) await Promise.race(this.#writes);
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#next - this.#first >= RUN_CHUNKS) await this.keep();
  }

  async keep(): Promise<void> {
    await Promise.all(this.#writes);
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#next === this.#first) return;
    await this.#writer.flush();
    await keepDigests(
      this.#disk,
      this.#first,
      this.#digests.subarray(this.#first * DIGEST_BYTES, this.#next * DIGEST_BYTES),
    );
    this.#first = this.#next;
  }

  #begin(write: Promise<void>): void {
    const settled = write
      .catch((error: unknown) => {
        this.#failure ??= error instanceof Error ? error : new Error(String(error));
      })
      .finally(() => this.#writes.delete(settled));
    this.#writes.add(settled);
  }
}

async function finish(
  context: WardenContext,
  { disk, record, key }: Filling,
  digests: Uint8Array,
  say: (message: object) => void,
  signal: AbortSignal,
): Promise<string> {
  let read = 0;
  const tell = everyNowAndThen(() =>
    say({
      progress: {
        step: 'reading it back, and comparing it with the image',
        fraction: WRITING_SHARE + ((1 - WRITING_SHARE) * read) / record.sizeBytes,
      },
    }),
  );
  const { sizeBytes, chunkBytes } = record;
  const onRead = (bytes: number): void => {
    read += bytes;
    tell(read);
  };
  const differs = await context.parts.disks.readBack(disk, { key, sizeBytes, chunkBytes, digests, onRead, signal });
  if (differs !== undefined) {
    await discardDisk(disk);
    throw new DiskDiffers('image-failed', `the disk is not what was read from the image, from byte ${differs} on`, {
      hint: 'it was destroyed: see that the memory and the disk of this host are sound, then import again',
    });
  }
  const digest = digestOfDigests(digests);
  await writeDiskSpec(disk, { ...record, digest });
  return digest;
}

const zerosKnown = new Map<number, Uint8Array>();

/** Of a whole chunk or of the last: two lengths a disk. */
function zerosDigest(length: number): Uint8Array {
  const known = zerosKnown.get(length) ?? hash('sha256', new Uint8Array(length), 'buffer');
  if (zerosKnown.size > 16) zerosKnown.clear();
  zerosKnown.set(length, known);
  return known;
}

function everyNowAndThen(tell: (value: number) => void): (value: number) => void {
  let last = Number.NEGATIVE_INFINITY;
  return (value) => {
    const now = performance.now();
    if (now - last < PROGRESS_INTERVAL_MS) return;
    last = now;
    tell(value);
  };
}
