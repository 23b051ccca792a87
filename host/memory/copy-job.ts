// What the threads of a copy share, and what they are told to do.
import type { PageDigests } from './page-digests.ts';
import type { SharedMemory } from './shared-memory.ts';

/** Read and compared at a time: within a core's own cache, and long enough that a system call is little of it. */
export const COMPARED_BYTES: number = 128 * 1024;
/** Taken by a thread at a time, and held as a whole where something of it is: a huge page of the processors that matter. */
export const REGION_BYTES: number = 2 * 2 ** 20;

export interface CopyJob {
  readonly descriptor: number;
  readonly bytes: number;
  readonly memory: SharedMemory;
  /** Words that threads change with atomic operations. */
  readonly control: SharedArrayBuffer;
  /** Of each region, whether memory of the copy is used for it. */
  readonly used: SharedArrayBuffer;
  /** Of each piece, what the copy knows of it: one of `PIECE`. */
  readonly holds: SharedArrayBuffer;
  /** Of an earlier copy of this memory: what is as it was then is not copied again. */
  readonly before: PageDigests | undefined;
}

/** That it is zero; what is in it; that it is as it was before. */
export const PIECE = { zero: 0, copied: 1, asBefore: 2 } as const;

/** In `control`: the region that is to be looked at next in this round, how many are used, and whether that became too many. */
export const [NEXT, USED, FULL] = [0, 1, 2] as const;
export const CONTROL_BYTES: number = 3 * Int32Array.BYTES_PER_ELEMENT;

/** A round: copies what is there now, or digests what was copied. */
export type CopyOrder =
  | (CopyJob & { readonly kind: 'copy'; readonly maxRegions: number })
  | (CopyJob & {
      readonly kind: 'digest';
      readonly digests: PageDigests;
      readonly kept: SharedArrayBuffer;
    });
