// Bytes on their way to the thread of digests, in memory that both threads see: a ring of slots that the one fills and the other
// empties, each waiting where it must. Nobody else has that memory.

/** Read from files and unpacked in pieces of as much. */
const SLOT_BYTES: number = 512 * 1024;
/** What the one may be ahead of the other; four layers are read at once. */
const SLOTS = 8;
/** What is hashed of a slot takes milliseconds: a thread that has not done so is gone. */
const GONE_MS = 120_000;

/** Counters, both only ever growing (and wrapping, as both do). */
const [WRITTEN, READ, COUNTERS] = [0, 1, 2];
/** Beside each slot. */
const [STREAM, ALGORITHM, LENGTH, FIELDS_OF_A_SLOT] = [0, 1, 2, 3];
const ALGORITHMS: readonly string[] = ['sha256', 'sha512', 'sha384'];

/** What the thread is started with. */
export interface DigestRing {
  readonly state: SharedArrayBuffer;
  readonly slots: SharedArrayBuffer;
}

/** A piece of a stream; one without bytes ends it. */
export interface Slot {
  readonly stream: number;
  readonly algorithm: string;
  readonly bytes: Uint8Array;
}

export function makeRing(): DigestRing {
  return {
    state: new SharedArrayBuffer(4 * (COUNTERS + SLOTS * FIELDS_OF_A_SLOT)),
    slots: new SharedArrayBuffer(SLOTS * SLOT_BYTES),
  };
}

/** Copies; waits while the ring is full. Throws Error where the other thread is gone. */
export function openRingWriter(ring: DigestRing): (slot: Slot) => void {
  const state = new Int32Array(ring.state);
  const slots = new Uint8Array(ring.slots);
  const put = ({ stream, algorithm, bytes }: Slot): void => {
    const written = Atomics.load(state, WRITTEN);
    for (let read = Atomics.load(state, READ); ((written - read) | 0) >= SLOTS; read = Atomics.load(state, READ)) {
      if (Atomics.wait(state, READ, read, GONE_MS) === 'timed-out') throw new Error('the thread of digests is gone');
    }
    const slot = (written >>> 0) % SLOTS;
    slots.set(bytes, slot * SLOT_BYTES);
    const fields = COUNTERS + slot * FIELDS_OF_A_SLOT;
    state[fields + STREAM] = stream;
    state[fields + ALGORITHM] = ALGORITHMS.indexOf(algorithm);
    state[fields + LENGTH] = bytes.length;
    Atomics.store(state, WRITTEN, (written + 1) | 0);
    Atomics.notify(state, WRITTEN);
  };
  return (whole) => {
    const { bytes } = whole;
    if (bytes.length <= SLOT_BYTES) put(whole);
    else
      for (let at = 0; at < bytes.length; at += SLOT_BYTES)
        put({ ...whole, bytes: bytes.subarray(at, at + SLOT_BYTES) });
  };
}

/** Waits for each slot, for ever: the thread ends when it is ended. The bytes are good until the next. */
export function* readRing(ring: DigestRing): Generator<Slot, never> {
  const state = new Int32Array(ring.state);
  const slots = new Uint8Array(ring.slots);
  for (;;) {
    const read = Atomics.load(state, READ);
    Atomics.wait(state, WRITTEN, read);
    const slot = (read >>> 0) % SLOTS;
    const fields = COUNTERS + slot * FIELDS_OF_A_SLOT;
    yield {
      stream: state[fields + STREAM] ?? 0,
      algorithm: ALGORITHMS[state[fields + ALGORITHM] ?? 0] ?? '',
      bytes: slots.subarray(slot * SLOT_BYTES, slot * SLOT_BYTES + (state[fields + LENGTH] ?? 0)),
    };
    Atomics.store(state, READ, (read + 1) | 0);
    Atomics.notify(state, READ);
  }
}
