// Ends a thread, but not in the midst of what must be done whole. Node ends the whole process where a thread ends between the two steps
// in which zlib opens a stream (node_zlib.cc, CompressionStream::Close(): "close before init").
import { getEnvironmentData, setEnvironmentData, type Worker } from 'node:worker_threads';

/** The name by which a thread finds the number that it shares with whoever ends it. */
const NAME = 'ringwall-thread-end';
const FREE = 0;
/** Something is done whole. */
const BUSY = 1;
/** Nothing more is. */
const ENDED = 2;

/** What is done whole takes less: then a process ends as it may. */
const LONGEST_MS = 1_000;

const ends = new WeakMap<Worker, Int32Array>();
/** Of the threads that have not ended. */
const running = new Set<Int32Array>();

/** What `start` starts can be ended by `endThread`, and by the end of this process. */
export function withEnd(start: () => Worker): Worker {
  const end = new Int32Array(new SharedArrayBuffer(4));
  const own = getEnvironmentData(NAME);
  // A thread gets a copy of what is set when it is made.
  setEnvironmentData(NAME, end);
  try {
    const worker = start();
    ends.set(worker, end);
    if (running.size === 0) process.on('exit', endRunning);
    running.add(end);
    worker.once('exit', () => {
      running.delete(end);
      if (running.size === 0) process.off('exit', endRunning);
    });
    return worker;
  } finally {
    setEnvironmentData(NAME, own);
  }
}

/** Waits for what the thread does whole, which takes a moment, and for nothing else. */
export async function endThread(worker: Worker): Promise<void> {
  const end = ends.get(worker);
  if (end === undefined) throw new Error('this thread was not started by startWorker()');
  Atomics.or(end, 0, ENDED);
  await Atomics.waitAsync(end, 0, BUSY | ENDED).value;
  await worker.terminate();
}

/** A process that ends, ends its threads wherever they are. */
function endRunning(): void {
  for (const end of running) Atomics.or(end, 0, ENDED);
  for (const end of running) Atomics.wait(end, 0, BUSY | ENDED, LONGEST_MS);
}

/** Does `work`, which must be short: the calling thread is not ended meanwhile. */
export function whole<T>(work: () => T): T {
  const end = ownEnd();
  if (end === undefined) return work();
  // Once its end is decided, that is all that this thread waits for.
  while (Atomics.compareExchange(end, 0, FREE, BUSY) !== FREE) Atomics.wait(end, 0, ENDED);
  try {
    return work();
  } finally {
    Atomics.and(end, 0, ~BUSY);
    Atomics.notify(end, 0);
  }
}

/** Undefined in the main thread. */
function ownEnd(): Int32Array | undefined {
  const end = getEnvironmentData(NAME);
  return end instanceof Int32Array ? end : undefined;
}
