// What both compressions of BLAKE3 share: section 2.1 to 2.3 of the paper (O'Connor, Aumasson, Neves, Wilcox-O'Hearn, 2020).

export const CHUNK_BYTES = 1024;
export const BLOCK_BYTES = 64;
export const DIGEST_BYTES = 32;

/** Domain flags of a compression. */
export const CHUNK_START = 1;
export const CHUNK_END = 2;
export const PARENT = 4;
export const ROOT = 8;

/** Those of SHA-256. */
export const IV: readonly number[] = [
  ...[0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19],
];

const PERMUTATION = [2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8] as const;
const ROUNDS = 7;

/** Which words of the message each round mixes in, in its order. */
export const SCHEDULE: readonly (readonly number[])[] = scheduled();

/** The words of the state that a round mixes: columns, then diagonals. */
export const MIXES: readonly (readonly [number, number, number, number])[] = [
  [0, 4, 8, 12],
  [1, 5, 9, 13],
  [2, 6, 10, 14],
  [3, 7, 11, 15],
  [0, 5, 10, 15],
  [1, 6, 11, 12],
  [2, 7, 8, 13],
  [3, 4, 9, 14],
];

function scheduled(): (readonly number[])[] {
  const rounds: (readonly number[])[] = [];
  let order: readonly number[] = PERMUTATION.map((_, index) => index);
  for (let round = 0; round < ROUNDS; round += 1) {
    rounds.push(order);
    order = PERMUTATION.map((from) => order[from] ?? 0);
  }
  return rounds;
}
