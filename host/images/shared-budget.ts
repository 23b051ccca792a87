// The budget of an image, in memory that all threads which read its layers see.
import { checkBudget, type InspectionBudget } from '@ringwall/oci';

const [FILES, CHARACTERS, LARGE, NUMBERS] = [0, 1, 2, 3];
const [FREE, TAKEN] = [0, 1];

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
    enterLarge: () => {
      held += 1;
      if (held > 1) return;
      while (Atomics.compareExchange(state, LARGE, FREE, TAKEN) !== FREE) Atomics.wait(state, LARGE, TAKEN);
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
