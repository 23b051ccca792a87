// Writes the vectors of docs/sealed-format.md anew, which changes their bytes but not what they hold:
//   node --conditions=ringwall-source lib/seal/testing/make-vectors.ts
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { publicKeyOf } from '../src/hpke.ts';
import {
  CHILD_CHUNK_BYTES,
  CHILD_PLAN,
  childOf,
  contentsOf,
  KEY,
  OPENER,
  seal,
  VECTOR_IDENTITY,
  VECTOR_PLAN,
} from './sealing.ts';

const FIXTURES = join(import.meta.dirname, '../fixtures');
const x25519 = { kind: 'x25519', publicKey: await publicKeyOf(VECTOR_IDENTITY) } as const;
const contents = contentsOf(VECTOR_PLAN);

mkdirSync(FIXTURES, { recursive: true });
for (const [name, options] of [
  ['aes-256-gcm.sealed', { recipients: [OPENER, x25519], bytes: contents.length, about: { vector: 1 } }],
  ['chacha20-poly1305.sealed', { recipients: [{ kind: 'key', key: KEY }], cipher: 'chacha20-poly1305' }],
] as const) {
  writeFileSync(join(FIXTURES, name), (await seal(contents, options)).bytes);
}

const child = childOf(CHILD_PLAN);
const { bytes, summary } = await seal(child.parent, { chunkBytes: CHILD_CHUNK_BYTES });
writeFileSync(join(FIXTURES, 'parent.sealed'), bytes);
const { isKept } = child;
const parts = [
  { name: 'memory', offset: 0, bytes: 5 * CHILD_CHUNK_BYTES },
  { name: 'devices', offset: 5 * CHILD_CHUNK_BYTES, bytes: 20_000 },
];
const options = { chunkBytes: CHILD_CHUNK_BYTES, bytes: child.contents.length, parent: summary, parts, isKept };
writeFileSync(join(FIXTURES, 'child.sealed'), (await seal(child.contents, options)).bytes);
