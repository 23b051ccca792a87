// Attestation results: what a token says of a proof, and what no relying party should take.
import { utf8 } from '@ringwall/bytes';
import * as fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { sha256, withEvent, indexOf } from '../testing/event-log.ts';
import { makeProof, makeSigner } from '../testing/proofs.ts';
import { MACHINE, makeScene, type Scene } from '../testing/scene.ts';
import { NOW } from '../testing/vtpm-ca.ts';
import { toBase64Url } from './base64.ts';
import { earOfProof } from './ear-of-proof.ts';
import { EAR_PROFILE_DOTTED, MAX_EAR_BYTES, signEar, tierOf, verifyEar, type Ear, type EarTrust } from './ear.ts';
import { EvidenceError } from './errors.ts';
import { verifyProof } from './proof-report.ts';
import type { Proof } from './proof.ts';
import type { Signer } from './signer.ts';

const VERIFIER = { developer: 'https://ringwall.example', build: 'ringwall 0.1.0' };

let scene: Scene;
let broker: Signer;
let proof: Proof;
let token: string;
beforeAll(async () => {
  scene = await makeScene();
  broker = await makeSigner();
  proof = await makeProof(scene, broker);
  token = await signEar(await earOf(proof), broker);
});

async function earOf(bundle: Proof, brokerKey?: Uint8Array): Promise<Ear> {
  const report = await verifyProof(bundle, { brokerKey: brokerKey ?? broker.publicKey, now: NOW });
  return earOfProof(bundle, report, VERIFIER);
}

const trust = (changes: Partial<EarTrust> = {}): EarTrust => ({ publicKey: broker.publicKey, now: NOW, ...changes });

/** A token of the broker with another header or other claims. */
async function forged(change: {
  header?: unknown;
  claims?: (claims: Record<string, unknown>) => void;
}): Promise<string> {
  const [header = '', payload = ''] = token.split('.');
  const claims: Record<string, unknown> = JSON.parse(atob(payload.replaceAll('-', '+').replaceAll('_', '/')));
  change.claims?.(claims);
  const first = change.header === undefined ? header : toBase64Url(utf8(JSON.stringify(change.header)));
  const signed = `${first}.${toBase64Url(utf8(JSON.stringify(claims)))}`;
  return `${signed}.${toBase64Url(await broker.sign(utf8(signed)))}`;
}

describe('earOfProof()', () => {
  it('affirms what was proven, and claims nothing that was not looked at', async () => {
    expect((await verifyEar(token, trust())).appraisals).toEqual([
      {
        name: MACHINE,
        status: 'affirming',
        vector: {
          'instance-identity': 2,
          configuration: 2,
          executables: 3,
          'file-system': 2,
          hardware: 0,
          'runtime-opaque': 0,
          'storage-opaque': 3,
          'sourced-data': 0,
        },
        policyIds: [expect.stringMatching(/^ni:\/\/\/sha-256;[A-Za-z0-9_-]{43}$/)],
      },
    ]);
  });

  it('contraindicates another kernel, and says that the executables are why', async () => {
    const kernel = indexOf(4, 0x8000_0003);
    const altered = await makeProof(scene, broker, { events: withEvent(kernel, { digest: sha256(utf8('evil')) }) });
    const [appraisal] = (await earOf(altered)).appraisals;
    expect(appraisal?.status).toBe('contraindicated');
    // A refused machine was never asked to open a credential: nobody saw that its key is inside the TPM.
    expect(appraisal?.vector).toMatchObject({ 'instance-identity': 32, executables: 96, 'storage-opaque': 0 });
  });

  it('only warns of what rests on the bundle’s own word', async () => {
    const report = await verifyProof(proof, { now: NOW });
    const [appraisal] = (await earOfProof(proof, report, VERIFIER)).appraisals;
    expect(appraisal?.status).toBe('warning');
  });
});

describe('signEar() and verifyEar()', () => {
  it('agree in both spellings', async () => {
    const ear = await earOf(proof);
    for (const profile of [ear.profile, EAR_PROFILE_DOTTED] as const) {
      const read = await verifyEar(await signEar({ ...ear, profile }, broker), trust({ nonce: scene.challenge.nonce }));
      expect(read).toEqual({ ...ear, profile });
    }
  });

  it('write the claims of draft 04 and of those before it', async () => {
    const claims = (text: string): Record<string, unknown> =>
      JSON.parse(atob((text.split('.')[1] ?? '').replaceAll('-', '+').replaceAll('_', '/')));
    expect(Object.keys(claims(token)).toSorted()).toEqual([
      'ear_verifier_id',
      'eat_nonce',
      'eat_profile',
      'iat',
      'submods',
    ]);
    const dotted = claims(await signEar({ ...(await earOf(proof)), profile: EAR_PROFILE_DOTTED }, broker));
    expect(dotted).toMatchObject({
      'ear.verifier-id': VERIFIER,
      submods: { [MACHINE]: { 'ear.status': 'affirming', 'ear.appraisal-policy-id': expect.any(String) } },
    });
  });

  it('refuse the token of another key, and one that was altered anywhere', async () => {
    await expect(verifyEar(token, trust({ publicKey: (await makeSigner()).publicKey }))).rejects.toThrow(
      'not that of the verifier',
    );
    for (let at = 0; at < token.length; at += 7) {
      const other = token[at] === 'A' ? 'B' : 'A';
      await expect(verifyEar(`${token.slice(0, at)}${other}${token.slice(at + 1)}`, trust())).rejects.toThrow(
        EvidenceError,
      );
      await expect(verifyEar(token.slice(0, at), trust())).rejects.toThrow(EvidenceError);
    }
  });

  it.each<[what: string, change: Parameters<typeof forged>[0], says: string]>([
    ['the algorithm none', { header: { alg: 'none' } }, 'ES256'],
    ['an HMAC with the public key', { header: { alg: 'HS256' } }, 'ES256'],
    ['extensions that must be understood', { header: { alg: 'ES256', crit: ['b64'] } }, 'must be understood'],
    ['an unknown profile', { claims: (claims) => (claims['eat_profile'] = 'mine') }, 'profile'],
    ['no appraisal', { claims: (claims) => (claims['submods'] = {}) }, 'appraises nothing'],
    ['no time', { claims: (claims) => delete claims['iat'] }, 'iat'],
    ['a time that has passed', { claims: (claims) => (claims['exp'] = NOW.getTime() / 1000 - 1) }, 'expired'],
    [
      'a status that its vector contradicts',
      {
        claims: (claims) =>
          Object.assign(Object(Object(claims['submods'])[MACHINE]).ear_trustworthiness_vector, { hardware: 97 }),
      },
      'does not',
    ],
    [
      'a status that nobody knows',
      { claims: (claims) => (Object(Object(claims['submods'])[MACHINE]).ear_status = 'splendid') },
      'ear_status',
    ],
  ])('refuse %s', async (_what, change, says) => {
    await expect(verifyEar(await forged(change), trust())).rejects.toThrow(says);
  });

  it('refuse one that is too old, from the future, for another question, or too large', async () => {
    await expect(verifyEar(token, trust({ now: new Date(NOW.getTime() + 61_000), maxAgeSeconds: 60 }))).rejects.toThrow(
      '61 s old',
    );
    await expect(verifyEar(token, trust({ now: new Date(NOW.getTime() - 301_000) }))).rejects.toThrow('future');
    await expect(verifyEar(token, trust({ now: new Date(Number.NaN) }))).rejects.toThrow('not known');
    await expect(verifyEar(token, trust({ nonce: new Uint8Array(32) }))).rejects.toThrow('another question');
    await expect(verifyEar('A'.repeat(MAX_EAR_BYTES + 1), trust())).rejects.toThrow('at most');
  });

  it('throw EvidenceError alone, on any text', async () => {
    await fc.assert(
      fc.asyncProperty(fc.string(), async (text) => {
        await expect(verifyEar(text, trust())).rejects.toThrow(EvidenceError);
      }),
      { numRuns: 200 },
    );
  });
});

describe('tierOf()', () => {
  it('follows AR4SI', () => {
    const values = [0, 1, -1, 2, 31, -2, -32, 32, 95, -33, 96, 127, -97, -128];
    expect(values.map((value) => tierOf(value).charAt(0)).join('')).toBe('nnnaaaawwwcccc');
  });
});
