import { fromHex, toHex } from '@ringwall/bytes';
import { expect, test } from 'vitest';
import { leafOf, MerkleTree } from './merkle-tree.ts';

/** The leaves, and the roots over the first of them, that the tests of Certificate Transparency use. */
const LEAVES = [
  ...['', '00', '10', '2021', '3031', '40414243', '5051525354555657', '606162636465666768696a6b6c6d6e6f'],
].map((hex) => fromHex(hex));
const ROOTS: ReadonlyMap<number, string> = new Map([
  [0, 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'],
  [1, '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d'],
  [2, 'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125'],
  [3, 'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77'],
  [8, '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328'],
]);

test.each([...ROOTS])('the root over %i leaves is that of Certificate Transparency', async (count, root) => {
  const tree = new MerkleTree();
  for (const leaf of LEAVES.slice(0, count)) await tree.add(await leafOf(leaf));
  expect(toHex(await tree.root())).toBe(root);
});

test('every number of leaves has a root of its own', async () => {
  const tree = new MerkleTree();
  const roots = new Set<string>();
  for (let count = 0; count < 70; count += 1) {
    roots.add(toHex(await tree.root()));
    await tree.add(await leafOf(Uint8Array.of(7)));
  }
  expect(roots.size).toBe(70);
});
