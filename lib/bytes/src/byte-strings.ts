// Byte strings as values: joined, compared, encoded from text.

/** Below this, the views cost more than comparing byte by byte. */
const WORTH_WORDS_BYTES = 256;

/**
 * Compares without stopping at the first difference, so that the time taken says nothing about the content. The
 * lengths are not secret.
 */
export function equalBytes(left: Uint8Array, right: Uint8Array): boolean {
  if (left.length !== right.length) return false;
  const inWords = left.length >= WORTH_WORDS_BYTES && isAligned(left) && isAligned(right) ? left.length >> 2 : 0;
  let difference = 0;
  if (inWords > 0) {
    const [one, other] = [wordsOf(left, inWords), wordsOf(right, inWords)];
    for (let index = 0; index < inWords; index += 1) difference |= (one[index] ?? 0) ^ (other[index] ?? 0);
  }
  for (let index = inWords * 4; index < left.length; index += 1) {
    difference |= (left[index] ?? 0) ^ (right[index] ?? 0);
  }
  return difference === 0;
}

export function concatBytes(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  let total = 0;
  for (const part of parts) total += part.length;
  const joined = new Uint8Array(total);
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

/** The UTF-8 encoding of `text`. */
export function utf8(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}

/** Bytes that WebCrypto takes: the same ones, or a copy where they lie in memory shared with another thread. */
export function unshared(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return isUnshared(bytes) ? bytes : new Uint8Array(bytes);
}

function isUnshared(bytes: Uint8Array): bytes is Uint8Array<ArrayBuffer> {
  return bytes.buffer instanceof ArrayBuffer;
}

function isAligned(bytes: Uint8Array): boolean {
  return bytes.byteOffset % 4 === 0;
}

function wordsOf(bytes: Uint8Array, words: number): Uint32Array {
  return new Uint32Array(bytes.buffer, bytes.byteOffset, words);
}
