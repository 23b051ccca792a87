// BLAKE3 against the vectors of its authors (test_vectors.json of the reference: bytes that count to 250 and begin anew), and four
// at a time against one at a time.
import { toHex } from '@ringwall/bytes';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { fourLanes } from './four-lanes.ts';
import { Blake3 } from './hasher.ts';

const VECTORS: readonly (readonly [bytes: number, digest: string])[] = [
  [0, 'af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262'],
  [1, '2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213'],
  [1023, '10108970eeda3eb932baac1428c7a2163b0e924c9a9e25b35bba72b28f70bd11'],
  [1024, '42214739f095a406f3fc83deb889744ac00df831c10daa55189b5d121c855af7'],
  [1025, 'd00278ae47eb27b34faecf67b4fe263f82d5412916c1ffd97c8cb7fb814b8444'],
  [2048, 'e776b6028c7cd22a4d0ba182a8bf62205d2ef576467e838ed6f2529b85fba24a'],
  [3073, '7124b49501012f81cc7f11ca069ec9226cecb8a2c850cfe644e327d22d3e1cd3'],
  [4096, '015094013f57a5277b59d8475c0501042c0b642e531b0a1c8f58d2163229e969'],
  [4097, '9b4052b38f1c5fc8b1f9ff7ac7b27cd242487b3d890d15c96a1c25b8aa0fb995'],
  [5121, '628bd2cb2004694adaab7bbd778a25df25c47b9d4155a55f8fbd79f2fe154cff'],
  [7169, 'a003fc7a51754a9b3c7fae0367ab3d782dccf28855a03d435f8cfe74605e7817'],
  [8193, 'bab6c09cb8ce8cf459261398d2e7aef35700bf488116ceb94a36d0f5f1b7bc3b'],
  [16384, 'f875d6646de28985646f34ee13be9a576fd515f76b5b0a26bb324735041ddde4'],
  [31744, '62b6960e1a44bcc1eb1a611a8d6235b6b4b78f32e7abc4fb4c6cdcce94895c47'],
  [102400, 'bc3e3d41a1146b069abffad3c0d44860cf664390afce4d9661f7902e7943e085'],
];
const MOST = 102_400;
const INPUT: Uint8Array = new Uint8Array(MOST).map((_, index) => index % 251);

afterEach(() => void vi.unstubAllGlobals());

describe('Blake3', () => {
  test.each(VECTORS)('gives the digest of the reference for %i bytes', (bytes, digest) => {
    expect(toHex(new Blake3(MOST).digest(INPUT.subarray(0, bytes)))).toBe(digest);
  });

  test('gives the same of bytes in its own memory, wherever they begin', () => {
    for (const at of [0, 1, 13]) {
      const hasher = new Blake3(MOST, MOST + at);
      hasher.memory.set(INPUT, at);
      expect(toHex(hasher.digest(hasher.memory.subarray(at)))).toBe(toHex(new Blake3(MOST).digest(INPUT)));
    }
  });

  test('has its vectors here: what follows would be slower without, and right', () => {
    expect(fourLanes(1)).toBeDefined();
  });

  test('gives the same where a page may not compile WebAssembly', () => {
    const withVectors = new Blake3(MOST).digest(INPUT.subarray(0, 20_000));
    vi.stubGlobal('WebAssembly', undefined);
    expect(toHex(new Blake3(MOST).digest(INPUT.subarray(0, 20_000)))).toBe(toHex(withVectors));
  });

  test('keeps nothing of what it was given before', () => {
    const hasher = new Blake3(MOST);
    const before = toHex(hasher.digest(INPUT.subarray(0, 5000)));
    hasher.digest(INPUT);
    expect(toHex(hasher.digest(INPUT.subarray(0, 5000)))).toBe(before);
  });

  test('takes no more than it was made for', () => {
    expect(() => new Blake3(10).digest(INPUT.subarray(0, 11))).toThrow(RangeError);
  });
});
