// A disk image of any format as a sparse raw file. The threads share descriptors and nothing else: each has its own reader,
// and takes the next chunk when it is done with one, so that compressed images use all cores.
import { closeSync, constants, ftruncateSync, openSync, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import type { ImageFormat } from '@ringwall/disk';
import type { ConvertInputs, ConvertJob, ConvertMessage } from './convert-job.ts';
import { errorOf } from './failed-with.ts';
import { endThread, startWorker } from '../threads/index.ts';
import { openInputs } from './open-inputs.ts';

const MIB = 2 ** 20;

/** Above this, threads wait for the disk or for memory. */
const MAX_THREADS = 8;
/**
 * With which a conversion begins. Copying takes memory and not processors: two threads are as fast as there is, and each that is
 * started takes as long as 50 MiB of it.
 */
const FIRST_THREADS = 2;
/** Where a mebibyte takes a processor longer, it is unpacked or decrypted, and every processor is of use. Copying takes 0.4 to 1.1. */
const SLOW_MS_PER_MIB = 2;
/** A thread takes some 50 ms to start; it reads so much in that time. */
const MIN_BYTES_PER_THREAD = 64 * MIB;

export interface ConvertOptions {
  /** What the image is, where the caller knows; otherwise its content decides. */
  readonly format?: ImageFormat;
  /** Paths of the other files that the image may read, by the names that it has for them. Any other is refused. */
  readonly files?: ReadonlyMap<string, string>;
  readonly threads?: number;
  readonly onWritten?: (bytes: number) => void;
  readonly signal?: AbortSignal;
}

export interface Converted {
  readonly format: ImageFormat;
  /** Size of the disk, and of the raw file. */
  readonly size: number;
  /** Bytes that are not holes. */
  readonly written: number;
}

/**
 * Writes the disk in `image` to `output`, which must not exist, and removes what it wrote where it fails. Throws `ParseError`,
 * `DiskError`, the signal's reason, or what node:fs throws. The image is opened for reading only.
 */
export async function convertImage(image: string, output: string, options: ConvertOptions = {}): Promise<Converted> {
  const { format, files = new Map<string, string>(), threads = availableParallelism(), signal } = options;
  signal?.throwIfAborted();
  using descriptors = new DisposableStack();
  const open = (path: string): number =>
    descriptors.adopt(openSync(path, constants.O_RDONLY | constants.O_NONBLOCK), closeSync);
  const inputs: ConvertInputs = {
    image: open(image),
    format,
    files: new Map([...files].map(([name, path]) => [name, open(path)])),
  };
  const disk = describe(inputs);
  const target = descriptors.adopt(openSync(output, 'wx', 0o600), closeSync);
  try {
    ftruncateSync(target, disk.size);
    const job: ConvertJob = { ...inputs, format: disk.format, output: target, next: new SharedArrayBuffer(4) };
    const count = Math.max(1, Math.min(threads, MAX_THREADS, Math.ceil(disk.size / MIN_BYTES_PER_THREAD)));
    const written = await runThreads(job, count, options);
    return { ...disk, written };
  } catch (error) {
    rmSync(output, { force: true });
    throw error;
  }
}

function describe(inputs: ConvertInputs): Pick<Converted, 'format' | 'size'> {
  using sources = new DisposableStack();
  const { format, size } = openInputs(inputs, sources);
  return { format, size };
}

type Written = Extract<ConvertMessage, { kind: 'written' }>;

/** Ends when all threads have, one way or another: a descriptor is closed only when nobody writes to it. */
async function runThreads(job: ConvertJob, count: number, { onWritten, signal }: ConvertOptions): Promise<number> {
  let written = 0;
  const stop = new AbortController();
  const reasons = signal === undefined ? stop.signal : AbortSignal.any([signal, stop.signal]);
  const threads: Promise<void>[] = [];
  const startUpTo = (wanted: number): void => {
    while (threads.length < wanted) {
      const thread = runThread(job, reasons, ({ bytes, cpuMs }) => {
        written += bytes;
        onWritten?.(bytes);
        if (cpuMs > (bytes / MIB) * SLOW_MS_PER_MIB && bytes >= MIB && !reasons.aborted) startUpTo(count);
      });
      threads.push(thread.catch((error: unknown) => stop.abort(error)));
    }
  };
  startUpTo(Math.min(FIRST_THREADS, count));
  // Others may be started while the first ones run.
  for (let ended = 0; ended < threads.length; ended += 1) await threads[ended];
  reasons.throwIfAborted();
  return written;
}

async function runThread(job: ConvertJob, signal: AbortSignal, onWritten: (message: Written) => void): Promise<void> {
  const worker = startWorker('disk/convert-worker', { workerData: job });
  const terminate = (): void => void endThread(worker);
  signal.addEventListener('abort', terminate);
  try {
    await new Promise<void>((resolve, reject) => {
      let failure: Error | undefined;
      worker.on('message', (message: ConvertMessage) => {
        if (message.kind === 'written') onWritten(message);
        else failure = errorOf(message.error);
      });
      worker.on('error', (error) => (failure = error instanceof Error ? error : new Error(String(error))));
      worker.on('exit', () => (failure === undefined ? resolve() : reject(failure)));
    });
  } finally {
    signal.removeEventListener('abort', terminate);
  }
}
