// Runs a job in lanes: one here, and others in threads once it is seen that they are worth it. How much work there is only shows
// when it has begun: what was never touched of a machine's memory is read, and no more.
import { setImmediate } from 'node:timers/promises';
import { availableParallelism } from 'node:os';
import { failureOf, startWorker, THREAD_START_MS, type Crew, type Failure } from '../threads/index.ts';
import { errorOf } from './failure.ts';
import type { LaneJob } from './jobs.ts';
import { laneOf } from './lanes.ts';
import { Relay, Stopped } from './relay.ts';

/** Above this, lanes wait for memory. */
const MAX_LANES = 8;
/** A thread takes a whole core while it starts: what is done here in so little more is done without. */
const WORTH_THREADS_MS: number = 2 * THREAD_START_MS;
/** What is here also draws progress, hears that it is to stop, and looks whether others are to help. */
const TURN_MS = 50;
/** Of large work, all but so much is done by all. */
const FIRST_TURN_MS = 20;

export interface LaneOptions {
  /** Lanes from the beginning on, this thread's among them; where nothing is said, as many as there are cores, once there is work for. */
  readonly threads?: number;
  /** Does all of it, where it is given: this thread has other things to do. */
  readonly crew?: Crew | undefined;
  /** So many bytes of the contents are done. */
  readonly onDone?: (bytes: number) => void;
  readonly signal?: AbortSignal;
}

/** Of a turn, and of what there is to do after it. */
export interface Pace {
  readonly doneBytes: number;
  readonly elapsedMs: number;
  readonly leftBytes: number;
}

/** Ends when all lanes have, one way or another: whoever closes descriptors then takes them from nobody. */
export async function runLanes(job: LaneJob, options: LaneOptions): Promise<void> {
  const { threads = 1, signal } = options;
  const most = Math.min(options.threads ?? availableParallelism(), MAX_LANES);
  signal?.throwIfAborted();
  const relay = new Relay(job.relay);
  const others: Promise<Failure | undefined>[] = [];
  const widenTo = (count: number): void => {
    while (others.length + 1 < count) others.push(inThread(job, relay));
  };
  const stop = (): void => relay.fail();
  const byAll = async (): Promise<readonly (Failure | undefined)[]> => {
    if (options.crew !== undefined) return byCrew(options.crew, job, relay, options);
    widenTo(Math.min(threads, most));
    const own = await here(job, relay, options, (pace) => {
      if (isWorthThreads(pace)) widenTo(most);
    });
    return [own, ...(await Promise.all(others))];
  };
  signal?.addEventListener('abort', stop);
  try {
    const failures = (await byAll()).filter((failure) => failure !== undefined);
    signal?.throwIfAborted();
    const [first] = failures.toSorted((a, b) => (a.offset ?? Infinity) - (b.offset ?? Infinity));
    if (first !== undefined) throw errorOf(first);
  } finally {
    signal?.removeEventListener('abort', stop);
  }
}

/** Whether what is left would take long enough, were it all like what was done in this turn. */
export function isWorthThreads({ doneBytes, elapsedMs, leftBytes }: Pace): boolean {
  return leftBytes * elapsedMs > WORTH_THREADS_MS * doneBytes;
}

async function byCrew(crew: Crew, job: LaneJob, relay: Relay, { onDone }: LaneOptions): Promise<readonly Failure[]> {
  const { chunkBytes } = job.keys.manifest;
  const telling = setInterval(() => onDone?.(relay.done * chunkBytes), TURN_MS);
  try {
    return await crew.run(job, () => relay.fail());
  } finally {
    clearInterval(telling);
  }
}

async function here(
  job: LaneJob,
  relay: Relay,
  { onDone }: LaneOptions,
  onTurn: (pace: Pace) => void,
): Promise<Failure | undefined> {
  const { chunkBytes } = job.keys.manifest;
  try {
    const lane = laneOf(job);
    let [since, from, turnMs] = [performance.now(), reached(job, relay), FIRST_TURN_MS];
    while (lane.step()) {
      const elapsedMs = performance.now() - since;
      if (elapsedMs < turnMs) continue;
      const to = reached(job, relay);
      onTurn({ doneBytes: to - from, elapsedMs, leftBytes: bytesOf(job) - to });
      onDone?.(relay.done * chunkBytes);
      await setImmediate();
      [since, from, turnMs] = [performance.now(), to, TURN_MS];
    }
    return undefined;
  } catch (error) {
    relay.fail();
    return error instanceof Stopped ? undefined : failureOf(error);
  }
}

/** How far all lanes are in what is read. */
function reached(job: LaneJob, relay: Relay): number {
  return job.kind === 'seal' ? relay.done * job.keys.manifest.chunkBytes : relay.get('at');
}

function bytesOf(job: LaneJob): number {
  return job.kind === 'seal' ? job.bytes : job.objectBytes;
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
