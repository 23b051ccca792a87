// Looks for damage without a key: every record against the digest that is stored for it, and all of them against the root. It
// finds what storage has lost; whoever changes records on purpose changes their digests too, which only a root that was kept
// elsewhere shows.
import { equalBytes, toHex } from '@ringwall/bytes';
import { ByteReader, type ByteStream } from './byte-reader.ts';
import { headLeafOf, readHead } from './layout.ts';
import { parseManifest, type Manifest } from './manifest.ts';
import { leafOf, MerkleTree, type Digest } from './merkle-tree.ts';
import { readRecords } from './stored-records.ts';

/** Beyond, the rest is counted. */
const MAX_DAMAGES_NAMED = 100;

export interface Damage {
  /** Of the first chunk in the contents. */
  readonly chunk: number;
  /** Of the record in the object, and of the contents that are lost with it. */
  readonly offset: number;
  readonly bytes: number;
}

export interface ScrubReport {
  readonly manifest: Manifest;
  readonly records: number;
  readonly damaged: number;
  readonly damages: readonly Damage[];
  /** As computed, in hexadecimal. */
  readonly root: string;
  /** Whether it is the one that the object has at its end. */
  readonly rootFits: boolean;
}

/** Throws SealError where its shape is lost: `not-sealed`, `truncated`, `altered`. `blake3`: a faster one, where the caller has one. */
export async function scrub(sealed: ByteStream, blake3?: Digest): Promise<ScrubReport> {
  const reader = new ByteReader(sealed);
  try {
    const { manifest: rendered } = await readHead(reader);
    const manifest = parseManifest(rendered);
    const tree = new MerkleTree();
    tree.add(leafOf(headLeafOf(rendered)));
    const damages: Damage[] = [];
    let [records, damaged, rootFits] = [0, 0, false];
    for await (const { header, headerBytes, ciphertext, digest, index, offset } of readRecords(reader, manifest)) {
      if (header.type === 'end') {
        rootFits = equalBytes(tree.root(), digest);
        break;
      }
      records += 1;
      const leaf = leafOf([headerBytes, ciphertext], blake3);
      tree.add(leaf);
      if (equalBytes(leaf, digest)) continue;
      damaged += 1;
      if (damages.length < MAX_DAMAGES_NAMED) {
        damages.push({ chunk: index, offset, bytes: header.chunks * manifest.chunkBytes });
      }
    }
    return { manifest, records, damaged, damages, root: toHex(tree.root()), rootFits };
  } finally {
    await reader.close();
  }
}
