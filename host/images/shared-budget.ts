// The budget of an image, in memory that all threads which read its layers see.
import { threadId } from 'node:worker_threads';
import { checkBudget, checkUnpacked, type InspectionBudget } from '@ringwall/oci';

const [FILES, CHARACTERS, LARGE, UNPACKED_KIB, NUMBERS] = [0, 1, 2, 3, 4];
const KIB = 1024;
/** Nobody holds what is large; else it is the number of the thread that does, and one more, for the first has none. */
const FREE = 0;

export interface SharedBudget extends InspectionBudget {
  /** Whatever large is held: of a layer that broke off. */
  readonly leaveAll: () => void;
}

export function makeBudget(): SharedArrayBuffer {
  return new SharedArrayBuffer(4 * NUMBERS);
}

/** One of each thread; to enter may block it. `collect` is called before others may have what this one had. */
export function openSharedBudget(memory: SharedArrayBuffer, collect: () => void = () => undefined): SharedBudget {
  const state = new Int32Array(memory);
  let held = 0;
  const leave = (): void => {
    if (held > 0) return;
    collect();
    Atomics.store(state, LARGE, FREE);
    Atomics.notify(state, LARGE, 1);
  };
  return {
    keep: (files, characters) =>
      checkBudget(Atomics.add(state, FILES, files) + files, Atomics.add(state, CHARACTERS, characters) + characters),
    unpack: (bytes) => {
      const kib = Math.ceil(bytes / KIB);
      checkUnpacked((Atomics.add(state, UNPACKED_KIB, kib) + kib) * KIB);
    },
    enterLarge: () => {
      held += 1;
      if (held > 1) return;
      for (;;) {
        const holder = Atomics.compareExchange(state, LARGE, FREE, threadId + 1);
        if (holder === FREE) return;
        Atomics.wait(state, LARGE, holder);
      }
    },
    leaveLarge: () => {
      held -= 1;
      leave();
    },
    leaveAll: () => {
      if (held === 0) return;
      held = 0;
      leave();
    },
  };
}

/** For a thread that ended without a chance to: others wait for it. */
export function leaveLargeFor(memory: SharedArrayBuffer, thread: number): void {
  const state = new Int32Array(memory);
  if (Atomics.compareExchange(state, LARGE, thread + 1, FREE) === thread + 1) Atomics.notify(state, LARGE, 1);
}
