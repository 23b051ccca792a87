// Runs a job in lanes: one here, which has begun before a thread has started, and the others in threads.
import { setImmediate } from 'node:timers/promises';
import { availableParallelism } from 'node:os';
import { startWorker } from '../threads/index.ts';
import { errorOf, failureOf, type Failure } from './failure.ts';
import type { LaneJob } from './jobs.ts';
import { laneOf } from './lanes.ts';
import { Relay, Stopped } from './relay.ts';

/** Above this, lanes wait for memory. */
const MAX_LANES = 8;
/** A thread takes some 40 ms to start; a lane does so much in that time. */
const MIN_BYTES_PER_LANE: number = 32 * 2 ** 20;
/** What is here also draws progress and hears that it is to stop. */
const TURN_MS = 50;

export interface LaneOptions {
  /** Lanes, this thread's among them; where nothing is said, as many as there are cores and there is work for. */
  readonly threads?: number;
  /** So many bytes of the contents are done. */
  readonly onDone?: (bytes: number) => void;
  readonly signal?: AbortSignal;
}

/** Ends when all lanes have, one way or another: whoever closes descriptors then takes them from nobody. */
export async function runLanes(job: LaneJob, bytes: number, options: LaneOptions): Promise<void> {
  const { threads = Math.min(availableParallelism(), Math.ceil(bytes / MIN_BYTES_PER_LANE)), signal } = options;
  signal?.throwIfAborted();
  const relay = new Relay(job.relay);
  const count = Math.max(1, Math.min(threads, MAX_LANES));
  const stop = (): void => relay.fail();
  signal?.addEventListener('abort', stop);
  try {
    const others = Array.from({ length: count - 1 }, () => inThread(job, relay));
    const own = await here(job, relay, options);
    const failures = [own, ...(await Promise.all(others))].filter((failure) => failure !== undefined);
    signal?.throwIfAborted();
    const [first] = failures.toSorted((a, b) => (a.offset ?? Infinity) - (b.offset ?? Infinity));
    if (first !== undefined) throw errorOf(first);
  } finally {
    signal?.removeEventListener('abort', stop);
  }
}

async function here(job: LaneJob, relay: Relay, { onDone }: LaneOptions): Promise<Failure | undefined> {
  const { chunkBytes } = job.keys.manifest;
  let since = performance.now();
  try {
    const lane = laneOf(job);
    while (lane.step()) {
      if (performance.now() - since < TURN_MS) continue;
      onDone?.(relay.done * chunkBytes);
      await setImmediate();
      since = performance.now();
    }
    return undefined;
  } catch (error) {
    relay.fail();
    return error instanceof Stopped ? undefined : failureOf(error);
  }
}

function inThread(job: LaneJob, relay: Relay): Promise<Failure | undefined> {
  const worker = startWorker('seal/seal-lane-worker', { workerData: job });
  return new Promise((resolve) => {
    let failure: Failure | undefined;
    worker.on('message', (told: Failure) => (failure = told));
    worker.on('error', (error) => {
      relay.fail();
      failure = failureOf(error);
    });
    worker.on('exit', (code) => {
      if (code !== 0 && failure === undefined)
        failure = failureOf(new Error(`a thread has ended with ${String(code)}`));
      resolve(failure);
    });
  });
}
