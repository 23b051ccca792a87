// Objects that were sealed once and for all: what this library opens today it opens tomorrow.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fromHex } from '@ringwall/bytes';
import { expect, test } from 'vitest';
import { CHILD_PLAN, childOf, contentsOf, open, OPENER, VECTOR_IDENTITY, VECTOR_PLAN } from '../testing/sealing.ts';
import { publicKeyOf } from './hpke.ts';
import { openSealed } from './opening.ts';
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

test('the vector with a parent opens upon it, and names it', async () => {
  const [parent, child] = ['parent.sealed', 'child.sealed'].map(
    (name) => new Uint8Array(readFileSync(join(import.meta.dirname, '../fixtures', name))),
  );
  const { contents, parent: before } = childOf(CHILD_PLAN);
  const { manifest } = await openSealed([child ?? before], { openers: [OPENER] });
  expect(await open(parent ?? before, { root: fromHex(manifest.parent?.root ?? '') })).toEqual(before);
  expect(await open(child ?? before, {}, before)).toEqual(contents);
});
