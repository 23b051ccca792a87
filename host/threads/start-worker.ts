// Starts a worker thread of this house, as source with what source is started with, in a bundle with nothing.
import { basename } from 'node:path';
import { Worker, type WorkerOptions } from 'node:worker_threads';
import { withEnd } from './end-thread.ts';

const IS_SOURCE = import.meta.url.endsWith('.ts');
/** The parts of a program that is split lie in a folder beside it (tools/build.ts); workers lie beside the program. */
const IS_PART = /\.parts\/[^/]*$/.test(import.meta.url);

/** Until a thread begins its work: as source, each strips every module of its types first. */
export const THREAD_START_MS: number = IS_SOURCE ? 300 : 40;

/** `module` as `disk/convert-worker`: the room and the file, which is a bundle of its own in tools/build.ts. `endThread` ends it. */
export function startWorker(module: string, options: Pick<WorkerOptions, 'workerData' | 'resourceLimits'>): Worker {
  const path = IS_SOURCE ? `../${module}.ts` : `${IS_PART ? '..' : '.'}/${basename(module)}.mjs`;
  // Bundled services have settings of V8 that are the whole process's: a thread that is given them does not start.
  const execArgv = IS_SOURCE ? process.execArgv : [];
  return withEnd(() => new Worker(new URL(path, import.meta.url), { ...options, execArgv }));
}
