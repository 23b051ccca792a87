// Sectors decrypted as dm-crypt encrypts them: AES-XTS (IEEE 1619) and AES-CBC, with the tweak or first vector made of the
// sector's number. Starting a cipher costs some ten microseconds, more than a sector of 512 bytes takes: so small sectors go
// through plain AES (ECB) in one call for a whole run, and what makes a mode of it is done here. From 2,048 bytes on, the
// native mode is faster.
import type { Cipheriv, Decipheriv } from 'node:crypto';
import type { CipherSpec } from './cipher-spec.ts';
import { nodeCrypto } from './node-crypto.ts';

const BLOCK_BYTES = 16;
const BLOCK_WORDS = 4;
/** dm-crypt counts sectors of this size, however large those of the disk are. */
export const COUNTED_SECTOR_BYTES = 512;
const NATIVE_XTS_FROM_BYTES = 2048;
/** Sectors are decrypted in runs of this size: what is between two steps stays in the processor's cache. */
const RUN_BYTES = 65_536;
/** x^128 = x^7 + x^2 + x + 1 (IEEE 1619-2007, 5.2). */
const FEEDBACK = 0x87;

export interface SectorCipher {
  /**
   * Whole sectors of `sectorBytes`, the first of which has the number `counted` in sectors of 512 bytes, to new memory.
   */
  decrypt(bytes: Uint8Array, counted: number, sectorBytes: number): Uint8Array<ArrayBuffer>;
}

/** `key` has the length that `spec` says. */
export function sectorCipher(spec: CipherSpec, key: Uint8Array): SectorCipher {
  const decryptRun = spec.mode === 'xts' ? xts(spec, key) : cbc(spec, key);
  return {
    decrypt(bytes, counted, sectorBytes) {
      const plain = new Uint8Array(bytes.length);
      for (let at = 0; at < bytes.length; at += RUN_BYTES) {
        const run = bytes.subarray(at, Math.min(at + RUN_BYTES, bytes.length));
        plain.set(decryptRun(run, counted + at / COUNTED_SECTOR_BYTES, sectorBytes), at);
      }
      return plain;
    },
  };
}

type DecryptRun = (bytes: Uint8Array, counted: number, sectorBytes: number) => Uint8Array;

function xts(spec: CipherSpec, key: Uint8Array): DecryptRun {
  const half = key.length / 2;
  const data = plainDecipher(key.subarray(0, half));
  const tweak = plainCipher(key.subarray(half));
  const whole = new Uint8Array(key);
  return (bytes, counted, sectorBytes) => {
    const numbers = sectorNumbers(spec, bytes.length / sectorBytes, counted, sectorBytes);
    if (sectorBytes >= NATIVE_XTS_FROM_BYTES) return nativeXts(whole, bytes, numbers, sectorBytes);
    const first = words(tweak.update(numbers));
    const tweaks = expandTweaks(first, sectorBytes);
    const mixed = aligned(bytes);
    xorInto(mixed, tweaks);
    const plain = words(data.update(bytesOf(mixed)));
    xorInto(plain, tweaks);
    return bytesOf(plain);
  };
}

function nativeXts(key: Uint8Array, bytes: Uint8Array, numbers: Uint8Array, sectorBytes: number): Uint8Array {
  const { createDecipheriv } = nodeCrypto();
  const mode = `aes-${key.length * 4}-xts`;
  const plain = new Uint8Array(bytes.length);
  for (let at = 0, sector = 0; at < bytes.length; at += sectorBytes, sector += 1) {
    const iv = numbers.subarray(sector * BLOCK_BYTES, (sector + 1) * BLOCK_BYTES);
    const decipher = createDecipheriv(mode, key, iv);
    plain.set(decipher.update(bytes.subarray(at, at + sectorBytes)), at);
  }
  return plain;
}

function cbc(spec: CipherSpec, key: Uint8Array): DecryptRun {
  const data = plainDecipher(key);
  const essiv = spec.iv.kind === 'essiv' ? plainCipher(nodeCrypto().hash(spec.iv.hash, key, 'buffer')) : undefined;
  return (bytes, counted, sectorBytes) => {
    const numbers = sectorNumbers(spec, bytes.length / sectorBytes, counted, sectorBytes);
    const first = words(essiv === undefined ? numbers : essiv.update(numbers));
    const before = aligned(bytes);
    const plain = words(data.update(bytes));
    const sectorWords = sectorBytes / 4;
    // Each block is mixed with the encrypted one before it, the first of a sector with the sector's vector.
    for (let at = 0, sector = 0; at < plain.length; at += sectorWords, sector += 1) {
      for (let word = 0; word < BLOCK_WORDS; word += 1) {
        plain[at + word] = (plain[at + word] ?? 0) ^ (first[sector * BLOCK_WORDS + word] ?? 0);
      }
      for (let word = at + BLOCK_WORDS; word < at + sectorWords; word += 1) {
        plain[word] = (plain[word] ?? 0) ^ (before[word - BLOCK_WORDS] ?? 0);
      }
    }
    return bytesOf(plain);
  };
}

/** A block for each sector: its number, the least significant byte first; `plain` knows 32 bits of it. */
function sectorNumbers(spec: CipherSpec, count: number, counted: number, sectorBytes: number): Uint8Array {
  const numbers = new Uint8Array(count * BLOCK_BYTES);
  const view = new DataView(numbers.buffer);
  const step = sectorBytes / COUNTED_SECTOR_BYTES;
  for (let sector = 0; sector < count; sector += 1) {
    const number = counted + sector * step;
    view.setUint32(sector * BLOCK_BYTES, number % 2 ** 32, true);
    if (spec.iv.kind !== 'plain') view.setUint32(sector * BLOCK_BYTES + 4, Math.floor(number / 2 ** 32), true);
  }
  return numbers;
}

/** The tweak of every block: each is the one before it, times x in GF(2^128), the least significant byte first. */
function expandTweaks(first: Int32Array, sectorBytes: number): Int32Array {
  const sectors = first.length / BLOCK_WORDS;
  const sectorWords = sectorBytes / 4;
  const tweaks = new Int32Array(sectors * sectorWords);
  for (let sector = 0, at = 0; sector < sectors; sector += 1) {
    let a = first[sector * BLOCK_WORDS] ?? 0;
    let b = first[sector * BLOCK_WORDS + 1] ?? 0;
    let c = first[sector * BLOCK_WORDS + 2] ?? 0;
    let d = first[sector * BLOCK_WORDS + 3] ?? 0;
    for (const end = at + sectorWords; at < end; at += BLOCK_WORDS) {
      tweaks[at] = a;
      tweaks[at + 1] = b;
      tweaks[at + 2] = c;
      tweaks[at + 3] = d;
      const carry = (d >> 31) & FEEDBACK;
      d = (d << 1) | (c >>> 31);
      c = (c << 1) | (b >>> 31);
      b = (b << 1) | (a >>> 31);
      a = (a << 1) ^ carry;
    }
  }
  return tweaks;
}

function xorInto(target: Int32Array, mask: Int32Array): void {
  for (let word = 0; word < target.length; word += 1) target[word] = (target[word] ?? 0) ^ (mask[word] ?? 0);
}

function plainDecipher(key: Uint8Array): Decipheriv {
  return nodeCrypto()
    .createDecipheriv(`aes-${key.length * 8}-ecb`, key, null)
    .setAutoPadding(false);
}

function plainCipher(key: Uint8Array): Cipheriv {
  return nodeCrypto()
    .createCipheriv(`aes-${key.length * 8}-ecb`, key, null)
    .setAutoPadding(false);
}

/** A copy as words, which an exclusive or may change. */
function aligned(bytes: Uint8Array): Int32Array<ArrayBuffer> {
  const copy = new Int32Array(bytes.length / 4);
  new Uint8Array(copy.buffer).set(bytes);
  return copy;
}

/** The same bytes as words where they lie so, else a copy. */
function words(bytes: Uint8Array): Int32Array {
  return bytes.byteOffset % 4 === 0 ? new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4) : aligned(bytes);
}

function bytesOf(array: Int32Array): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}
