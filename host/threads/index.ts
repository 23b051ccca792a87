// The public names of @ringwall/host/threads: worker threads of this house, and work for them.
export { startWorker } from './start-worker.ts';
