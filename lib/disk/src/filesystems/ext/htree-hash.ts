// The hashes by which ext directories are indexed (Linux Documentation/filesystems/ext4, "Hash Tree Directories";
// fs/ext4/hash.c): the oldest, half of MD4, and TEA, over names as signed or unsigned bytes.

/** dx_root_info.hash_version; 3 to 5 are the same with unsigned bytes, whatever the superblock says. */
export const HASH_LEGACY = 0;
export const HASH_HALF_MD4 = 1;
export const HASH_TEA = 2;
const UNSIGNED_VERSIONS = 3;

type Words = [number, number, number, number];

const START: Readonly<Words> = [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476];
/** No name hashes to the value that ends a directory. */
const END_OF_DIRECTORY = 0xfffffffe;
const MD4_WORDS = 8;
const TEA_WORDS = 4;
const SQRT_2 = 0x5a827999;
const SQRT_3 = 0x6ed9eba1;
const GOLDEN_RATIO = 0x9e3779b9;
const TEA_ROUNDS = 16;

/** The hash of a name, its lowest bit 0; undefined for a version that is not known here (SipHash needs a key). */
export function directoryHash(
  version: number,
  unsigned: boolean,
  seed: Readonly<Words>,
  name: Uint8Array,
): number | undefined {
  if (version > HASH_TEA + UNSIGNED_VERSIONS) return undefined;
  const asUnsigned = unsigned || version > HASH_TEA;
  const hash = hashOf(version % UNSIGNED_VERSIONS, asUnsigned, seed, name) & ~1;
  return hash >>> 0 === END_OF_DIRECTORY ? END_OF_DIRECTORY - 2 : hash >>> 0;
}

function hashOf(version: number, unsigned: boolean, seed: Readonly<Words>, name: Uint8Array): number {
  const bytes = unsigned ? name : new Int8Array(name.buffer, name.byteOffset, name.byteLength);
  if (version === HASH_LEGACY) return legacy(bytes);
  const state: Words = seed.some((word) => word !== 0) ? [...seed] : [...START];
  const words = version === HASH_HALF_MD4 ? MD4_WORDS : TEA_WORDS;
  for (let at = 0; at < bytes.length; at += words * 4) {
    const block = wordsOf(bytes, at, words);
    if (version === HASH_HALF_MD4) halfMd4(state, block);
    else tea(state, block);
  }
  return version === HASH_HALF_MD4 ? state[1] : state[0];
}

function legacy(bytes: Uint8Array | Int8Array): number {
  let before = 0x37abe8f9;
  let last = 0x12a3fe2d;
  for (const byte of bytes) {
    let hash = (before + (last ^ Math.imul(byte, 7152373))) | 0;
    if (hash < 0) hash = (hash - 0x7fffffff) | 0;
    before = last;
    last = hash;
  }
  return last << 1;
}

/** Up to `count` words of the name from `start` on, each byte added to what was shifted, filled up with the length left. */
function wordsOf(bytes: Uint8Array | Int8Array, start: number, count: number): number[] {
  const left = bytes.length - start;
  const half = left | (left << 8);
  const filler = half | (half << 16);
  const words = Array.from({ length: count }, () => filler);
  for (let word = 0; word * 4 < left && word < count; word += 1) {
    let value = filler;
    for (let at = word * 4; at < Math.min(left, word * 4 + 4); at += 1) value = (bytes[start + at] ?? 0) + (value << 8);
    words[word] = value | 0;
  }
  return words;
}

function halfMd4(state: Words, words: readonly number[]): void {
  let [a, b, c, d] = state;
  const mix = (x: number, y: number, z: number): number => z ^ (x & (y ^ z));
  const majority = (x: number, y: number, z: number): number => ((x & y) + ((x ^ y) & z)) | 0;
  const parity = (x: number, y: number, z: number): number => x ^ y ^ z;
  const rounds = [
    { combine: mix, constant: 0, order: [0, 1, 2, 3, 4, 5, 6, 7], turns: [3, 7, 11, 19] },
    { combine: majority, constant: SQRT_2, order: [1, 3, 5, 7, 0, 2, 4, 6], turns: [3, 5, 9, 13] },
    { combine: parity, constant: SQRT_3, order: [3, 7, 2, 6, 1, 5, 0, 4], turns: [3, 9, 11, 15] },
  ];
  for (const { combine, constant, order, turns } of rounds) {
    for (const [step, word] of order.entries()) {
      const sum = (a + combine(b, c, d) + (words[word] ?? 0) + constant) | 0;
      const turn = turns[step % 4] ?? 0;
      [a, b, c, d] = [d, (sum << turn) | (sum >>> (32 - turn)), b, c];
    }
  }
  state[0] = (state[0] + a) | 0;
  state[1] = (state[1] + b) | 0;
  state[2] = (state[2] + c) | 0;
  state[3] = (state[3] + d) | 0;
}

function tea(state: Words, words: readonly number[]): void {
  const [a = 0, b = 0, c = 0, d = 0] = words;
  let [left, right] = state;
  let sum = 0;
  for (let round = 0; round < TEA_ROUNDS; round += 1) {
    sum = (sum + GOLDEN_RATIO) | 0;
    left = (left + ((((right << 4) + a) | 0) ^ ((right + sum) | 0) ^ (((right >>> 5) + b) | 0))) | 0;
    right = (right + ((((left << 4) + c) | 0) ^ ((left + sum) | 0) ^ (((left >>> 5) + d) | 0))) | 0;
  }
  state[0] = (state[0] + left) | 0;
  state[1] = (state[1] + right) | 0;
}
