// Starts a worker thread of this room: as source with the conditions that source is found by, in a bundle with nothing.
import { Worker } from 'node:worker_threads';

/** `name`: of its module beside this one. */
export function startWorker(name: string, workerData: unknown): Worker {
  const module = import.meta.url.endsWith('.ts') ? `./${name}.ts` : `./${name}.mjs`;
  // The services' settings of V8 are the whole process's: a thread that is given them does not start.
  const execArgv = process.execArgv.filter((argument) => argument.startsWith('--conditions'));
  return new Worker(new URL(module, import.meta.url), { workerData, execArgv });
}
