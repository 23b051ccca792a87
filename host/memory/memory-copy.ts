// A copy of memory that somebody else writes meanwhile: made once at leisure, and brought up to date in the moment in which nobody
// writes. What has changed is found by comparing, which runs as fast as memory does and needs nobody's help; threads, and room for
// what they copy, are there before that moment.
import { availableParallelism } from 'node:os';
import type { Worker } from 'node:worker_threads';
import { RingwallError } from '@ringwall/api';
import { startWorker } from '../threads/index.ts';
import { COMPARED_BYTES, type CopyJob, type CopyRound } from './copy-job.ts';
import { makeSharedMemory, type SharedMemory } from './shared-memory.ts';

/** Above this, threads wait for memory and not for each other. */
const MAX_THREADS = 8;
/** A thread takes some 40 ms to start, in which another has copied so much. */
const MIN_BYTES_PER_THREAD: number = 64 * 2 ** 20;

export interface MemoryCopyOptions {
  /** Of a file, which is as long as the memory. */
  readonly descriptor: number;
  readonly bytes: number;
  /** Of the copy, which has only what is not zero: more is refused with `host-full`. */
  readonly maxBytes: number;
}

export class MemoryCopy implements AsyncDisposable {
  readonly memory: SharedMemory;
  readonly #threads: readonly Worker[];
  readonly #round: Int32Array;

  private constructor(memory: SharedMemory, threads: readonly Worker[], round: Int32Array) {
    this.memory = memory;
    this.#threads = threads;
    this.#round = round;
  }

  /** Made once all of it was copied. */
  static async make({ descriptor, bytes, maxBytes }: MemoryCopyOptions): Promise<MemoryCopy> {
    const memory = makeSharedMemory(bytes);
    const pieces = Math.ceil(bytes / COMPARED_BYTES);
    const round = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT);
    const holds = new SharedArrayBuffer(pieces);
    const workerData: CopyJob = { descriptor, bytes, memory, round, holds };
    const count = Math.min(availableParallelism(), MAX_THREADS, Math.ceil(bytes / MIN_BYTES_PER_THREAD));
    const threads = Array.from({ length: count }, () => startWorker('memory/copy-worker', { workerData }));
    const copy = new MemoryCopy(memory, threads, new Int32Array(round));
    try {
      await copy.refresh(maxBytes);
      return copy;
    } catch (error) {
      await copy[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Copies what is not as it was. Gives how many bytes were not. */
  async refresh(maxBytes: number = Number.MAX_SAFE_INTEGER): Promise<number> {
    Atomics.store(this.#round, 0, 0);
    const share = Math.floor(maxBytes / this.#threads.length);
    const changed = await Promise.all(this.#threads.map((thread) => takePart(thread, share)));
    return changed.reduce((sum, bytes) => sum + bytes, 0);
  }

  /** What was copied stays until nobody has it any more. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#threads.map((thread) => thread.terminate()));
  }
}

function takePart(worker: Worker, maxBytes: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const end = (): void => {
      worker.off('message', hear).off('error', fail).off('exit', exit);
    };
    const fail = (cause: unknown): void => {
      end();
      const why = cause instanceof Error ? cause.message : String(cause);
      reject(new RingwallError('internal', `memory could not be copied: ${why}`, { cause }));
    };
    const exit = (code: number): void => fail(new Error(`a thread has ended with ${code}`));
    const hear = (answer: CopyRound): void => {
      end();
      if (answer.isFull) reject(new RingwallError('host-full', 'there is no room for a copy of this memory'));
      else resolve(answer.changedBytes);
    };
    worker.once('message', hear).once('error', fail).once('exit', exit);
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread is no window
    worker.postMessage(maxBytes);
  });
}
