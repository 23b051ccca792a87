// Whose word on what must be measured a verifier takes: reference values of their own, signed or not, and the key of whoever
// signs them.
import { beforeAll, describe, expect, it } from 'vitest';
import { makeRanScene, type RanScene } from '../testing/ran.ts';
import { makeSigner } from '../testing/proofs.ts';
import { NOW } from '../testing/vtpm-ca.ts';
import { verifyProof, type ProofReport, type ProofTrust, type Source } from './proof-report.ts';
import type { Proof } from './proof.ts';
import { signReference, type SignedReference } from './signed-reference.ts';

const DAY_MS = 24 * 3600 * 1000;

let scene: RanScene;
let proof: Proof;
let reference: SignedReference;
beforeAll(async () => {
  scene = await makeRanScene();
  proof = await scene.proof(scene.watched.booted);
  if (proof.signedReference === undefined) throw new Error('nobody signed');
  reference = proof.signedReference;
});

const judged = (trust: Partial<ProofTrust>): Promise<ProofReport> =>
  verifyProof(proof, { brokerKey: scene.broker.publicKey, now: NOW, ...trust });
const sourceOf = ({ anchors }: ProofReport): Source | undefined => anchors.find(({ id }) => id === 'reference')?.source;
const failedOf = ({ verdict }: ProofReport): string[] => verdict.checks.filter(({ ok }) => !ok).map(({ id }) => id);

describe('verifyProof() by reference values of the verifier’s own', () => {
  it('takes signed ones with the key whose word is taken, and is proven by it', async () => {
    const report = await judged({ reference, referenceKey: scene.maker.publicKey });
    expect([report.outcome, sourceOf(report)]).toEqual(['proven', 'caller']);
  });

  it('takes signed ones for the word of whoever hands them in, where no key is named', async () => {
    expect(sourceOf(await judged({ reference }))).toBe('caller');
  });

  it('takes those in the bundle where the key that signed them is named', async () => {
    const report = await judged({ referenceKey: scene.maker.publicKey });
    expect([report.outcome, sourceOf(report)]).toEqual(['proven', 'caller']);
    expect(sourceOf(await judged({}))).toBe('broker');
  });

  it('refuses those that another key has signed, of the verifier as of the bundle', async () => {
    const { publicKey } = await makeSigner();
    for (const trust of [{ reference, referenceKey: publicKey }, { referenceKey: publicKey }]) {
      const report = await judged(trust);
      expect(report.outcome).toBe('refused');
      expect(failedOf(report)).toEqual(['reference-authority']);
    }
  });

  it('refuses unsigned ones where a key is named', async () => {
    const report = await judged({ reference: proof.reference, referenceKey: scene.maker.publicKey });
    expect(failedOf(report)).toEqual(['reference-authority']);
  });

  it('refuses altered ones', async () => {
    const report = await judged({ reference: { ...reference, by: 'somebody else' } });
    expect(failedOf(report)).toEqual(['reference-signature']);
  });

  it('refuses its own where they have expired by now, although the boot is older; the bundle’s counted then', async () => {
    const now = new Date(NOW.getTime() + 2 * DAY_MS);
    const report = await judged({ reference, now });
    expect(report.outcome).toBe('refused');
    expect(failedOf(report)).toEqual(['reference-time']);
    expect((await judged({ referenceKey: scene.maker.publicKey, now })).outcome).toBe('proven');
  });

  it('refuses its own where they did not count yet when the machine booted', async () => {
    const { by, for: about, events, packages } = reference;
    const times = { notBefore: new Date(NOW.getTime() + DAY_MS), notAfter: new Date(NOW.getTime() + 9 * DAY_MS) };
    const later = await signReference({ by, for: about, events, packages, ...times }, scene.maker);
    const report = await judged({ reference: later, now: new Date(NOW.getTime() + 2 * DAY_MS) });
    expect(failedOf(report)).toEqual(['reference-time']);
  });
});
