import { toHex, utf8 } from '@ringwall/bytes';
import {
  defaultPolicy,
  encodeHostReference,
  encodeProof,
  encodeReference,
  MAX_PROOF_BYTES,
  signReference,
  type HostReference,
  type Signer,
} from '@ringwall/evidence';
import { beforeAll, describe, expect, it } from 'vitest';
import { makeHostScene } from '../../../lib/evidence/testing/host-scene.ts';
import { makeProof, makeSigner } from '../../../lib/evidence/testing/proofs.ts';
import { makeScene, type Scene } from '../../../lib/evidence/testing/scene.ts';
import { NOW, YEAR_MS } from '../../../lib/evidence/testing/vtpm-ca.ts';
import { EXPLANATIONS } from './explanations.ts';
import { answerOf, type Answer } from './judgement.ts';
import { Mistake, recognise, type MistakeCode } from './material.ts';

let scene: Scene;
let broker: Signer;
let proof: string;
let host: HostReference;
let key: string;
let pem: string;
beforeAll(async () => {
  scene = await makeScene();
  broker = await makeSigner();
  host = (await makeHostScene()).reference;
  proof = encodeProof(await makeProof(scene, broker));
  key = toHex(broker.publicKey);
  pem = pemOf(scene.ca.der);
});

function pemOf(der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
}

function kindOf(content: string | Uint8Array): Promise<string> {
  const bytes = typeof content === 'string' ? utf8(content) : content;
  return recognise({ name: 'x', bytes }, NOW).then(({ kind }) => kind);
}

async function mistakeOf(content: string | Uint8Array): Promise<MistakeCode | 'none'> {
  try {
    await kindOf(content);
    return 'none';
  } catch (error) {
    if (error instanceof Mistake) return error.code;
    throw error;
  }
}

async function signed(changes: { notAfter?: Date } = {}): Promise<string> {
  const { events, firmware, image } = scene.reference;
  const content = {
    for: { firmware, kernel: { name: 'linux', digest: 'cd'.repeat(32) }, image },
    events,
    packages: [],
  };
  const life = {
    notBefore: new Date(NOW.getTime() - YEAR_MS / 2),
    notAfter: new Date(NOW.getTime() + YEAR_MS),
    ...changes,
  };
  return encodeReference(await signReference({ ...content, by: 'us', ...life }, broker));
}

describe('recognise()', () => {
  it.each<[kind: string, what: string, content: () => string | Uint8Array | Promise<string>]>([
    ['proof', 'a proof', () => proof],
    ['broker-key', 'a key', () => key],
    ['broker-key', 'a key with a comment', () => `${key} of my host\n`],
    ['vtpm-ca', 'PEM', () => pem],
    ['vtpm-ca', 'PEM with other line ends', () => `\r\n${pem.replaceAll('\n', '\r\n')}`],
    ['vtpm-ca', 'DER', () => scene.ca.der],
    ['reference', 'reference values', () => JSON.stringify(scene.reference)],
    ['reference', 'signed reference values', () => signed()],
    ['host', 'reference values of a host', () => encodeHostReference(host)],
    ['policy', 'a policy', () => JSON.stringify(defaultPolicy)],
  ])('sees a %s in %s', async (kind, _what, content) => {
    expect(await kindOf(await content())).toBe(kind);
  });

  it.each<[code: MistakeCode, what: string, content: () => string | Uint8Array | Promise<string>]>([
    ['empty', 'nothing', () => ''],
    ['not-known', 'bytes that are not text', () => Uint8Array.of(0xff, 0xfe, 0x00)],
    ['not-known', 'prose', () => 'hello'],
    ['not-known', 'a proof that was cut off', () => proof.slice(0, -40)],
    ['not-known', 'nesting without end', () => '['.repeat(200_000)],
    ['not-known', 'a key that is too short', () => key.slice(1)],
    ['not-known', 'a key in upper case', () => key.toUpperCase().replaceAll(/\d/g, 'A')],
    ['not-a-proof', 'a list', () => '[]'],
    ['not-a-proof', 'null', () => 'null'],
    ['not-a-proof', 'JSON of something else', () => '{"hello": "world"}'],
    ['not-a-proof', 'another format', () => '{"format": "cyclonedx"}'],
    ['not-a-proof', 'a format that is no text', () => '{"format": {}}'],
    ['not-a-proof', 'deep nesting that ends', () => `${'['.repeat(5000)}${']'.repeat(5000)}`],
    ['unknown-version', 'a proof of the future', () => proof.replace(/ringwall-proof\/\d/, 'ringwall-proof/999')],
    ['malformed', 'a proof with an unknown key', () => proof.replace('{', '{"note": "trust me",')],
    ['malformed', 'a proof with __proto__', () => proof.replace('{', '{"__proto__": {"outcome": "proven"},')],
    ['malformed', 'a proof with a constructor', () => proof.replace('{', '{"constructor": {"prototype": {}},')],
    ['malformed', 'a control character in a name', () => proof.replace('"alpha"', String.raw`"al\u001b[2Jpha"`)],
    ['bad-anchor', 'a certificate without an end', () => pem.slice(0, 200)],
    ['bad-anchor', 'a certificate that is not base64', () => pem.replace(/\n./, '\n!')],
    ['bad-anchor', 'reference values that expect nothing', () => JSON.stringify({ ...scene.reference, events: [] })],
    ['bad-anchor', 'a policy that demands nothing', () => JSON.stringify({ ...defaultPolicy, pcrs: [] })],
    ['bad-anchor', 'signed reference values that were altered', async () => (await signed()).replace('"us"', '"me"')],
    ['bad-anchor', 'an altered host', () => encodeHostReference(host).replace('"required": true', '"required": false')],
    ['bad-anchor', 'reference values that have expired', () => signed({ notAfter: new Date(NOW.getTime() - 1000) })],
  ])('says %s of %s', async (code, _what, content) => {
    expect(await mistakeOf(await content())).toBe(code);
  });

  it('pollutes no prototype', async () => {
    await mistakeOf('{"__proto__": {"polluted": true}, "format": "ringwall-proof/1"}');
    expect('polluted' in {}).toBe(false);
  });
});

describe('answerOf()', () => {
  const ask = (...contents: readonly string[]): Promise<Answer> =>
    answerOf({
      given: contents.map((content, at) => ({ name: `file ${at}`, bytes: utf8(content) })),
      nowMs: NOW.getTime(),
    });
  const outcome = async (...contents: readonly string[]): Promise<string | undefined> =>
    (await ask(...contents)).judged?.report.outcome;

  it('judges a proof by what is given beside it, in any order', async () => {
    expect(await outcome(proof)).toBe('unanchored');
    expect(await outcome(proof, key)).toBe('proven');
    expect(await outcome(pem, key, proof)).toBe('proven');
    expect(await outcome(JSON.stringify(defaultPolicy), key, proof)).toBe('proven');
    expect(await outcome(proof, '00'.repeat(64))).toBe('invalid');
    expect(await outcome(proof, key, `reference-key ${'00'.repeat(64)}`)).toBe('refused');
  });

  it('takes the later of two of one kind', async () => {
    expect(await outcome(proof, '00'.repeat(64), key)).toBe('proven');
    const answer = await ask('00'.repeat(64), proof, key);
    expect(answer.taken.map(({ at, kind }) => [at, kind])).toEqual([
      [2, 'broker-key'],
      [1, 'proof'],
    ]);
  });

  it('shows no verdict of an old proof beside a new one that cannot be read', async () => {
    const answer = await ask(proof, key, proof.slice(0, -10));
    expect(answer.judged).toBeUndefined();
    expect(answer.refused.map(({ code }) => code)).toEqual(['not-known']);
    expect(answer.taken.map(({ kind }) => kind)).toEqual(['broker-key']);
  });

  it('goes on without something to trust that cannot be used', async () => {
    const answer = await ask(proof, key, pem.slice(0, 100));
    expect(answer.judged?.report.outcome).toBe('proven');
    expect(answer.refused.map(({ code }) => code)).toEqual(['bad-anchor']);
  });

  it('has no verdict without a proof', async () => {
    expect((await ask(key)).judged).toBeUndefined();
    expect((await ask()).taken).toEqual([]);
  });

  it('has an explanation for every check of a report', async () => {
    const report = (await ask(proof, key)).judged?.report;
    const ids = [...(report?.checks ?? []), ...(report?.verdict.checks ?? [])].map(({ id }) => id);
    expect(ids.length).toBeGreaterThan(30);
    expect(ids.filter((id) => !(id in EXPLANATIONS))).toEqual([]);
  });

  it('takes what is as large as a proof may be', async () => {
    expect((await ask(' '.repeat(MAX_PROOF_BYTES))).refused.map(({ code }) => code)).toEqual(['not-known']);
  });
});
