// One compression of BLAKE3, in plain JavaScript: for what is left when four at a time are done.
import { IV, MIXES, SCHEDULE } from './constants.ts';

const state = new Uint32Array(16);

export interface Block {
  /** 16 words. */
  readonly words: Uint32Array;
  readonly bytes: number;
  /** Of the chunk. */
  readonly counter: number;
  readonly flags: number;
}

/** `chain`, 8 words, becomes the next chaining value. */
export function compress(chain: Uint32Array, { words, bytes, counter, flags }: Block): void {
  state.set(chain);
  for (let index = 0; index < 4; index += 1) state[8 + index] = IV[index] ?? 0;
  state[12] = counter;
  state[13] = Math.floor(counter / 2 ** 32);
  state[14] = bytes;
  state[15] = flags;
  for (const order of SCHEDULE) {
    for (let index = 0; index < MIXES.length; index += 1) {
      const [a, b, c, d] = MIXES[index] ?? [0, 0, 0, 0];
      mix(a, b, c, d, words[order[index * 2] ?? 0] ?? 0, words[order[index * 2 + 1] ?? 0] ?? 0);
    }
  }
  for (let index = 0; index < 8; index += 1) chain[index] = (state[index] ?? 0) ^ (state[index + 8] ?? 0);
}

function mix(a: number, b: number, c: number, d: number, first: number, second: number): void {
  let [va, vb, vc, vd] = [state[a] ?? 0, state[b] ?? 0, state[c] ?? 0, state[d] ?? 0];
  va = (va + vb + first) | 0;
  vd = rotated(vd ^ va, 16);
  vc = (vc + vd) | 0;
  vb = rotated(vb ^ vc, 12);
  va = (va + vb + second) | 0;
  vd = rotated(vd ^ va, 8);
  vc = (vc + vd) | 0;
  vb = rotated(vb ^ vc, 7);
  state[a] = va;
  state[b] = vb;
  state[c] = vc;
  state[d] = vd;
}

function rotated(word: number, by: number): number {
  return (word >>> by) | (word << (32 - by));
}
