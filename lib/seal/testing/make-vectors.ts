// Writes the vectors of docs/sealed-format.md anew, which changes their bytes but not what they hold:
//   node --conditions=ringwall-source lib/seal/testing/make-vectors.ts
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { publicKeyOf } from '../src/hpke.ts';
import { contentsOf, KEY, OPENER, seal, VECTOR_IDENTITY, VECTOR_PLAN } from './sealing.ts';

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
