// What was made of byte strings, found again by the very same bytes. Whoever sends bytes chooses them, so nothing is found
// by a part or a digest of them alone: the whole is compared, and what is kept is bounded.

import { BoundedMap } from './bounded-map.ts';
import { equalBytes } from './byte-strings.ts';
import { toHex } from './hex.ts';

/** Keys and certificates end in what is different in each: a coordinate, a signature. */
const TAIL_BYTES = 16;

interface Known<Value> {
  readonly bytes: Uint8Array;
  readonly value: Value;
}

export class KnownBytes<Value> {
  readonly #known: BoundedMap<string, Known<Value>>;

  /** `limit`: of byte strings; the ones that were not asked for the longest are forgotten. */
  constructor(limit: number) {
    this.#known = new BoundedMap(limit);
  }

  /** `hint`: what tells byte strings apart, where their ends do not. Two with one hint push each other out. */
  get(bytes: Uint8Array, hint: Uint8Array = tailOf(bytes)): Value | undefined {
    const known = this.#known.get(toHex(hint));
    return known !== undefined && equalBytes(known.bytes, bytes) ? known.value : undefined;
  }

  /** Keeps a copy of the bytes. */
  set(bytes: Uint8Array, value: Value, hint: Uint8Array = tailOf(bytes)): void {
    this.#known.set(toHex(hint), { bytes: new Uint8Array(bytes), value });
  }
}

function tailOf(bytes: Uint8Array): Uint8Array {
  return bytes.subarray(-TAIL_BYTES);
}
