// Signed reference values: what the signature covers, who may sign, and when they count.
import { toHex } from '@ringwall/bytes';
import * as fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { realReference } from '../testing/event-log.ts';
import { makeSigner } from '../testing/proofs.ts';
import { failed, makeScene, type Scene } from '../testing/scene.ts';
import { NOW } from '../testing/vtpm-ca.ts';
import { EvidenceError } from './errors.ts';
import { defaultPolicy, type PolicyV2 } from './policy.ts';
import { checkReferenceTime } from './reference-manifest.ts';
import {
  checkReferenceSignature,
  decodeReference,
  encodeReference,
  MAX_REFERENCE_BYTES,
  parseSignedReference,
  referenceId,
  referenceJson,
  signReference,
  type SignedReference,
  type UnsignedReference,
} from './signed-reference.ts';
import type { Signer } from './signer.ts';

const DAY_MS = 24 * 3600 * 1000;
const later = (days: number): Date => new Date(NOW.getTime() + days * DAY_MS);

let scene: Scene;
let maker: Signer;
let unsigned: UnsignedReference;
let reference: SignedReference;
beforeAll(async () => {
  scene = await makeScene();
  maker = await makeSigner();
  const { firmware, image, events } = await realReference();
  unsigned = {
    by: 'the maker of hello',
    for: { firmware, kernel: { name: 'vmlinuz-6.1.0', digest: 'cd'.repeat(32) }, image },
    events: events.map((event) =>
      event.what === 'kernel' ? { ...event, file: 'kernel', package: 'linux-image-6.1.0 6.1.76-1' } : event,
    ),
    packages: [{ name: 'busybox-static', version: '1:1.35.0-4' }],
    notBefore: later(-1),
    notAfter: later(90),
  };
  reference = await signReference(unsigned, maker);
});

type Json = Record<string, unknown>;
const changed = (change: (value: Json) => void): Json => {
  const value: Json = JSON.parse(encodeReference(reference));
  change(value);
  return value;
};

describe('signReference()', () => {
  it('makes what decodeReference() reads, in every detail', async () => {
    expect(decodeReference(encodeReference(reference))).toEqual(reference);
    expect(reference).toMatchObject(unsigned);
    expect((await checkReferenceSignature(reference)).ok).toBe(true);
  });

  it('gives the same content the same id, whoever signs it and until when', async () => {
    const again = await signReference({ ...unsigned, by: 'another', notAfter: later(7) }, await makeSigner());
    expect(again.id).toBe(reference.id);
    expect(await referenceId({ ...unsigned, packages: [] })).not.toBe(reference.id);
    const [first] = unsigned.events;
    expect(await referenceId({ ...unsigned, events: first === undefined ? [] : [first] })).not.toBe(reference.id);
  });

  it('refuses to sign what nobody could read', async () => {
    await expect(signReference({ ...unsigned, events: [] }, maker)).rejects.toThrow('expects nothing');
    await expect(signReference({ ...unsigned, notAfter: later(-2) }, maker)).rejects.toThrow('not after notBefore');
    await expect(signReference({ ...unsigned, notAfter: later(800) }, maker)).rejects.toThrow('two years');
  });
});

describe('checkReferenceSignature()', () => {
  it('refuses a change of anything', async () => {
    const changes: readonly ((value: Json) => void)[] = [
      (value) => (value['id'] = `ref_${'00'.repeat(32)}`),
      (value) => (value['by'] = { name: 'somebody else', publicKey: toHex(maker.publicKey) }),
      (value) => (value['notBefore'] = later(-2).toISOString()),
      (value) => (value['notAfter'] = later(365).toISOString()),
      (value) => (value['packages'] = []),
      (value) => (value['signature'] = 'ab'.repeat(64)),
      (value) => (value['events'] = [...Object(value['events'])].slice(1)),
      (value) => Object.assign(Object(Object(value['for'])['image']), { digest: '00'.repeat(32) }),
      (value) => Object.assign(Object(Object(value['events'])[0]), { digest: '00'.repeat(32) }),
      (value) => Object.assign(Object(Object(value['events'])[0]), { file: 'kernel' }),
    ];
    for (const change of changes) {
      const answer = await checkReferenceSignature(parseSignedReference(changed(change)));
      expect(answer.ok, change.toString()).toBe(false);
    }
  });

  it('refuses what another key signed, and a key that is no point', async () => {
    const other = await makeSigner();
    expect((await checkReferenceSignature({ ...reference, publicKey: other.publicKey })).ok).toBe(false);
    expect((await checkReferenceSignature({ ...reference, publicKey: new Uint8Array(64) })).ok).toBe(false);
  });
});

describe('decodeReference()', () => {
  it.each<[what: string, change: (value: Json) => void]>([
    ['another format', (value) => (value['format'] = 'ringwall-reference/2')],
    ['an unknown key', (value) => (value['note'] = 'trust me')],
    ['a time in another form', (value) => (value['notAfter'] = '2027-01-01')],
    ['an id of another form', (value) => (value['id'] = 'ref_1')],
    ['an escape sequence', (value) => (value['packages'] = [{ name: '\u001b[2J', version: '1' }])],
    ['packages without end', (value) => (value['packages'] = Array.from({ length: 2049 }, () => ({})))],
  ])('refuses %s', (_what, change) => {
    expect(() => decodeReference(JSON.stringify(changed(change)))).toThrow(EvidenceError);
  });

  it('refuses what is too large, every truncation, and any JSON, with EvidenceError alone', () => {
    const text = encodeReference(reference);
    expect(() => decodeReference(`${' '.repeat(MAX_REFERENCE_BYTES)}{}`)).toThrow(EvidenceError);
    for (let length = 0; length < text.length - 2; length += 17) {
      expect(() => decodeReference(text.slice(0, length))).toThrow(EvidenceError);
    }
    fc.assert(
      fc.property(fc.json(), (json) => {
        expect(() => decodeReference(json)).toThrow(EvidenceError);
      }),
      { numRuns: 200 },
    );
  });
});

describe('checkReferenceTime()', () => {
  it('lets them count from notBefore to notAfter', () => {
    expect(checkReferenceTime(reference, NOW).ok).toBe(true);
    expect(checkReferenceTime(reference, later(-2)).ok).toBe(false);
    expect(checkReferenceTime(reference, later(91))).toEqual({
      ok: false,
      detail: `the reference values expired on ${later(90).toISOString()}`,
    });
  });
});

describe('judgeVtpm() with signed reference values', () => {
  const policy = (references: PolicyV2['references']): PolicyV2 => {
    const { bank, pcrs, untouchedPcrs } = defaultPolicy;
    const named = references === undefined ? {} : { references };
    return { version: 2, evidence: ['vtpm'], bank, pcrs, untouchedPcrs, rules: [], ...named };
  };

  it('accepts them from a signer, or as the very ones, that the policy names', async () => {
    const evidence = await scene.evidence();
    for (const references of [
      undefined,
      { signers: [toHex(maker.publicKey)], ids: [] },
      { signers: [], ids: [reference.id] },
    ]) {
      const judgement = await scene.judge(evidence, { reference, policy: policy(references) });
      expect(failed(judgement)).toEqual([]);
    }
  });

  it('refuses those of a signer whom the policy does not name', async () => {
    const references = { signers: ['ab'.repeat(64)], ids: [`ref_${'cd'.repeat(32)}`] };
    const judgement = await scene.judge(await scene.evidence(), { reference, policy: policy(references) });
    expect(failed(judgement)).toEqual(['reference-authority']);
  });

  it('refuses unsigned ones where the policy names a signer', async () => {
    const references = { signers: [toHex(maker.publicKey)], ids: [] };
    const judgement = await scene.judge(await scene.evidence(), { policy: policy(references) });
    expect(failed(judgement)).toEqual(['reference-authority']);
  });

  it('refuses expired ones, and altered ones', async () => {
    const evidence = await scene.evidence();
    const expired = await signReference({ ...unsigned, notBefore: later(-9), notAfter: later(-1) }, maker);
    expect(failed(await scene.judge(evidence, { reference: expired }))).toEqual(['reference-time']);
    const altered = { ...reference, by: 'somebody else' };
    expect(failed(await scene.judge(evidence, { reference: altered }))).toEqual(['reference-signature']);
    const unreadable = { ...reference, events: [] };
    expect(failed(await scene.judge(evidence, { reference: unreadable }))).toContain('reference');
  });

  it('remembers a signature that held only of what nobody can change any more', async () => {
    const parsed = parseSignedReference(referenceJson(reference));
    expect((await checkReferenceSignature(parsed)).ok).toBe(true);
    expect(() => Object.assign(parsed, { by: 'somebody else' })).toThrow(TypeError);
    expect(() => Object.assign(parsed.events[0] ?? {}, { digest: '00'.repeat(32) })).toThrow(TypeError);
    expect((await checkReferenceSignature({ ...parsed, by: 'somebody else' })).ok).toBe(false);
  });
});
