// Lets a test state what bytes may do: parse, or be refused with a ParseError, and nothing else.

import { ParseError } from '@ringwall/bytes';

/** What `parse` gives, or the `ParseError` that it throws. Any other error goes on, and fails the test. */
export function attempt<T>(parse: () => T): T | ParseError {
  try {
    return parse();
  } catch (error) {
    if (error instanceof ParseError) return error;
    throw error;
  }
}

/** `bytes` with one bit flipped. */
export function flipBit(bytes: Uint8Array, bit: number): Uint8Array<ArrayBuffer> {
  const changed = new Uint8Array(bytes);
  changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
  return changed;
}
