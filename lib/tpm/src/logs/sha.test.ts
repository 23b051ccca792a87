import { createHash } from 'node:crypto';
import { toHex, utf8 } from '@ringwall/bytes';
import { describe, expect, test } from 'vitest';
import { Sha1, SHA1_BYTES } from './sha1.ts';
import { Sha256, SHA256_BYTES } from '../sha256.ts';

/** FIPS 180-4's own examples. */
const TWO_BLOCKS = 'abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq';

function hex(hash: Sha1 | Sha256, bytes: number, message: Uint8Array): string {
  const output = new DataView(new ArrayBuffer(bytes));
  hash.digest(new DataView(message.buffer, message.byteOffset, message.length), 0, message.length, output, 0);
  return toHex(new Uint8Array(output.buffer));
}

describe('Sha256', () => {
  test.each([
    ['', 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'],
    ['abc', 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'],
    [TWO_BLOCKS, '248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1'],
  ])('%j as in FIPS 180-4', (message, digest) => {
    expect(hex(new Sha256(), SHA256_BYTES, utf8(message))).toBe(digest);
  });
});

describe('Sha1', () => {
  test.each([
    ['', 'da39a3ee5e6b4b0d3255bfef95601890afd80709'],
    ['abc', 'a9993e364706816aba3e25717850c26c9cd0d89d'],
    [TWO_BLOCKS, '84983e441c3bd26ebaae4aa1f95129e5e54670f1'],
  ])('%j as in FIPS 180-4', (message, digest) => {
    expect(hex(new Sha1(), SHA1_BYTES, utf8(message))).toBe(digest);
  });
});

test('both agree with node:crypto at every length up to five blocks, one object for all', () => {
  const [sha1, sha256] = [new Sha1(), new Sha256()];
  for (let length = 0; length <= 320; length += 1) {
    const message = Uint8Array.from({ length }, (_, index) => (index * 131 + length) & 0xff);
    expect(hex(sha1, SHA1_BYTES, message)).toBe(createHash('sha1').update(message).digest('hex'));
    expect(hex(sha256, SHA256_BYTES, message)).toBe(createHash('sha256').update(message).digest('hex'));
  }
});

test('a part of the input is hashed, and the output may lie in the input', () => {
  const bytes = Uint8Array.from({ length: 100 }, (_, index) => index);
  const view = new DataView(bytes.buffer);
  const expected = createHash('sha256').update(bytes.slice(3, 70)).digest('hex');
  new Sha256().digest(view, 3, 70, view, 10);
  expect(toHex(bytes.subarray(10, 42))).toBe(expected);
});

test('a megabyte agrees with node:crypto', () => {
  const message = new Uint8Array(1_000_000).fill(0x61);
  expect(hex(new Sha256(), SHA256_BYTES, message)).toBe(
    'cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0',
  );
  expect(hex(new Sha1(), SHA1_BYTES, message)).toBe('34aa973cd4c4daa4f61eeb2bdbad27316534016f');
});
