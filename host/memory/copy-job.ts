// What the threads of a copy share, and what each answers.
import type { SharedMemory } from './shared-memory.ts';

/** Read and compared at a time: within a core's own cache, and long enough that a system call is little of it. */
export const COMPARED_BYTES: number = 128 * 1024;

export interface CopyJob {
  readonly descriptor: number;
  readonly bytes: number;
  readonly memory: SharedMemory;
  /** The next piece to be looked at, in this round. */
  readonly round: SharedArrayBuffer;
  /** Of each piece, whether the copy has something of it: all others are zero, and were never touched. */
  readonly holds: SharedArrayBuffer;
}

export interface CopyRound {
  readonly changedBytes: number;
  /** It would have become more than this thread may hold: it has stopped. */
  readonly isFull: boolean;
}
