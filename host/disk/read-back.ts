// Reads an encrypted disk again, through the LUKS reader of lib/disk and not through the QEMU that wrote it, and compares
// every chunk with the SHA-256 that its sender computed from the source: two programs that share no line must agree.
import { availableParallelism } from 'node:os';
import { errorOf } from './failed-with.ts';
import { endThread, startWorker } from '../threads/index.ts';
import type { ReadBackJob, ReadBackMessage } from './read-back-job.ts';

/** Decrypting and hashing take the processor as a whole; the host has other work. */
const MAX_THREADS = 4;
/** A thread takes some 50 ms to start; it reads so much in that time. */
const MIN_BYTES_PER_THREAD = 64 * 2 ** 20;

export interface ReadBackOptions {
  /** Of the LUKS file. */
  readonly path: string;
  readonly key: Uint8Array;
  readonly sizeBytes: number;
  readonly chunkBytes: number;
  /** SHA-256 of each chunk, one after the other. */
  readonly digests: Uint8Array;
  readonly onRead?: (bytes: number) => void;
  readonly signal?: AbortSignal;
}

/** The offset of the first chunk that differs; undefined where all are as they should be. Throws what the reader throws. */
export async function readBack(options: ReadBackOptions): Promise<number | undefined> {
  const { path, key, sizeBytes, chunkBytes, digests, signal } = options;
  signal?.throwIfAborted();
  const shared = new Uint8Array(new SharedArrayBuffer(digests.length));
  shared.set(digests);
  const job: ReadBackJob = { path, key, sizeBytes, chunkBytes, digests: shared, next: new SharedArrayBuffer(4) };
  const count = Math.max(1, Math.min(MAX_THREADS, availableParallelism(), Math.ceil(sizeBytes / MIN_BYTES_PER_THREAD)));
  const stop = new AbortController();
  const reasons = signal === undefined ? stop.signal : AbortSignal.any([signal, stop.signal]);
  const threads = Array.from({ length: count }, () =>
    runThread(job, reasons, options.onRead).catch((error: unknown) => {
      stop.abort(error);
      throw error;
    }),
  );
  const found = await Promise.allSettled(threads);
  reasons.throwIfAborted();
  const differing = found.flatMap((each) => (each.status === 'fulfilled' ? each.value : []));
  return differing.length === 0 ? undefined : Math.min(...differing);
}

/** Offsets of the chunks that differ, of those that this thread took. */
async function runThread(
  job: ReadBackJob,
  signal: AbortSignal,
  onRead: ((bytes: number) => void) | undefined,
): Promise<number[]> {
  const worker = startWorker('disk/read-back-worker', { workerData: job });
  const terminate = (): void => void endThread(worker);
  signal.addEventListener('abort', terminate);
  const differing: number[] = [];
  try {
    await new Promise<void>((resolve, reject) => {
      let failure: Error | undefined;
      worker.on('message', (message: ReadBackMessage) => {
        if (message.kind === 'failed') failure = errorOf(message.error);
        else if (message.kind === 'differs') differing.push(message.offset);
        else onRead?.(message.bytes);
      });
      worker.on('error', (error) => (failure = error instanceof Error ? error : new Error(String(error))));
      worker.on('exit', () => (failure === undefined ? resolve() : reject(failure)));
    });
    return differing;
  } finally {
    signal.removeEventListener('abort', terminate);
  }
}
