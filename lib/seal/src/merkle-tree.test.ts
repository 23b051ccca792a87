import { concatBytes, toHex } from '@ringwall/bytes';
import { expect, test } from 'vitest';
import { Blake3 } from './blake3/hasher.ts';
import { leafOf, MerkleTree, TREE_BYTES } from './merkle-tree.ts';

const hasher = new Blake3(1000);

/** RFC 9162, section 2.1.1, as it is written there. */
function rootOf(leaves: readonly Uint8Array[]): Uint8Array {
  const [first] = leaves;
  if (first === undefined) return hasher.digest(new Uint8Array());
  if (leaves.length === 1) return hasher.digest(concatBytes(Uint8Array.of(0), first));
  let split = 1;
  while (split * 2 < leaves.length) split *= 2;
  return hasher.digest(concatBytes(Uint8Array.of(1), rootOf(leaves.slice(0, split)), rootOf(leaves.slice(split))));
}

test('the root over any number of leaves is that of RFC 9162', () => {
  const tree = new MerkleTree();
  const leaves: Uint8Array[] = [];
  for (let count = 0; count < 70; count += 1) {
    expect(toHex(tree.root())).toBe(toHex(rootOf(leaves)));
    leaves.push(Uint8Array.of(count, 7));
    tree.add(leafOf([Uint8Array.of(count), Uint8Array.of(7)]));
  }
});

test('a tree goes on in the memory in which another has begun', () => {
  const memory = new SharedArrayBuffer(TREE_BYTES);
  const alone = new MerkleTree();
  for (let index = 0; index < 21; index += 1) {
    const leaf = leafOf([Uint8Array.of(index)]);
    alone.add(leaf);
    new MerkleTree(memory).add(leaf);
  }
  expect(toHex(new MerkleTree(memory).root())).toBe(toHex(alone.root()));
});
