// Rules of a policy: what they let pass, what they never let pass, and what they cannot do.
import { utf8, toHex } from '@ringwall/bytes';
import { ekTemplate, nameOf } from '@ringwall/tpm';
import { beforeAll, describe, expect, it } from 'vitest';
import { event, indexOf, realEvents, sha256, withEvent } from '../testing/event-log.ts';
import { failed, makeScene, type Scene } from '../testing/scene.ts';
import { makeSnpScene, type SnpScene } from '../testing/snp-scene.ts';
import type { Challenge } from './challenge.ts';
import { reportDataFor } from './hardware/report-data.ts';
import type { HardwareEvidence, Judgement } from './judge.ts';
import { defaultPolicy, type PolicyV2 } from './policy.ts';
import type { EventRule } from './rules.ts';

const EV_EFI_VARIABLE_BOOT = 0x8000_0002;
const EV_EFI_APPLICATION = 0x8000_0003;
const EV_SEPARATOR = 4;

let scene: Scene;
beforeAll(async () => {
  scene = await makeScene();
});

const policy = (...rules: readonly EventRule[]): PolicyV2 => {
  const { bank, pcrs, untouchedPcrs } = defaultPolicy;
  return { version: 2, evidence: ['vtpm'], bank, pcrs, untouchedPcrs, rules };
};
const BOOT_ORDER = indexOf(1, EV_EFI_VARIABLE_BOOT);
const KERNEL = indexOf(4, EV_EFI_APPLICATION);
const otherOrder = withEvent(BOOT_ORDER, event(1, EV_EFI_VARIABLE_BOOT, utf8('another order')));
const otherKernel = sha256(utf8('the new kernel'));
const allowOrder: EventRule = {
  effect: 'allow',
  pcr: 1,
  type: 'EV_EFI_VARIABLE_BOOT',
  digests: 'any',
  mayBeMissing: false,
  reason: 'the order of disks may change',
};

describe('rules of a policy', () => {
  it('let a difference pass, and say so with their reason', async () => {
    const evidence = await scene.evidence({ events: otherOrder });
    expect(failed(await scene.judge(evidence, { policy: policy() }))).toEqual(['events']);
    const judgement = await scene.judge(evidence, { policy: policy(allowOrder) });
    expect(failed(judgement)).toEqual([]);
    expect(judgement.verdict.proven.join('\n')).toContain('the policy allows it: the order of disks may change');
    expect(judgement.verdict.proven.join('\n')).not.toContain('nothing else was measured');
  });

  it('allow exactly the digests that they name', async () => {
    const rule: EventRule = {
      ...allowOrder,
      pcr: 4,
      type: 'EV_EFI_BOOT_SERVICES_APPLICATION',
      digests: [toHex(otherKernel)],
    };
    const named = await scene.evidence({ events: withEvent(KERNEL, { digest: otherKernel }) });
    expect(failed(await scene.judge(named, { policy: policy(rule) }))).toEqual([]);
    const another = await scene.evidence({ events: withEvent(KERNEL, { digest: sha256(utf8('an evil kernel')) }) });
    expect(failed(await scene.judge(another, { policy: policy(rule) }))).toEqual(['events']);
  });

  it('allow nothing in another PCR or of another type', async () => {
    const evidence = await scene.evidence({ events: otherOrder });
    for (const change of [{ pcr: 5 }, { type: 'EV_ACTION' }]) {
      const judgement = await scene.judge(evidence, { policy: policy({ ...allowOrder, ...change }) });
      expect(failed(judgement)).toEqual(['events']);
    }
  });

  it('let an event be missing only where they say so', async () => {
    const evidence = await scene.evidence({ events: realEvents.filter((_event, index) => index !== BOOT_ORDER) });
    expect(failed(await scene.judge(evidence, { policy: policy(allowOrder) }))).toEqual(['events']);
    const judgement = await scene.judge(evidence, { policy: policy({ ...allowOrder, mayBeMissing: true }) });
    expect(failed(judgement)).toEqual([]);
  });

  it('deny an event even where the reference expects it, and no allowance undoes that', async () => {
    const expected = realEvents[KERNEL]?.digest ?? new Uint8Array();
    const deny: EventRule = { effect: 'deny', pcr: 4, digests: [toHex(expected)], reason: 'it was revoked' };
    const allow: EventRule = {
      ...allowOrder,
      pcr: 4,
      type: 'EV_EFI_BOOT_SERVICES_APPLICATION',
      digests: [toHex(expected)],
    };
    const { verdict } = await scene.judge(await scene.evidence(), { policy: policy(allow, deny) });
    expect(verdict.reasons).toEqual([
      'kernel (PCR 4, EV_EFI_BOOT_SERVICES_APPLICATION): the policy never allows it: it was revoked',
    ]);
  });

  it('cannot bring back an event that the replay does not cover', async () => {
    const events = [...realEvents, event(10, EV_SEPARATOR, new Uint8Array(4))];
    const evidence = await scene.evidence({ events });
    expect(failed(await scene.judge(evidence, { policy: policy({ ...allowOrder, pcr: 5 }) }))).toContain('log-covered');
  });
});

async function snpEvidenceFor(snp: SnpScene, challenge: Challenge, ekName: Uint8Array): Promise<HardwareEvidence> {
  const expectedReportData = await reportDataFor({ kind: 'sev-snp', challenge, ekName });
  const { verified } = await snp.judge({ report: await snp.report([0x50, expectedReportData]), expectedReportData });
  if (verified === undefined) throw new Error('the hardware evidence was refused');
  return verified;
}

describe('what a policy demands beside the vTPM', () => {
  it('is hardware evidence that held, and that names this TPM for this question', async () => {
    const evidence = await scene.evidence();
    const snp = await makeSnpScene();
    const demanded: PolicyV2 = { ...policy(), evidence: ['vtpm', 'sev-snp'], sevSnp: snp.policy };
    const judge = (hardware: HardwareEvidence[]): Promise<Judgement> =>
      scene.judge(evidence, { policy: demanded, hardware });
    expect(failed(await judge([]))).toEqual(['evidence-kinds']);

    const point = new Uint8Array(await crypto.subtle.exportKey('raw', scene.tpm.ek.publicKey));
    const area = ekTemplate();
    area.set(point.subarray(1, 33), area.length - 66);
    area.set(point.subarray(33), area.length - 32);
    const { challenge } = scene;
    const ekName = await nameOf(area);
    const bound = await snpEvidenceFor(snp, challenge, ekName);
    expect(failed(await judge([bound]))).toEqual([]);

    const otherTpm = await snpEvidenceFor(snp, challenge, await nameOf(ekTemplate()));
    expect(failed(await judge([otherTpm]))).toEqual(['evidence-kinds']);
    const otherQuestion = await snpEvidenceFor(snp, { ...challenge, nonce: new Uint8Array(32) }, ekName);
    expect(failed(await judge([otherQuestion]))).toEqual(['evidence-kinds']);
    // A copy is the same data, and has passed no judgement.
    expect(failed(await judge([{ ...bound }]))).toEqual(['evidence-kinds']);
  });

  it('is a TPM firmware that is not older', async () => {
    const evidence = await scene.evidence();
    const least = (tpm: string): PolicyV2 => ({ ...policy(), minimumTpmFirmware: tpm });
    expect(failed(await scene.judge(evidence, { policy: least('0000000020191023') }))).toEqual([]);
    expect(failed(await scene.judge(evidence, { policy: least('0000000020191024') }))).toEqual(['quote-firmware']);
  });
});
