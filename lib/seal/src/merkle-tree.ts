// A Merkle tree that grows leaf by leaf, holding one digest a level: RFC 9162 (Certificate Transparency 2.0), section 2.1.1.
import { concatBytes, unshared } from '@ringwall/bytes';

const LEAF: Uint8Array = Uint8Array.of(0);
const NODE: Uint8Array = Uint8Array.of(1);

export const DIGEST_BYTES = 32;

export async function leafOf(...parts: readonly Uint8Array[]): Promise<Uint8Array<ArrayBuffer>> {
  return sha256(concatBytes(LEAF, ...parts));
}

export class MerkleTree {
  /** Roots of whole subtrees, the largest first; no two of a size, but for those that `add` is about to join. */
  readonly #roots: { readonly leaves: number; readonly digest: Uint8Array }[] = [];

  async add(leaf: Uint8Array): Promise<void> {
    let root = { leaves: 1, digest: leaf };
    for (let last = this.#roots.at(-1); last?.leaves === root.leaves; last = this.#roots.at(-1)) {
      this.#roots.pop();
      root = { leaves: root.leaves * 2, digest: await nodeOf(last.digest, root.digest) };
    }
    this.#roots.push(root);
  }

  /** Of no leaves, the digest of nothing. */
  async root(): Promise<Uint8Array> {
    let root: Uint8Array | undefined;
    for (const { digest } of this.#roots.toReversed()) root = root === undefined ? digest : await nodeOf(digest, root);
    return root ?? sha256(new Uint8Array());
  }
}

function nodeOf(left: Uint8Array, right: Uint8Array): Promise<Uint8Array> {
  return sha256(concatBytes(NODE, left, right));
}

async function sha256(bytes: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await crypto.subtle.digest('SHA-256', unshared(bytes)));
}
