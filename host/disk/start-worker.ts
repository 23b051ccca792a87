// Starts a worker thread of this room, as source with what source is started with, in a bundle with nothing.
import { Worker } from 'node:worker_threads';

const IS_SOURCE = import.meta.url.endsWith('.ts');

/** `name`: of its module beside this one. */
export function startWorker(name: string, workerData: unknown): Worker {
  const module = new URL(`./${name}.${IS_SOURCE ? 'ts' : 'mjs'}`, import.meta.url);
  // Bundled services have settings of V8 that are the whole process's: a thread that is given them does not start.
  return new Worker(module, { workerData, execArgv: IS_SOURCE ? process.execArgv : [] });
}
