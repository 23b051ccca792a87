// The judgement of event logs, and of what a log is compared with: banks, notes, limits, policy, reference, reasons.
import { fromHex, toHex, utf8, Writer } from '@ringwall/bytes';
import { encodeEventLog, TPM_ALG } from '@ringwall/tpm';
import { beforeAll, describe, expect, it } from 'vitest';
import { encodeLog, event, indexOf, realEvents, sha256, withEvent, type TestEvent } from '../testing/event-log.ts';
import { BOOT, failed, makeScene, type Scene } from '../testing/scene.ts';
import type { Lies } from '../testing/software-tpm.ts';
import { NOW } from '../testing/vtpm-ca.ts';
import { qualifyingData, unlockedText } from './challenge.ts';
import { judgeVtpm, type VtpmEvidence, type VtpmJudgement } from './index.ts';
import { defaultPolicy } from './policy.ts';

const EV_IPL = 0xd;
const KERNEL = indexOf(4, 0x8000_0003);
const INITRD = indexOf(9, 6, 1);
const otherDigest = sha256(utf8('something else'));

let scene: Scene;
beforeAll(async () => {
  scene = await makeScene();
});

describe('judgeVtpm(), policy and reference', () => {
  it.each<[what: string, policy: unknown]>([
    ['an empty policy', {}],
    ['no policy', undefined],
    ['a policy that demands no PCR', { ...defaultPolicy, pcrs: [], untouchedPcrs: [] }],
    ['a policy for SHA-1', { ...defaultPolicy, bank: 'sha1' }],
    ['a policy of a version not known', { ...defaultPolicy, version: 2 }],
    ['a policy with an unknown key', { ...defaultPolicy, allow: 'all' }],
    ['a policy with a PCR twice', { ...defaultPolicy, pcrs: [0, 0], untouchedPcrs: [] }],
    ['a policy with a PCR that no TPM has', { ...defaultPolicy, pcrs: [24], untouchedPcrs: [] }],
    ['a policy that watches a PCR it does not demand', { ...defaultPolicy, untouchedPcrs: [16] }],
  ])('refuses everything under %s', async (_what, policy) => {
    // @ts-expect-error a policy from a file may be anything
    const judgement = await scene.judge(await scene.evidence(), { policy });
    expect(failed(judgement)).toContain('policy');
    expect(judgement.verdict.outcome).toBe('refused');
  });

  it.each<[what: string, reference: unknown]>([
    ['an empty reference', {}],
    ['no reference', undefined],
    [
      'a reference that expects nothing',
      {
        version: 1,
        image: { name: 'x', digest: 'ab'.repeat(32) },
        firmware: { name: 'x', digest: 'ab'.repeat(32) },
        events: [],
      },
    ],
  ])('refuses everything under %s', async (_what, reference) => {
    // @ts-expect-error a reference from a file may be anything
    const judgement = await scene.judge(await scene.evidence(), { reference });
    expect(failed(judgement)).toContain('reference');
    expect(judgement.verdict.outcome).toBe('refused');
  });

  it('refuses a reference that expects what the policy leaves unquoted', async () => {
    const pcrs = [0, 1, 2, 3, 4, 5, 6, 7];
    const evidence = await scene.evidence({ pcrs });
    const policy = { ...defaultPolicy, pcrs, untouchedPcrs: [] };
    expect(failed(await scene.judge(evidence, { policy }))).toEqual(['reference-quoted', 'log-covered']);
  });

  it('refuses an event in an untouched PCR, even one that the reference expects', async () => {
    const more = event(12, EV_IPL, utf8('boot loader'));
    const reference = {
      ...scene.reference,
      events: [...scene.reference.events, { pcr: 12, type: 'EV_IPL', digest: toHex(more.digest), what: 'boot loader' }],
    };
    const evidence = await scene.evidence({ events: [...realEvents, more] });
    expect(failed(await scene.judge(evidence, { reference }))).toEqual(['log-untouched']);
  });
});

describe('judgeVtpm(), reasons', () => {
  const reasonsFor = async (lie: Lies): Promise<string> =>
    (await scene.judge(await scene.evidence(lie))).verdict.reasons.join('\n');

  it('names the event and both digests', async () => {
    const kernel = scene.reference.events.find(({ what }) => what === 'kernel')?.digest ?? '';
    expect(await reasonsFor({ events: withEvent(KERNEL, { digest: otherDigest }) })).toBe(
      `kernel (PCR 4, EV_EFI_BOOT_SERVICES_APPLICATION): measured ${toHex(otherDigest).slice(0, 12)}…, ` +
        `expected ${kernel.slice(0, 12)}…`,
    );
  });

  it('says that this boot has unlocked its disk already', async () => {
    const extended = sha256(new Uint8Array(32), sha256(utf8(unlockedText(BOOT))));
    expect(await reasonsFor({ pcrValues: new Map([[15, extended]]) })).toContain('unlocked its disk already');
  });

  it('says that the log was altered where the quote is that of the expected boot', async () => {
    const reasons = await reasonsFor({ eventLog: encodeLog(withEvent(KERNEL, { digest: otherDigest })) });
    expect(reasons).toContain('the log was altered on its way');
    expect(reasons).toContain('(a claim only: the log does not replay to the quote)');
  });

  it('are few, however long the log is', async () => {
    const many = Array.from({ length: 1000 }, (_, index) => event(9, EV_IPL, utf8(`module ${index}`)));
    const { verdict } = await scene.judge(await scene.evidence({ events: [...realEvents, ...many] }));
    expect(verdict.reasons).toHaveLength(24);
    expect(verdict.reasons.at(-1)).toBe('and 977 reasons more');
    expect(verdict.events.length).toBeLessThanOrEqual(512);
  });

  it('say of an event that was swapped for nothing that it is missing', async () => {
    const { verdict } = await scene.judge(
      await scene.evidence({ events: realEvents.filter((_, at) => at !== INITRD) }),
    );
    expect(verdict.events.filter(({ status }) => status === 'missing').map(({ what }) => what)).toEqual(['initrd']);
  });
});

describe('judgeVtpm(), the event log', () => {
  it('refuses a log with a second bank', async () => {
    const banks = [
      { algorithmId: TPM_ALG.SHA1, digestBytes: 20 },
      { algorithmId: TPM_ALG.SHA256, digestBytes: 32 },
    ];
    const events = realEvents.map(({ digest, ...rest }) => ({ ...rest, digests: [new Uint8Array(20), digest] }));
    const judgement = await scene.judge(await scene.evidence({ eventLog: encodeEventLog(banks, events) }));
    expect(failed(judgement)).toEqual(['log-banks']);
  });

  it('refuses a log of the SHA-1 format', async () => {
    const writer = new Writer();
    for (const { pcr, type, data } of realEvents) {
      writer
        .u32le(pcr)
        .u32le(type)
        .bytes(new Uint8Array(20))
        .sized32le((inner) => inner.bytes(data));
    }
    const judgement = await scene.judge(await scene.evidence({ eventLog: writer.finish() }));
    expect(failed(judgement)).toContain('log-banks');
  });

  it('refuses a note that changes what PCR 0 began with', async () => {
    const locality: TestEvent = {
      pcr: 0,
      type: 3,
      digest: new Uint8Array(32),
      data: utf8('StartupLocality\0\u0003'),
    };
    const judgement = await scene.judge(await scene.evidence({ events: [locality, ...realEvents] }));
    expect(failed(judgement)).toEqual(['log-replay', 'events']);
  });

  it('refuses a log with more events than are judged, in bounded time', async () => {
    const many = Array.from({ length: 2100 }, () => event(9, EV_IPL, new Uint8Array()));
    const judgement = await scene.judge(await scene.evidence({ events: many }));
    expect(failed(judgement)).toContain('log-form');
  });
});

describe('judgeVtpm(), evidence that is not whole', () => {
  it('refuses evidence of a kind not known', async () => {
    const evidence = { ...(await scene.evidence()), kind: 'host-tpm' };
    // @ts-expect-error what a sender calls itself may be anything
    expect(failed(await scene.judge(evidence))).toEqual(['evidence-size']);
  });

  it.each(['nothing', 'null', 'an empty object'])('refuses %s', async (what) => {
    const evidence = { nothing: undefined, null: null, 'an empty object': {} }[what];
    // @ts-expect-error what a sender sends may be anything
    const { verdict } = await judgeVtpm({ ...(await inputs()), evidence });
    expect(verdict.outcome).toBe('refused');
  });

  async function inputs(): Promise<Omit<VtpmJudgement, 'evidence'>> {
    return {
      challenge: scene.challenge,
      policy: defaultPolicy,
      reference: scene.reference,
      trustedRoots: [scene.ca.der],
      now: NOW,
    };
  }

  it('refuses a field beyond its limit without reading it', async () => {
    const evidence: VtpmEvidence = { ...(await scene.evidence()), eventLog: new Uint8Array(128 * 1024 + 1) };
    const judgement = await scene.judge(evidence);
    expect(failed(judgement)).toContain('evidence-size');
    expect(judgement.verdict.reasons[0]).toContain('eventLog has 131073 bytes, at most 131072');
  });

  it('binds the question by text that cannot be read two ways', async () => {
    const bootKey = fromHex(`000b${'12'.repeat(32)}`);
    await expect(qualifyingData({ ...scene.challenge, machine: 'mch_a\nb' }, bootKey)).rejects.toThrow('machine id');
  });
});
