// SHA-256 of FIPS 180-4 section 6.2, synchronous. WebCrypto is asynchronous and costs some microseconds a call, and a
// replay of an IMA log takes four digests of a hundred bytes for each of a million entries. Nothing here is secret.

const BLOCK_BYTES = 64;
const LENGTH_BYTES = 8;
export const SHA256_BYTES = 32;

/** Section 4.2.2: the first 32 bits of the fractional parts of the cube roots of the first 64 primes. */
const CONSTANTS = new Int32Array([
  0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98,
  0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786,
  0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8,
  0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13,
  0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819,
  0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a,
  0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,
  0xc67178f2,
]);

/** Section 5.3.3. */
const INITIAL = new Int32Array([
  0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
]);

/** One digest at a time, with buffers that are used again. */
export class Sha256 {
  readonly #state = new Int32Array(8);
  readonly #schedule = new Int32Array(64);
  readonly #tail = new DataView(new ArrayBuffer(2 * BLOCK_BYTES));

  /** Writes the digest of the bytes of `input` from `start` to before `end` to `output` at `at`. They may overlap. */
  digest(input: DataView, start: number, end: number, output: DataView, at: number): void {
    this.#state.set(INITIAL);
    let position = start;
    for (; end - position >= BLOCK_BYTES; position += BLOCK_BYTES) this.#compress(input, position);
    const blocks = padInto(this.#tail, input, position, end, end - start);
    for (let block = 0; block < blocks; block += 1) this.#compress(this.#tail, block * BLOCK_BYTES);
    for (let word = 0; word < 8; word += 1) output.setInt32(at + word * 4, this.#state[word] ?? 0);
  }

  /** Section 6.2.2. */
  #compress(input: DataView, at: number): void {
    const w = this.#schedule;
    for (let t = 0; t < 16; t += 1) w[t] = input.getInt32(at + t * 4);
    for (let t = 16; t < 64; t += 1) {
      const x = w[t - 15] ?? 0;
      const y = w[t - 2] ?? 0;
      const small0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
      const small1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
      w[t] = ((w[t - 16] ?? 0) + small0 + (w[t - 7] ?? 0) + small1) | 0;
    }
    const state = this.#state;
    let a = state[0] ?? 0;
    let b = state[1] ?? 0;
    let c = state[2] ?? 0;
    let d = state[3] ?? 0;
    let e = state[4] ?? 0;
    let f = state[5] ?? 0;
    let g = state[6] ?? 0;
    let h = state[7] ?? 0;
    for (let t = 0; t < 64; t += 1) {
      const big1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
      const one = (h + big1 + ((e & f) ^ (~e & g)) + (CONSTANTS[t] ?? 0) + (w[t] ?? 0)) | 0;
      const big0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
      const two = (big0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      h = g;
      g = f;
      f = e;
      e = (d + one) | 0;
      d = c;
      c = b;
      b = a;
      a = (one + two) | 0;
    }
    state[0] = (state[0] ?? 0) + a;
    state[1] = (state[1] ?? 0) + b;
    state[2] = (state[2] ?? 0) + c;
    state[3] = (state[3] ?? 0) + d;
    state[4] = (state[4] ?? 0) + e;
    state[5] = (state[5] ?? 0) + f;
    state[6] = (state[6] ?? 0) + g;
    state[7] = (state[7] ?? 0) + h;
  }
}

/** Section 5.1.1, the same for SHA-1: the last bytes, a bit, zeros and the length; gives the number of blocks, 1 or 2. */
export function padInto(tail: DataView, input: DataView, start: number, end: number, messageBytes: number): 1 | 2 {
  const left = end - start;
  for (let index = 0; index < left; index += 1) tail.setUint8(index, input.getUint8(start + index));
  tail.setUint8(left, 0x80);
  const blocks = left + 1 + LENGTH_BYTES <= BLOCK_BYTES ? 1 : 2;
  const lengthAt = blocks * BLOCK_BYTES - LENGTH_BYTES;
  for (let index = left + 1; index < lengthAt; index += 1) tail.setUint8(index, 0);
  tail.setUint32(lengthAt, Math.floor(messageBytes / 0x2000_0000));
  tail.setUint32(lengthAt + 4, (messageBytes << 3) >>> 0);
  return blocks;
}
