// The public names of @ringwall/host/threads: worker threads of this house, and work for them.
export { borrowCrew, warmCrew, type Crew } from './crew.ts';
export { endThread, whole } from './end-thread.ts';
export { failureOf, type Failure } from './failure.ts';
export { startWorker, THREAD_START_MS } from './start-worker.ts';
