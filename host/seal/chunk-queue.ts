// Where chunks wait for their place in a sealed object: they go one behind the other, and it is known of each only when it was read, or
// packed, how much it takes. Lanes post that in any order; whoever has the lock places all whose turn has come.
import type { Relay } from './relay.ts';

/** Chunks that one lane can be ahead of another. */
const SLOTS = 512;
/** A lane that waits looks so often whether another has failed. */
const WAIT_MS = 20;

const [FREE, POSTED, PLACED] = [0, 1, 2] as const;
const STATES_BYTES: number = SLOTS * 4;
const SIZES_AT: number = STATES_BYTES;
const PLACES_AT: number = SIZES_AT + SLOTS * 4;
const NEXT_AT: number = PLACES_AT + SLOTS * 2 * 8;

/** Of a chunk that is not stored, why; of another, how many bytes its record takes. */
export type Posted = 'zeros' | 'kept' | number;

export interface RecordPlace {
  readonly number: number;
  /** In the object, in bytes. */
  readonly at: number;
}

export class ChunkQueue {
  readonly #relay: Pick<Relay, 'goOn'>;
  /** A slot is free, then its chunk is posted, and of one that is stored, placed until its lane has seen where. */
  readonly #states: Int32Array;
  readonly #sizes: Int32Array;
  readonly #places: Float64Array;
  /** The chunk to be placed next: changed by whoever has the lock. */
  readonly #next: Int32Array;

  constructor(memory: SharedArrayBuffer, relay: Pick<Relay, 'goOn'>) {
    this.#relay = relay;
    this.#states = new Int32Array(memory, 0, SLOTS);
    this.#sizes = new Int32Array(memory, SIZES_AT, SLOTS);
    this.#places = new Float64Array(memory, PLACES_AT, SLOTS * 2);
    this.#next = new Int32Array(memory, NEXT_AT, 1);
  }

  static makeMemory(): SharedArrayBuffer {
    return new SharedArrayBuffer(NEXT_AT + 4);
  }

  /** Each chunk once; waits while others are as far behind as there are slots. */
  post(chunk: number, posted: Posted): void {
    const slot = chunk % SLOTS;
    // A slot that is free may still be another's: two lanes can wait for it, and the one with the earlier chunk goes first.
    for (let state; (state = Atomics.load(this.#states, slot)) !== FREE || this.placed <= chunk - SLOTS;) {
      this.#relay.goOn();
      Atomics.wait(this.#states, slot, state, WAIT_MS);
    }
    this.#sizes[slot] = posted === 'zeros' ? 0 : posted === 'kept' ? -1 : posted;
    Atomics.store(this.#states, slot, POSTED);
  }

  /** With the lock: the chunk whose turn it is, where it has been posted. */
  next(): { readonly chunk: number; readonly posted: Posted } | undefined {
    const chunk = this.placed;
    const slot = chunk % SLOTS;
    if (Atomics.load(this.#states, slot) !== POSTED) return undefined;
    const size = this.#sizes[slot] ?? 0;
    return { chunk, posted: size > 0 ? size : size === 0 ? 'zeros' : 'kept' };
  }

  /** With the lock: the next is dealt with; it has a place where it is stored. */
  advance(place?: RecordPlace): void {
    const slot = this.placed % SLOTS;
    if (place !== undefined) this.#places.set([place.number, place.at], slot * 2);
    Atomics.add(this.#next, 0, 1);
    Atomics.store(this.#states, slot, place === undefined ? FREE : PLACED);
    Atomics.notify(this.#states, slot);
  }

  /** Once, by the lane that posted it; undefined where it has none yet. */
  takePlace(chunk: number): RecordPlace | undefined {
    const slot = chunk % SLOTS;
    if (Atomics.load(this.#states, slot) !== PLACED) return undefined;
    const [number = 0, at = 0] = this.#places.subarray(slot * 2, slot * 2 + 2);
    Atomics.store(this.#states, slot, FREE);
    Atomics.notify(this.#states, slot);
    return { number, at };
  }

  /** For as long as it has no place; or a little while. */
  waitForPlace(chunk: number): void {
    this.#relay.goOn();
    Atomics.wait(this.#states, chunk % SLOTS, POSTED, WAIT_MS);
  }

  /** So many chunks, from the first on, are dealt with. */
  get placed(): number {
    return Atomics.load(this.#next, 0);
  }
}
