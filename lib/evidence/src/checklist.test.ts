// The checklist of a verifier, points 1 to 4, 12, 13 and 15, each with the attack that its check stops and no other does:
// where the check is taken out, the attack passes. Points 5 and 6 are the broker's, 7 to 11 those of logs, 14 of hardware.
import { concatBytes, utf8 } from '@ringwall/bytes';
import { AK_ATTRIBUTES, encodePcrSelection, TPM_ALG, TPMA_OBJECT } from '@ringwall/tpm';
import { beforeAll, describe, expect, it } from 'vitest';
import { event, realEvents, sha256 } from '../testing/event-log.ts';
import { failed, makeScene, newChallenge, type Scene } from '../testing/scene.ts';
import type { Lies } from '../testing/software-tpm.ts';
import { ecKeys, makeCa, NOW } from '../testing/vtpm-ca.ts';
import { qualifyingData } from './challenge.ts';
import { releaseTargets } from './judge.ts';
import { defaultPolicy, type Policy } from './policy.ts';
import { overdueReason } from './watch/index.ts';

let scene: Scene;
beforeAll(async () => {
  scene = await makeScene();
});

const EV_SEPARATOR = 4;
const DEMANDED = defaultPolicy.pcrs;
const failedWith = async (lies: Lies): Promise<string[]> => failed(await scene.judge(await scene.evidence(lies)));

describe('checklist 1: the signature before parsing, magic and type, no trailing bytes', () => {
  it('refuses a quote that another key signed, and calls what it says a claim', async () => {
    const { privateKey } = await ecKeys();
    const { verdict } = await scene.judge(await scene.evidence({ signer: privateKey, quoteExtraData: utf8('x') }));
    const ids = verdict.checks.filter(({ ok }) => !ok).map(({ id }) => id);
    expect(ids).toContain('quote-signature');
    const nonce = verdict.checks.find(({ id }) => id === 'quote-nonce');
    expect(nonce?.detail).toContain('a claim only: the signature of the quote does not hold');
  });

  it('refuses what a TPM would not have generated, another attestation in its place, and bytes after it', async () => {
    expect(await failedWith({ magic: 0xff54_4346 })).toContain('quote-form');
    // TPM_ST_ATTEST_CERTIFY where a quote is due.
    expect(await failedWith({ quoteType: 0x8017 })).toContain('quote-form');
    expect(await failedWith({ certifyType: 0x8018 })).toContain('certify-form');
    expect(await failedWith({ trailing: Uint8Array.of(0) })).toContain('quote-form');
  });
});

describe('checklist 2: the quoted PCRs are the demanded ones, in SHA-256, and no bank goes uncovered', () => {
  it('refuses fewer PCRs, more PCRs, SHA-1, and two banks', async () => {
    expect(await failedWith({ pcrs: DEMANDED.filter((pcr) => pcr !== 7) })).toContain('quote-pcrs');
    expect(await failedWith({ pcrs: [...DEMANDED.slice(0, 10), 10, ...DEMANDED.slice(10)] })).toContain('quote-pcrs');
    expect(await failedWith({ selection: encodePcrSelection(TPM_ALG.SHA1, DEMANDED) })).toEqual(['quote-pcrs']);
    const two = concatBytes(
      Uint8Array.of(0, 0, 0, 2),
      encodePcrSelection(TPM_ALG.SHA256, DEMANDED).subarray(4),
      encodePcrSelection(TPM_ALG.SHA1, DEMANDED).subarray(4),
    );
    expect(await failedWith({ selection: two })).toEqual(['quote-pcrs']);
  });

  it('refuses a digest that the log does not replay to', async () => {
    const pcrValues = new Map([[7, sha256(utf8('extended without an event'))]]);
    expect(await failedWith({ pcrValues })).toEqual(['log-replay']);
  });
});

describe('checklist 3: one nonce encoding, bound to machine, boot and key', () => {
  it('refuses evidence for another nonce, another machine, another boot and another boot key', async () => {
    const evidence = await scene.evidence();
    const { challenge } = scene;
    for (const other of [
      newChallenge(),
      { ...challenge, boot: 'ff'.repeat(16) },
      { ...challenge, machine: 'mch_bbbbbbbbbbbbbbbbbbbb' },
    ]) {
      expect(failed(await scene.judge(evidence, { challenge: other }))).toEqual(
        expect.arrayContaining(['quote-nonce', 'certify-nonce']),
      );
    }
    const otherKey = await qualifyingData(challenge, concatBytes(Uint8Array.of(0, 11), sha256(utf8('another key'))));
    expect(await failedWith({ quoteExtraData: otherKey })).toEqual(['quote-nonce']);
  });

  it('refuses a nonce of another length and one that could be read as two lines', async () => {
    const evidence = await scene.evidence();
    for (const challenge of [
      { ...scene.challenge, nonce: new Uint8Array(31) },
      { ...scene.challenge, boot: `${'0'.repeat(31)}\n` },
    ]) {
      expect(failed(await scene.judge(evidence, { challenge }))).toContain('challenge');
    }
  });
});

describe('checklist 4: the attestation key is restricted, signs, and is bound to its TPM', () => {
  it.each<[what: string, attributes: number]>([
    ['not restricted', AK_ATTRIBUTES & ~TPMA_OBJECT.restricted],
    ['not for signing', AK_ATTRIBUTES & ~TPMA_OBJECT.sign],
    ['for decrypting', AK_ATTRIBUTES | TPMA_OBJECT.decrypt],
    ['not fixed to its TPM', AK_ATTRIBUTES & ~TPMA_OBJECT.fixedTPM],
    ['not fixed to its parent', AK_ATTRIBUTES & ~TPMA_OBJECT.fixedParent],
    ['not made in a TPM', AK_ATTRIBUTES & ~TPMA_OBJECT.sensitiveDataOrigin],
  ])('refuses a key that is %s', async (_what, akAttributes) => {
    expect(await failedWith({ akAttributes })).toEqual(['ak-attributes']);
  });

  it('computes the Name anew: a signer and a certified key by another Name are refused', async () => {
    const stranger = concatBytes(Uint8Array.of(0, 11), sha256(utf8('stranger')));
    expect(await failedWith({ quoteSigner: stranger })).toEqual(['quote-signer']);
    expect(await failedWith({ certifiedName: stranger })).toContain('certify-name');
  });

  it('follows the EK certificate to a root that the caller trusts, and refuses bytes around it', async () => {
    const evidence = await scene.evidence();
    const stranger = await makeCa();
    const foreign = await scene.judge(evidence, { trustedRoots: [stranger.der] });
    expect(failed(foreign)).toEqual(expect.arrayContaining(['ek-chain']));
    const padded = { ...evidence, ekCertificate: concatBytes(evidence.ekCertificate, new Uint8Array(16)) };
    const judged = await scene.judge(padded, { expectedEkCertificate: padded.ekCertificate });
    expect(failed(judged)).toContain('ek-form');
    expect(judged.verdict.reasons.join('\n')).toContain('the EK certificate cannot be read');
  });
});

describe('checklist 12: an empty policy refuses, and trust never comes from the evidence', () => {
  it('refuses good evidence under a policy that says nothing', async () => {
    const evidence = await scene.evidence();
    const nothing: unknown[] = [undefined, {}, { ...defaultPolicy, pcrs: [], untouchedPcrs: [] }];
    for (const policy of nothing) {
      // @ts-expect-error a policy from a caller in JavaScript
      const given: Policy = policy;
      const { verdict, verified } = await scene.judge(evidence, { policy: given });
      expect(verdict.checks.filter(({ ok }) => !ok).map(({ id }) => id)).toContain('policy');
      expect(verified).toBeUndefined();
    }
  });

  it('refuses a whole chain that the sender brought along', async () => {
    // Everything is right but the CA: it came with the evidence, and nobody here trusts it.
    const evidence = await scene.evidence();
    expect(failed(await scene.judge(evidence, { trustedRoots: [] }))).toEqual(['ek-chain', 'ek-validity']);
  });
});

describe('checklist 13: stalled is unknown', () => {
  it('says so of a machine that has not answered within its time', () => {
    const nowMs = 1_000_000;
    const fresh = overdueReason({ lastGoodMs: nowMs - 1000, provenMs: nowMs - 1000, nowMs, intervalMs: 5000 });
    const stalled = overdueReason({ lastGoodMs: nowMs - 60_000, provenMs: nowMs - 60_000, nowMs, intervalMs: 5000 });
    expect(fresh).toBeUndefined();
    expect(stalled).toEqual(expect.any(String));
  });
});

describe('checklist 15: the released key is bound to a fresh key of the guest, and evidence chooses no verifier', () => {
  it('names the boot key of the null hierarchy, whose policy is the quoted state, and refuses any other', async () => {
    const { verified } = await scene.judge(await scene.evidence());
    if (verified === undefined) throw new Error('refused');
    expect((await releaseTargets(verified)).bootKeyName).toHaveLength(34);
    // A key that outlives the boot, and one that opens in any state.
    expect(await failedWith({ bootHierarchy: 0x4000_0001 })).toContain('boot-key-hierarchy');
    expect(await failedWith({ bootPolicy: new Uint8Array(32) })).toContain('boot-key-policy');
    expect(await failedWith({ certifiedName: concatBytes(Uint8Array.of(0, 11), sha256(utf8('x'))) })).toContain(
      'certify-name',
    );
  });

  it('takes no roots, reference, policy or time from what was sent', async () => {
    const evidence = await scene.evidence({ events: [...realEvents, event(5, EV_SEPARATOR, new Uint8Array(4))] });
    const { reference, ca } = scene;
    const chosen = { ...evidence, policy: {}, reference, trustedRoots: [ca.der], now: NOW };
    expect(failed(await scene.judge(chosen))).toEqual(['events']);
    expect(failed(await scene.judge(chosen, { trustedRoots: [] }))).toContain('ek-chain');
  });
});
