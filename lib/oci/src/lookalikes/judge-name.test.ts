import { assert, constantFrom, property, string } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { OciError } from '../oci-error.ts';
import { compileLookalikes, type NameVerdict } from './judge-name.ts';

const PRIVATE = 'registry.acme.internal:5000/payments/api:2.1';
const plain = compileLookalikes({});
const tenant = compileLookalikes({ history: [PRIVATE, 'acmecorp/edge-router:5', 'nginx:1.29'] });

describe('compileLookalikes()', () => {
  it.each<[name: string, verdict: NameVerdict['verdict'], intended: string | undefined, reason: string]>([
    ['nginx', 'allow', undefined, 'the name is an official image'],
    ['ngnix', 'block', 'nginx', '“ngnix” swaps two letters of “nginx”, an official image'],
    ['nginx:latets', 'ask', 'nginx:latest', '“latets” swaps two letters of “latest”, a usual word in tags'],
    [
      'bitnarni/redis',
      'block',
      'bitnami/redis',
      '“bitnarni” looks the same as “bitnami”, a namespace that is known on this registry',
    ],
    ['nginx-official', 'block', 'nginx', '“nginx-official” joins “nginx”, an official image, with “official”'],
    [
      'bitnami-redis',
      'block',
      'bitnami/redis',
      '“bitnami-redis” has the letters of “bitnami/redis”, divided otherwise, which is widely used',
    ],
    ['ghcr.com/a/b', 'block', 'ghcr.io/a/b', '“ghcr.com” is “ghcr.io” under another top-level domain'],
    [
      'ghcr.io.evil.example/a/b',
      'block',
      'ghcr.io/a/b',
      '“ghcr.io.evil.example” carries “ghcr.io” in its name and belongs to somebody else',
    ],
    [
      'quay/coreos/etcd',
      'block',
      'quay.io/coreos/etcd',
      '“quay” is here a namespace of Docker Hub, not the registry “quay.io”',
    ],
    [
      'node-alpine',
      'ask',
      'node',
      'no official image is called “node-alpine”; a variant of “node” is a tag, as in “node:…”',
    ],
    [
      'terraform',
      'ask',
      'hashicorp/terraform',
      'no official image is called “terraform”; “hashicorp/terraform” is widely used',
    ],
    ['someone/something', 'allow', undefined, 'the name is like no other'],
    ['nginх', 'block', 'nginx', 'the name is written with the foreign letter U+0445 and looks like “nginx”'],
  ])('judges %s: %s', (name, verdict, intended, reason) => {
    expect(plain.judge(name)).toMatchObject({ verdict, intended, reason });
  });

  it('stops a private name that is asked of a public registry', () => {
    expect(tenant.judge('payments/api')).toMatchObject({
      verdict: 'block',
      intended: 'registry.acme.internal:5000/payments/api',
      reason:
        '“payments/api” is known here from “registry.acme.internal:5000”; this would come from “docker.io”, where anybody may have published it',
    });
    expect(plain.judge('payments/api').verdict).toBe('allow');
  });

  it('lets a name pass that is also official where a private mirror has it', () => {
    const mirrored = compileLookalikes({ history: ['registry.acme.internal:5000/nginx'] });
    expect(mirrored.judge('nginx').verdict).toBe('allow');
    expect(mirrored.judge('ghcr.io/nginx').verdict).not.toBe('block');
  });

  it('imitations of what only this tenant knows are seen by its history', () => {
    expect(tenant.judge('acmecrop/edge-router')).toMatchObject({ verdict: 'block', intended: 'acmecorp/edge-router' });
    expect(plain.judge('acmecrop/edge-router').verdict).toBe('allow');
    expect(tenant.judge('nginx:l.29')).toMatchObject({ verdict: 'ask', intended: 'nginx:1.29' });
  });

  it('a protected name is held against others as history is', () => {
    const guarded = compileLookalikes({ protected: ['ghcr.io/acme-industries/telemetry'] });
    expect(guarded.judge('ghcr.io/acme-lndustries/telemetry').verdict).toBe('block');
  });

  it('the allow-list ends all questions, by name and by namespace', () => {
    const open = compileLookalikes({ allowed: ['ngnix', 'GHCR.io/acme/*', 'registry.acme.example/*'] });
    expect(open.judge('ngnix:latets')).toMatchObject({ verdict: 'allow', reason: 'the name is on the allow-list' });
    expect(open.judge('ghcr.io/acme/pyhton').verdict).toBe('allow');
    expect(open.judge('registry.acme.example/a/b').verdict).toBe('allow');
    expect(open.judge('ghcr.io/acmee/pyhton').verdict).not.toBe('allow');
    expect(open.judge('ghcr.io/acme.evil/a').verdict).toBe('allow');
    expect(open.judge('registry.acme.example.evil.test/a').verdict).toBe('block');
  });

  it('scores each part on its own, and the second makes the first stronger', () => {
    const { parts, score } = plain.judge('bitnamii/ngnix:latets');
    expect(parts.map(({ part }) => part)).toEqual(['namespace', 'repository', 'tag']);
    expect(parts).toEqual(parts.toSorted((one, other) => other.score - one.score));
    expect(score).toBeGreaterThan(parts[0]?.score ?? 1);
  });

  it('another port is not another owner, another account is', () => {
    const account = compileLookalikes({ history: ['123456789012.dkr.ecr.eu-central-1.amazonaws.com/a/b'] });
    expect(tenant.judge('registry.acme.internal:5001/payments/api').verdict).toBe('allow');
    expect(account.judge('123456789021.dkr.ecr.eu-central-1.amazonaws.com/a/b').verdict).toBe('ask');
    expect(account.judge('123456789012.dkr.ecr.us-east-1.amazonaws.com/a/b').verdict).toBe('allow');
  });

  it('sees through punycode', () => {
    const scope = compileLookalikes({ history: ['scope.example/tools/probe'] });
    expect(scope.judge('ѕсоре.example/tools/probe')).toMatchObject({
      verdict: 'block',
      intended: 'scope.example/tools/probe',
    });
    expect(scope.judge('xn--e1argc3h.example/a').verdict).toBe('block');
  });

  it('refuses what is no reference, in the lists too', () => {
    expect(() => plain.judge('a b')).toThrow(OciError);
    expect(() => plain.judge('日本')).toThrow(OciError);
    expect(() => compileLookalikes({ history: ['a b'] })).toThrow(OciError);
    expect(() => compileLookalikes({ allowed: ['*/*'] })).toThrow(OciError);
  });

  it('throws only OciError, gives a reason always, and an intended name with every doubt', () => {
    const unit = constantFrom(...Array.from('nginx.:/@-_0оé\u200b'), 'docker.io/', 'library/', 'official', 'ghcr');
    assert(
      property(string({ unit, maxLength: 16 }), (text) => {
        try {
          const { verdict, intended, reason, score } = tenant.judge(text);
          return (
            reason !== '' && (verdict === 'allow') === score < 0.5 && (verdict === 'allow') === (intended === undefined)
          );
        } catch (error) {
          return error instanceof OciError;
        }
      }),
      { numRuns: 1000 },
    );
  });

  it('takes the longest names that the grammar has', () => {
    const long = `${'a'.repeat(120)}/${'b'.repeat(120)}`;
    const index = compileLookalikes({ history: Array.from({ length: 200 }, (_, at) => `${long}${at}`) });
    expect(index.judge(`${long}x`).verdict).toBe('allow');
  });
});
