// Policies of signatures: what is read, what is refused, and that the JSON Schema that is shipped says the same.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { OciError } from '../oci-error.ts';
import { matchesPattern } from './pattern.ts';
import { entryFor, parseSignaturePolicy, type SignaturePolicy } from './signature-policy.ts';
import { RUNAWAY_MS, startProcessorClock } from '../../../bytes/testing/processor-time.ts';

type Json = Record<string, unknown>;

/** Everything that a policy can say. */
const full = (): Json => ({
  $schema: 'signature-policy.schema.json',
  format: 'ringwall-signature-policy/1',
  trustedRoot: 'trusted_root.json',
  signers: {
    release: { keys: ['release.pub', 'old.pub'], log: true },
    ci: {
      identities: [{ issuer: 'https://login.example', subject: 'https://ci.example/acme/*' }],
      predicateType: 'https://slsa.dev/provenance/v1',
    },
  },
  images: [
    { names: ['ghcr.io/acme/*'], signedBy: ['release', 'ci'], signedName: 'reference' },
    { names: ['localhost:5000/**', 'docker.io/library/debian'], unsigned: 'the bases that we build on' },
    { names: ['**'], signedBy: ['release'] },
  ],
});
const parse = (document: unknown): SignaturePolicy =>
  parseSignaturePolicy(new TextEncoder().encode(JSON.stringify(document)));
const changed = (change: (document: Json) => void): Json => {
  const document = full();
  change(document);
  return document;
};
const imagesOf = (...images: unknown[]): Json => ({ ...full(), images });
const signersOf = (signer: unknown): Json => ({ ...full(), signers: { release: signer, ci: signer } });

describe('parseSignaturePolicy()', () => {
  it('reads all that a policy can say, and takes the first entry that speaks of a name', () => {
    const policy = parse(full());
    const shown = (name: string): unknown => {
      const { signedBy, signedName, unsigned } = entryFor(policy, name) ?? {};
      return [signedBy?.map(({ name: signer }) => signer).join(), signedName, unsigned];
    };
    expect(shown('ghcr.io/acme/app')).toEqual(['release,ci', 'reference', '']);
    expect(shown('ghcr.io/acme/app/more')).toEqual(['release', 'repository', '']);
    expect(shown('localhost:5000/a/b')).toEqual(['', 'repository', 'the bases that we build on']);
    expect(shown('docker.io/library/debian-evil')).toEqual(['release', 'repository', '']);
    expect(policy.images[0]?.signedBy[1]?.predicateType).toBe('https://slsa.dev/provenance/v1');
    expect(policy.images[0]?.signedBy[0]).toMatchObject({ mustBeLogged: true, keys: ['release.pub', 'old.pub'] });
    const closed = parse(imagesOf({ names: ['ghcr.io/acme/*'], signedBy: ['ci'] }));
    expect(entryFor(closed, 'docker.io/library/nginx')).toBeUndefined();
  });

  /** `false`: what a schema cannot say, because it is between two members. */
  const refused: readonly [what: string, document: unknown, bySchema: boolean][] = [
    ['nothing', {}, true],
    ['a list', [], true],
    ['another format', { ...full(), format: 'ringwall-signature-policy/2' }, true],
    ['a word that means nothing', { ...full(), image: [] }, true],
    ['no images', imagesOf(), true],
    ['images that are no list', { ...full(), images: {} }, true],
    ['an entry without names', imagesOf({ names: [], signedBy: ['ci'] }), true],
    ['an entry without signers', imagesOf({ names: ['**'], signedBy: [] }), true],
    ['an entry that says nothing', imagesOf({ names: ['**'] }), true],
    ['an entry that says both', imagesOf({ names: ['**'], signedBy: ['ci'], unsigned: 'x' }), true],
    ['no reason why nobody must', imagesOf({ names: ['**'], unsigned: ' ' }), true],
    ['a name of nobody’s signature', imagesOf({ names: ['**'], unsigned: 'x', signedName: 'any' }), true],
    ['another kind of name', imagesOf({ names: ['**'], signedBy: ['ci'], signedName: 'digest' }), true],
    ['a signer whom it does not have', imagesOf({ names: ['**'], signedBy: ['toString'] }), false],
    ['a name without its registry', imagesOf({ names: ['acme/*'], signedBy: ['ci'] }), false],
    ['a name of all registries', imagesOf({ names: ['*/acme/app'], signedBy: ['ci'] }), false],
    ['a pattern of registries', imagesOf({ names: ['*.example/acme'], signedBy: ['ci'] }), false],
    ['too many wildcards', imagesOf({ names: ['a.example/*/*/*'], signedBy: ['ci'] }), true],
    ['too many stars', imagesOf({ names: ['a.example/***'], signedBy: ['ci'] }), true],
    ['a signer without keys', signersOf({}), true],
    ['a signer with an empty list', signersOf({ keys: [] }), true],
    ['a key without a file', signersOf({ keys: [''] }), true],
    ['a key that is none', signersOf({ keys: [7] }), true],
    ['a signer with another word', signersOf({ keys: ['a'], key: 'b' }), true],
    ['a log that is a word', signersOf({ keys: ['a'], log: 'yes' }), true],
    ['an identity of any issuer', signersOf({ identities: [{ subject: 'me@example' }] }), true],
    ['an identity of anybody', signersOf({ identities: [{ issuer: 'https://login.example' }] }), true],
    ['an identity by too many wildcards', signersOf({ identities: [{ issuer: 'i', subject: '*a*b*' }] }), true],
    [
      'more keys than anybody has',
      signersOf({ keys: Array.from({ length: 17 }, (_, at) => `${String(at)}.pub`) }),
      true,
    ],
    ['a signer of an odd name', { ...full(), signers: { 'A b': { keys: ['a'] } } }, true],
    ['a login without a root', changed((document) => delete document['trustedRoot']), false],
    ['a log without a root', { ...signersOf({ keys: ['a'], log: true }), trustedRoot: '' }, false],
  ];

  const schema = z.fromJSONSchema(
    JSON.parse(readFileSync(join(import.meta.dirname, '../../signature-policy.schema.json'), 'utf8')),
  );

  it.each(refused)('refuses %s, as the schema does', (_what, document, bySchema) => {
    expect(() => parse(document)).toThrow(OciError);
    expect(schema.safeParse(document).success).toBe(!bySchema);
  });

  it('refuses an empty file, and what the schema accepts it reads', () => {
    for (const text of ['', '{', 'null', '\u0000']) {
      expect(() => parseSignaturePolicy(new TextEncoder().encode(text))).toThrow(OciError);
    }
    expect(schema.safeParse(full()).error).toBeUndefined();
  });
});

describe('matchesPattern()', () => {
  it.each([
    ['a.example/b', 'a.example/b', true],
    ['a.example/b', 'aXexample/b', false],
    ['a.example/*', 'a.example/b', true],
    ['a.example/*', 'a.example/b/c', false],
    ['a.example/*', 'a.example/', true],
    ['a.example/**', 'a.example/b/c', true],
    ['a.example/*-app', 'a.example/b-app', true],
    ['a.example/**', 'b.a.example/b', false],
    ['**', 'anything\nat all', true],
    ['(a+)+$', 'aaaa', false],
    ['***', 'a', false],
    ['**', 'a'.repeat(2049), false],
  ])('%s and %j: %s', (pattern, text, expected) => {
    expect(matchesPattern(pattern, text)).toBe(expected);
  });

  it('is done soon with the worst of texts', () => {
    const spent = startProcessorClock();
    expect(matchesPattern('**a**b', 'a'.repeat(2048))).toBe(false);
    expect(spent()).toBeLessThan(RUNAWAY_MS);
  });
});
