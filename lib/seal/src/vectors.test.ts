// Objects that were sealed once and for all: what this library opens today it opens tomorrow.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { contentsOf, open, VECTOR_IDENTITY, VECTOR_PLAN } from '../testing/sealing.ts';
import { publicKeyOf } from './hpke.ts';
import { scrub } from './scrub.ts';

test.each(['aes-256-gcm.sealed', 'chacha20-poly1305.sealed'])('the vector %s opens, and is whole', async (name) => {
  const sealed = new Uint8Array(readFileSync(join(import.meta.dirname, '../fixtures', name)));
  expect(await open(sealed)).toEqual(contentsOf(VECTOR_PLAN));
  expect(await scrub([sealed])).toMatchObject({ damaged: 0, rootFits: true });
});

test('the first vector opens with its identity, too', async () => {
  const sealed = new Uint8Array(readFileSync(join(import.meta.dirname, '../fixtures/aes-256-gcm.sealed')));
  const pair = { privateKey: VECTOR_IDENTITY, publicKey: await publicKeyOf(VECTOR_IDENTITY) };
  expect(await open(sealed, { openers: [{ kind: 'x25519', pair }] })).toEqual(contentsOf(VECTOR_PLAN));
});
