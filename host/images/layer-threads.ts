// The threads that read layers: each takes the next when it is done, and another one starts where none is free and there is a core.
import { availableParallelism } from 'node:os';
import type { Worker } from 'node:worker_threads';
import { contentsOf, OCI_ERROR_CODES, OciError, type LayerContents, type Sample } from '@ringwall/oci';
import { endThread, startWorker } from '../threads/index.ts';
import type { Blob } from './blob.ts';
import type { FromLayerThread, ToLayerThread } from './layer-job.ts';
import type { SampleLooker } from './sampling.ts';
import { leaveLargeFor } from './shared-budget.ts';

/** All of them must do with 512 MB; what is large they hold one after the other. */
const MAX_THREADS = 4;
/** Of a thread: what it keeps of a layer is bounded, but not what it leaves behind until that is collected. */
const MAX_HEAP_MB = 192;

export interface LayerToRead {
  readonly blob: Blob;
  /** '' where it is not known. */
  readonly digest: string;
  readonly diffId: string;
  readonly budget: SharedArrayBuffer;
}

export interface ReadLayer {
  /** Facts are neither finished nor redacted. */
  readonly contents: LayerContents;
  /** False where another time more may be said of it. */
  readonly isLasting: boolean;
}

export interface LayerThreads extends AsyncDisposable {
  /** Throws OciError, or what reading the blob throws. */
  readonly read: (layer: LayerToRead, signal: AbortSignal) => Promise<ReadLayer>;
}

interface Thread {
  readonly worker: Worker;
  /** It has none any more when it has ended. */
  readonly id: number;
  busy: boolean;
}

export function openLayerThreads(looker: SampleLooker | undefined): LayerThreads {
  const most = Math.min(MAX_THREADS, availableParallelism());
  const threads: Thread[] = [];
  const waiting: ((thread: Thread) => void)[] = [];
  const idle = async (): Promise<Thread> => {
    const free = threads.find(({ busy }) => !busy);
    if (free !== undefined) return take(free);
    if (threads.length < most) return start();
    return new Promise<Thread>((resolve) => waiting.push(resolve));
  };
  const take = (thread: Thread): Thread => {
    thread.busy = true;
    return thread;
  };
  const start = (): Thread => {
    const worker = startWorker('images/layer-worker', { resourceLimits: { maxOldGenerationSizeMb: MAX_HEAP_MB } });
    const thread: Thread = { worker, id: worker.threadId, busy: true };
    threads.push(thread);
    return thread;
  };
  const release = (thread: Thread): void => {
    thread.busy = false;
    const next = waiting.shift();
    if (next !== undefined) next(take(thread));
  };
  /** One that failed may be in the midst of a layer: another takes its place. */
  const replace = async (thread: Thread, budget: SharedArrayBuffer): Promise<void> => {
    threads.splice(threads.indexOf(thread), 1);
    await endThread(thread.worker);
    leaveLargeFor(budget, thread.id);
    waiting.shift()?.(start());
  };
  return {
    read: async (layer, signal) => {
      const thread = await idle();
      try {
        signal.throwIfAborted();
        const read = await runJob(thread.worker, layer, looker, signal);
        release(thread);
        return read;
      } catch (error) {
        await replace(thread, layer.budget);
        throw error;
      }
    },
    [Symbol.asyncDispose]: async () => {
      await Promise.all(threads.splice(0).map(({ worker }) => endThread(worker)));
    },
  };
}

async function runJob(
  worker: Worker,
  layer: LayerToRead,
  looker: SampleLooker | undefined,
  signal: AbortSignal,
): Promise<ReadLayer> {
  const { blob, digest, diffId, budget } = layer;
  using listeners = new DisposableStack();
  const stop = new AbortController();
  listeners.defer(() => stop.abort());
  const ended = AbortSignal.any([signal, stop.signal]);
  const chunks = blob.kind === 'stream' ? blob.open(ended)[Symbol.asyncIterator]() : undefined;
  const { promise, resolve, reject } = Promise.withResolvers<ReadLayer>();
  const hear = (message: FromLayerThread): void => {
    if (message.kind === 'done') resolve({ contents: contentsOf(message.columns), isLasting: message.isLasting });
    else if (message.kind === 'failed') reject(errorOf(message));
    else if (message.kind === 'samples') void answerLook(worker, looker, message.samples).catch(reject);
    else if (chunks !== undefined) void sendNext(worker, chunks).catch(reject);
  };
  const exited = (): void => reject(new OciError('limit', 'needs more memory than a thread has'));
  const abort = (): void => reject(signal.reason);
  const failed = (error: Error): void =>
    'code' in error && error.code === 'ERR_WORKER_OUT_OF_MEMORY' ? exited() : reject(error);
  worker.on('message', hear).on('error', failed).on('exit', exited);
  signal.addEventListener('abort', abort);
  listeners.defer(() => {
    worker.off('message', hear).off('error', failed).off('exit', exited);
    signal.removeEventListener('abort', abort);
  });
  const file = blob.kind === 'file' ? { descriptor: blob.descriptor, offset: blob.offset } : undefined;
  send(worker, { kind: 'job', file, bytes: blob.bytes, digest, diffId, budget, batchBytes: looker?.batchBytes ?? 0 });
  return await promise;
}

function send(worker: Worker, message: ToLayerThread): void {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread is no window
  worker.postMessage(message);
}

async function answerLook(worker: Worker, looker: SampleLooker | undefined, samples: readonly Sample[]): Promise<void> {
  const looked = (await looker?.look(samples)) ?? { facts: [], isLasting: true };
  send(worker, { kind: 'looked', looked });
}

async function sendNext(worker: Worker, chunks: AsyncIterator<Uint8Array>): Promise<void> {
  const next = await chunks.next();
  const chunk = next.done === true ? new Uint8Array() : next.value;
  send(worker, { kind: 'chunk', chunk });
}

function errorOf({ code, message }: FromLayerThread & { kind: 'failed' }): Error {
  const known = OCI_ERROR_CODES.find((each) => each === code);
  return known === undefined ? new Error(message) : new OciError(known, message);
}
