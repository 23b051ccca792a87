// What the lanes of one work share, in one piece of memory: a lock, and what only whoever has it may change.
// Records are placed one after the other and made at the same time; their digests go into the tree in order, whichever is
// ready first.
import { DIGEST_BYTES, MerkleTree, TREE_BYTES } from '@ringwall/seal/engine';

/** Records that are made and not yet in the tree: more than the lanes have under way, so that a slow one holds up none. */
const RING = 512;
/** Records that belong to one chunk, at most: what says of chunks before it where they are, itself, and the same behind the last. */
const FEW = 3;
/** A lane that waits looks so often whether another has failed. */
const WAIT_MS = 20;
/** Before it sleeps, a lane tries so often: who has the lock is done in less time than waking takes. */
const TRIES = 500;

/** Words that lanes change with atomic operations. */
const [LOCK, FAILED, DONE, SHORT_CHUNK, SHORT_BYTES, CLAIMED, WRITING] = [0, 1, 2, 3, 4, 5, 6] as const;
const CONTROL_BYTES = 64;
/** Numbers that belong to whoever has the lock. */
const PLACES = ['at', 'chunk', 'records', 'folded', 'emptyKind', 'emptyChunks', 'endAt'] as const;
const READY_AT: number = CONTROL_BYTES + PLACES.length * 8;
const LEAVES_AT: number = READY_AT + RING * 4;
const TREE_AT: number = LEAVES_AT + RING * DIGEST_BYTES;

/** Another lane has failed, and says why. */
export class Stopped extends Error {
  override readonly name = 'Stopped';
}

export class Relay {
  readonly #control: Int32Array;
  readonly #places: Float64Array;
  /** Of each slot, the record whose leaf is in it, counted from 1. */
  readonly #ready: Int32Array;
  readonly #leaves: Uint8Array;
  readonly #tree: MerkleTree;

  constructor(memory: SharedArrayBuffer) {
    this.#control = new Int32Array(memory, 0, CONTROL_BYTES / 4);
    this.#places = new Float64Array(memory, CONTROL_BYTES, PLACES.length);
    this.#ready = new Int32Array(memory, READY_AT, RING);
    this.#leaves = new Uint8Array(memory, LEAVES_AT, RING * DIGEST_BYTES);
    this.#tree = new MerkleTree(memory, TREE_AT);
  }

  /** `at`: where in the object the first record lies. */
  static begin(at: number, headLeaf: Uint8Array): SharedArrayBuffer {
    const memory = new SharedArrayBuffer(TREE_AT + TREE_BYTES);
    const relay = new Relay(memory);
    relay.set('at', at);
    relay.#tree.add(headLeaf);
    return memory;
  }

  /** The next number that no lane has, from 0 on. */
  claim(): number {
    this.goOn();
    return Atomics.add(this.#control, CLAIMED, 1);
  }

  /** Work that nobody else does meanwhile. */
  exclusively<Result>(work: () => Result): Result {
    for (let tries = 0; Atomics.compareExchange(this.#control, LOCK, 0, 1) !== 0; tries += 1) {
      this.goOn();
      if (tries > TRIES) Atomics.wait(this.#control, LOCK, 1, WAIT_MS);
    }
    try {
      this.goOn();
      return work();
    } finally {
      Atomics.store(this.#control, LOCK, 0);
      Atomics.notify(this.#control, LOCK, 1);
    }
  }

  /** Alone with the file, now; false where it is not free, and nothing was done. */
  writingNow(write: () => void): boolean {
    if (Atomics.compareExchange(this.#control, WRITING, 0, 1) !== 0) return false;
    try {
      write();
      return true;
    } finally {
      Atomics.store(this.#control, WRITING, 0);
      Atomics.notify(this.#control, WRITING, 1);
    }
  }

  /** Alone with the file, when it is free. */
  writing(write: () => void): void {
    this.goOn();
    while (!this.writingNow(write)) {
      Atomics.wait(this.#control, WRITING, 1, WAIT_MS);
      this.goOn();
    }
  }

  get(place: (typeof PLACES)[number]): number {
    return this.#places[PLACES.indexOf(place)] ?? 0;
  }

  set(place: (typeof PLACES)[number], value: number): void {
    this.#places[PLACES.indexOf(place)] = value;
  }

  /** Whether some records can be placed without waiting for one that is being made. */
  get hasRoom(): boolean {
    return this.get('records') - this.#fold() < RING - FEW;
  }

  /** With the lock: the next record, whose number whoever makes it gives to `publish`. */
  place(bytes: number): { readonly number: number; readonly at: number } {
    const number = this.get('records');
    while (number - this.#fold() >= RING) {
      this.goOn();
      const slot = this.get('folded') % RING;
      Atomics.wait(this.#ready, slot, Atomics.load(this.#ready, slot), WAIT_MS);
    }
    const at = this.get('at');
    this.set('records', number + 1);
    this.set('at', at + bytes);
    return { number, at };
  }

  publish(number: number, leaf: Uint8Array): void {
    const slot = number % RING;
    this.#leaves.set(leaf, slot * DIGEST_BYTES);
    Atomics.store(this.#ready, slot, stampOf(number));
    Atomics.notify(this.#ready, slot);
  }

  /** Of the tree, when all lanes are done. */
  root(): Uint8Array {
    if (this.#fold() !== this.get('records')) throw new Error('a record was placed and not made');
    return this.#tree.root();
  }

  /** Chunks that are done: for progress. */
  get done(): number {
    return Atomics.load(this.#control, DONE);
  }

  addDone(chunks: number): void {
    Atomics.add(this.#control, DONE, chunks);
  }

  /** A chunk that is shorter than others, of which there is one at most. False where there is another already. */
  claimShort(chunk: number, bytes: number): boolean {
    if (Atomics.compareExchange(this.#control, SHORT_CHUNK, 0, chunk + 1) !== 0) return false;
    Atomics.store(this.#control, SHORT_BYTES, bytes);
    return true;
  }

  get short(): { readonly chunk: number; readonly bytes: number } | undefined {
    // Numbers of chunks have 32 bits, and words a sign.
    const chunk = (Atomics.load(this.#control, SHORT_CHUNK) >>> 0) - 1;
    return chunk < 0 ? undefined : { chunk, bytes: Atomics.load(this.#control, SHORT_BYTES) };
  }

  get hasFailed(): boolean {
    return Atomics.load(this.#control, FAILED) !== 0;
  }

  fail(): void {
    Atomics.store(this.#control, FAILED, 1);
    Atomics.notify(this.#control, LOCK);
  }

  /** Throws Stopped where a lane has failed. */
  goOn(): void {
    if (this.hasFailed) throw new Stopped();
  }

  /** Puts into the tree what is ready, in order; gives how many are in it. */
  #fold(): number {
    const records = this.get('records');
    let folded = this.get('folded');
    for (; folded < records; folded += 1) {
      const slot = folded % RING;
      if (Atomics.load(this.#ready, slot) !== stampOf(folded)) break;
      this.#tree.add(this.#leaves.subarray(slot * DIGEST_BYTES, (slot + 1) * DIGEST_BYTES));
    }
    this.set('folded', folded);
    return folded;
  }
}

function stampOf(record: number): number {
  return (record % 2 ** 30) + 1;
}
