// A Merkle tree that grows leaf by leaf, holding one digest a level: RFC 9162 (Certificate Transparency 2.0), section 2.1.1, with
// BLAKE3 in place of SHA-256.
import { concatBytes } from '@ringwall/bytes';
import { Blake3 } from './blake3/hasher.ts';
import { MAX_CHUNK_BYTES } from './manifest.ts';
import { RECORD_HEADER_BYTES, TAG_BYTES } from './records.ts';

export const DIGEST_BYTES = 32;
/** In front of what a leaf, and a node, is the digest of. */
export const LEAF: Uint8Array = Uint8Array.of(0);
const NODE: Uint8Array = Uint8Array.of(1);

/** A digest for each bit in the number of leaves, which numbers of JavaScript hold exactly. */
const LEVELS = 53;
export const TREE_BYTES: number = 8 + LEVELS * DIGEST_BYTES;

/** BLAKE3, 32 bytes of it. */
export type Digest = (bytes: Uint8Array) => Uint8Array;

export function leafOf(parts: readonly Uint8Array[], digest: Digest = blake3): Uint8Array {
  return digest(concatBytes(LEAF, ...parts));
}

export class MerkleTree {
  readonly #count: Float64Array;
  /** At level n the root of a whole subtree of 2^n leaves, where the number of all has that bit. */
  readonly #roots: Uint8Array;

  /** `memory`: `TREE_BYTES` from `at` on, zeros at first; threads that share it take turns. */
  constructor(memory: ArrayBufferLike = new ArrayBuffer(TREE_BYTES), at = 0) {
    this.#count = new Float64Array(memory, at, 1);
    this.#roots = new Uint8Array(memory, at + 8, LEVELS * DIGEST_BYTES);
  }

  add(leaf: Uint8Array): void {
    let [digest, level] = [leaf, 0];
    const count = this.#count[0] ?? 0;
    for (let rest = count; rest % 2 === 1; rest = Math.floor(rest / 2)) {
      digest = nodeOf(this.#rootAt(level), digest);
      level += 1;
    }
    this.#rootAt(level).set(digest);
    this.#count[0] = count + 1;
  }

  /** Of no leaves, the digest of nothing. */
  root(): Uint8Array {
    let root: Uint8Array | undefined;
    let level = 0;
    for (let rest = this.#count[0] ?? 0; rest > 0; rest = Math.floor(rest / 2)) {
      if (rest % 2 === 1) root = root === undefined ? this.#rootAt(level).slice() : nodeOf(this.#rootAt(level), root);
      level += 1;
    }
    return root ?? blake3(new Uint8Array());
  }

  #rootAt(level: number): Uint8Array {
    return this.#roots.subarray(level * DIGEST_BYTES, (level + 1) * DIGEST_BYTES);
  }
}

function nodeOf(left: Uint8Array, right: Uint8Array): Uint8Array {
  return blake3(concatBytes(NODE, left, right));
}

/** Heads, nodes and ends; records are longer. */
const SHORT_BYTES = 1024;
let short: Blake3 | undefined;
let long: Blake3 | undefined;

function blake3(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  if (bytes.length <= SHORT_BYTES) return (short ??= new Blake3(SHORT_BYTES)).digest(bytes);
  long ??= new Blake3(LEAF.length + RECORD_HEADER_BYTES + MAX_CHUNK_BYTES + TAG_BYTES);
  return long.digest(bytes);
}
