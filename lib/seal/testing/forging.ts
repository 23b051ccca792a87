// Objects that whoever has the key could make and this library does not: the format's parts, put together by hand.
import { concatBytes, toHex, utf8, Writer } from '@ringwall/bytes';
import { derive, renderEnvelope } from '../src/envelope.ts';
import { headLeafOf, renderHead } from '../src/layout.ts';
import { bindingOf, FORMAT, type Manifest } from '../src/manifest.ts';
import { leafOf, MerkleTree } from '../src/merkle-tree.ts';
import { RecordCipher } from '../src/record-cipher.ts';
import { renderHeader, TAG_BYTES, type RecordType } from '../src/records.ts';
import { CHUNK_BYTES, OPENER } from './sealing.ts';

export interface ForgedRecord {
  readonly type: Exclude<RecordType, 'end'>;
  readonly plaintext?: Uint8Array;
  /** 1 where nothing else is said. */
  readonly chunks?: number;
  /** In place of its own. */
  readonly digest?: Uint8Array;
}

const MANIFEST: Manifest = {
  ...{ object: '00'.repeat(16), counter: 0, cipher: 'aes-256-gcm', digest: 'blake3', chunkBytes: CHUNK_BYTES },
  ...{ compression: 'none', bytes: null, parent: null, parts: [], about: {} },
};

/** Sealed for `OPENER`. `total`: what the end says; `manifest`: what it says that it should not; `rewrite`: how. */
export async function forge(
  records: readonly ForgedRecord[],
  total: number,
  manifest: Partial<Manifest> = {},
  rewrite: (manifest: string) => string = (text) => text,
): Promise<{ readonly bytes: Uint8Array<ArrayBuffer>; readonly root: Uint8Array }> {
  const said = { ...MANIFEST, ...manifest };
  const rendered = utf8(rewrite(JSON.stringify({ format: FORMAT, ...said })));
  const binding = await bindingOf(rendered);
  const dataKey = new Uint8Array(32).fill(3);
  const envelope = await renderEnvelope(dataKey, [OPENER], binding);
  const cipher = await RecordCipher.create(await derive(dataKey, 'content', binding), said, binding);
  const tree = new MerkleTree();
  tree.add(leafOf(headLeafOf(rendered)));
  const pieces: Uint8Array[] = [renderHead({ envelope, manifest: rendered })];
  let index = 0;
  for (const { type, plaintext = new Uint8Array(), chunks = 1, digest } of records) {
    const header = renderHeader({ type, chunks, bytes: plaintext.length + TAG_BYTES });
    const ciphertext = await cipher.seal(header, index, plaintext);
    const leaf = digest ?? leafOf([header, ciphertext]);
    tree.add(leaf);
    pieces.push(header, ciphertext, leaf);
    index += chunks;
  }
  const plaintext = new Writer().u64be(BigInt(total)).finish();
  const header = renderHeader({ type: 'end', chunks: 0, bytes: plaintext.length + TAG_BYTES });
  const root = tree.root();
  pieces.push(header, root, await cipher.seal(header, index, plaintext, root));
  return { bytes: concatBytes(...pieces), root };
}

/** The same object with another envelope: `change` gets its text, padding and all. */
export function withEnvelope(sealed: Uint8Array, change: (text: string) => string): Uint8Array<ArrayBuffer> {
  const length = new DataView(sealed.buffer, sealed.byteOffset).getUint32(8);
  const envelope = utf8(change(new TextDecoder().decode(sealed.subarray(12, 12 + length))));
  const counted = new Writer().u32be(envelope.length).finish();
  return concatBytes(sealed.subarray(0, 8), counted, envelope, sealed.subarray(12 + length));
}

/** A root in hexadecimal that is nobody's. */
export const NO_ROOT: string = toHex(new Uint8Array(32).fill(5));
