// A copy of memory that somebody else writes meanwhile: made once at leisure, and brought up to date in the moment in which nobody
// writes. How long that takes does not depend on how much was written: threads, and room for what they copy, are there before that
// moment, and all that was ever copied is read again, as fast as memory does.
import { RingwallError } from '@ringwall/api';
import { PAGE_BYTES } from '@ringwall/seal';
import type { Crew } from '../threads/index.ts';
import {
  COMPARED_BYTES,
  CONTROL_BYTES,
  FULL,
  NEXT,
  PIECE,
  REGION_BYTES,
  type CopyJob,
  type CopyOrder,
} from './copy-job.ts';
import { makePageDigests, type PageDigests } from './page-digests.ts';
import { makeSharedMemory, type SharedMemory } from './shared-memory.ts';

const PAGES_PER_PIECE: number = COMPARED_BYTES / PAGE_BYTES;

export interface MemoryCopyOptions {
  /** Borrowed for as long as there is work upon the copy. */
  readonly crew: Crew;
  /** Of a file, which is as long as the memory. */
  readonly descriptor: number;
  readonly bytes: number;
  /** Of the copy, which has what is not zero, in regions of 2 MiB: more is refused with `host-full`. */
  readonly maxBytes: number;
  /** Of an earlier copy of this memory: of what is as it was then, this one has nothing, and its pages are `kept`. */
  readonly before?: PageDigests | undefined;
}

export interface DigestedCopy {
  /** For the next copy. */
  readonly digests: PageDigests;
  /** A bit for each page, the lowest first: whether it is as it was before; where there was none before, whether it is zero. */
  readonly kept: Uint8Array;
}

export class MemoryCopy {
  readonly memory: SharedMemory;
  readonly #job: CopyJob;
  readonly #crew: Crew;
  readonly #maxRegions: number;

  private constructor({ crew, descriptor, bytes, maxBytes, before }: MemoryCopyOptions) {
    this.memory = makeSharedMemory(bytes);
    this.#crew = crew;
    this.#maxRegions = Math.min(Math.floor(maxBytes / REGION_BYTES), Math.ceil(bytes / REGION_BYTES));
    this.#job = {
      descriptor,
      bytes,
      memory: this.memory,
      control: new SharedArrayBuffer(CONTROL_BYTES),
      used: new SharedArrayBuffer(Math.ceil(bytes / REGION_BYTES)),
      holds: new SharedArrayBuffer(Math.ceil(bytes / COMPARED_BYTES)),
      before,
    };
  }

  /** Made once all of it was copied. */
  static async make(options: MemoryCopyOptions): Promise<MemoryCopy> {
    const copy = new MemoryCopy(options);
    await copy.refresh();
    return copy;
  }

  /** Copies what is there now. */
  async refresh(): Promise<void> {
    await this.#run({ ...this.#job, kind: 'copy', maxRegions: this.#maxRegions });
  }

  /** Looks at what was copied, at leisure. */
  async digest(): Promise<DigestedCopy> {
    const digests = makePageDigests(this.#job.bytes);
    const kept = new SharedArrayBuffer(Math.ceil(this.#job.bytes / PAGE_BYTES / 8));
    await this.#run({ ...this.#job, kind: 'digest', digests, kept });
    return { digests, kept: new Uint8Array(kept) };
  }

  /** A bit for each page, the lowest first: those that are zero and were not copied. */
  get zeros(): Uint8Array {
    const zeros = new Uint8Array(Math.ceil(this.#job.bytes / PAGE_BYTES / 8));
    for (const [piece, held] of new Uint8Array(this.#job.holds).entries()) {
      if (held === PIECE.zero) zeros.fill(0xff, (piece * PAGES_PER_PIECE) / 8, ((piece + 1) * PAGES_PER_PIECE) / 8);
    }
    return zeros;
  }

  async #run(order: CopyOrder): Promise<void> {
    const control = new Int32Array(order.control);
    Atomics.store(control, NEXT, 0);
    const [failure] = await this.#crew.run(order);
    if (failure !== undefined) {
      throw new RingwallError('internal', `memory could not be copied: ${failure.message}`);
    }
    if (Atomics.load(control, FULL) === 0) return;
    throw new RingwallError('host-full', 'there is no room for a copy of this memory');
  }
}
