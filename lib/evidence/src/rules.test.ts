// Rules of a policy: what they let pass, what they never let pass, and what they cannot do.
import { utf8, toHex } from '@ringwall/bytes';
import { beforeAll, describe, expect, it } from 'vitest';
import { event, indexOf, realEvents, sha256, withEvent } from '../testing/event-log.ts';
import { failed, makeScene, type Scene } from '../testing/scene.ts';
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

describe('what a policy demands beside the vTPM', () => {
  it('is refused where the caller has not judged it', async () => {
    const evidence = await scene.evidence();
    const both: PolicyV2 = { ...policy(), evidence: ['vtpm', 'snp'] };
    expect(failed(await scene.judge(evidence, { policy: both }))).toEqual(['evidence-kinds']);
    expect(failed(await scene.judge(evidence, { policy: both, endorsed: ['tdx'] }))).toEqual(['evidence-kinds']);
    expect(failed(await scene.judge(evidence, { policy: both, endorsed: ['snp'] }))).toEqual([]);
  });

  it('is a TPM firmware that is not older', async () => {
    const evidence = await scene.evidence();
    const least = (tpm: string): PolicyV2 => ({ ...policy(), minimum: { tpm } });
    expect(failed(await scene.judge(evidence, { policy: least('0000000020191023') }))).toEqual([]);
    expect(failed(await scene.judge(evidence, { policy: least('0000000020191024') }))).toEqual(['quote-firmware']);
  });
});
