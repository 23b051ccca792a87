// SHA-1 of FIPS 180-4 section 6.1, synchronous, for the one place that still needs it: the template digests of IMA,
// which the kernel logs in SHA-1 whatever the banks of the TPM are.

import { padInto } from '../sha256.ts';

const BLOCK_BYTES = 64;
export const SHA1_BYTES = 20;

/** One digest at a time, with buffers that are used again. */
export class Sha1 {
  readonly #state = new Int32Array(5);
  readonly #schedule = new Int32Array(80);
  readonly #tail = new DataView(new ArrayBuffer(2 * BLOCK_BYTES));

  /** Writes the digest of the bytes of `input` from `start` to before `end` to `output` at `at`. They may overlap. */
  digest(input: DataView, start: number, end: number, output: DataView, at: number): void {
    const state = this.#state;
    state[0] = 0x67452301;
    state[1] = 0xefcdab89;
    state[2] = 0x98badcfe;
    state[3] = 0x10325476;
    state[4] = 0xc3d2e1f0;
    let position = start;
    for (; end - position >= BLOCK_BYTES; position += BLOCK_BYTES) this.#compress(input, position);
    const blocks = padInto(this.#tail, input, position, end, end - start);
    for (let block = 0; block < blocks; block += 1) this.#compress(this.#tail, block * BLOCK_BYTES);
    for (let word = 0; word < 5; word += 1) output.setInt32(at + word * 4, state[word] ?? 0);
  }

  /** Section 6.1.2. */
  #compress(input: DataView, at: number): void {
    const w = this.#schedule;
    for (let t = 0; t < 16; t += 1) w[t] = input.getInt32(at + t * 4);
    for (let t = 16; t < 80; t += 1) {
      const mixed = (w[t - 3] ?? 0) ^ (w[t - 8] ?? 0) ^ (w[t - 14] ?? 0) ^ (w[t - 16] ?? 0);
      w[t] = (mixed << 1) | (mixed >>> 31);
    }
    const state = this.#state;
    let a = state[0] ?? 0;
    let b = state[1] ?? 0;
    let c = state[2] ?? 0;
    let d = state[3] ?? 0;
    let e = state[4] ?? 0;
    for (let t = 0; t < 80; t += 1) {
      let f = b ^ c ^ d;
      let k = t < 40 ? 0x6ed9eba1 : 0xca62c1d6;
      if (t < 20) {
        f = (b & c) ^ (~b & d);
        k = 0x5a827999;
      } else if (t >= 40 && t < 60) {
        f = (b & c) ^ (b & d) ^ (c & d);
        k = 0x8f1bbcdc;
      }
      const next = (((a << 5) | (a >>> 27)) + f + e + k + (w[t] ?? 0)) | 0;
      e = d;
      d = c;
      c = (b << 30) | (b >>> 2);
      b = a;
      a = next;
    }
    state[0] = (state[0] ?? 0) + a;
    state[1] = (state[1] ?? 0) + b;
    state[2] = (state[2] ?? 0) + c;
    state[3] = (state[3] ?? 0) + d;
    state[4] = (state[4] ?? 0) + e;
  }
}
