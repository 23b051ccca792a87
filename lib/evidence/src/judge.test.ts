// The judgement of what a TPM signs: each attack, and the checks that refuse it.
import { concatBytes, utf8, Writer } from '@ringwall/bytes';
import {
  AK_ATTRIBUTES,
  BOOT_KEY_ATTRIBUTES,
  encodePcrSelection,
  policyPcrDigest,
  TPM_ALG,
  TPM_RH,
  TPMA_OBJECT,
} from '@ringwall/tpm';
import { beforeAll, describe, expect, it } from 'vitest';
import { encodeLog, event, indexOf, realEvents, sha256, withEvent, type TestEvent } from '../testing/event-log.ts';
import { BOOT, failed, MACHINE, makeScene, newChallenge, type Scene } from '../testing/scene.ts';
import type { Lies } from '../testing/software-tpm.ts';
import { ecKeys } from '../testing/vtpm-ca.ts';
import { isVerified, releaseTargets, type VtpmJudgement } from './index.ts';
import { defaultPolicy } from './policy.ts';

const DEMANDED = defaultPolicy.pcrs;
const EV_SEPARATOR = 4;
const EV_IPL = 0xd;
const EV_EFI_ACTION = 0x8000_0007;

let scene: Scene;
beforeAll(async () => {
  scene = await makeScene();
});

const KERNEL = indexOf(4, 0x8000_0003);
const COMMAND_LINE = indexOf(9, 6, 0);
const INITRD = indexOf(9, 6, 1);
const otherDigest = sha256(utf8('something else'));

describe('judgeVtpm()', () => {
  it('accepts an honest machine and says what that proves', async () => {
    const { verdict, verified } = await scene.judge(await scene.evidence());
    expect(verdict.checks.filter(({ ok }) => !ok)).toEqual([]);
    expect(verdict.outcome).toBe('accepted');
    expect(verdict.reasons).toEqual([]);
    expect(verdict.proven).toContain(
      'the firmware is OVMF 2022.11-6+deb12u2, as in the manifest (sha256 b157d97b1f69…)',
    );
    expect(verdict.proven.join('\n')).toContain('image hello');
    expect(verdict.events).toHaveLength(25);
    expect(verified).toBeDefined();
  });

  it('gives the keys to release to, and only for evidence that passed', async () => {
    const evidence = await scene.evidence();
    const { verified } = await scene.judge(evidence);
    if (verified === undefined) throw new Error('refused');
    const targets = await releaseTargets(verified);
    expect(targets.akName).toEqual(concatBytes(Uint8Array.of(0, 0x0b), sha256(evidence.akPublic)));
    expect(targets.bootKeyName).toEqual(concatBytes(Uint8Array.of(0, 0x0b), sha256(evidence.bootPublic)));
    expect(isVerified(evidence)).toBe(false);
    // @ts-expect-error evidence that nobody judged has no mark
    await expect(releaseTargets(evidence)).rejects.toThrow('passed judgement');
  });

  it('judges a copy, so that a later change of the sender’s bytes changes nothing', async () => {
    const evidence = await scene.evidence();
    const { verified } = await scene.judge(evidence);
    evidence.akPublic.fill(0);
    expect(verified?.akPublic.some((byte) => byte !== 0)).toBe(true);
  });

  it('cannot see a software key whose public area lies: only credential activation can', async () => {
    // This is why a broker waits for activationDigest before it calls a machine attested.
    const { verdict } = await scene.judge(await scene.evidence({ signer: scene.tpm.ak.privateKey }));
    expect(verdict.outcome).toBe('accepted');
    expect(verdict.proven.join('\n')).toContain('the key opens only in the TPM that was made for');
  });
});

/** What an attacker changes in what a machine signs, and the checks that fail: exactly these. */
const lies: readonly (readonly [attack: string, lies: () => Lies | Promise<Lies>, checks: readonly string[]])[] = [
  [
    'a software key posing as AK (not fixedTPM)',
    () => ({ akAttributes: AK_ATTRIBUTES & ~TPMA_OBJECT.fixedTPM }),
    ['ak-attributes'],
  ],
  [
    'an AK that can be moved to another parent',
    () => ({ akAttributes: AK_ATTRIBUTES & ~TPMA_OBJECT.fixedParent }),
    ['ak-attributes'],
  ],
  [
    'an AK that was imported',
    () => ({ akAttributes: AK_ATTRIBUTES & ~TPMA_OBJECT.sensitiveDataOrigin }),
    ['ak-attributes'],
  ],
  [
    'an AK that signs anything it is given',
    () => ({ akAttributes: AK_ATTRIBUTES & ~TPMA_OBJECT.restricted }),
    ['ak-attributes'],
  ],
  ['an AK that does not sign', () => ({ akAttributes: AK_ATTRIBUTES & ~TPMA_OBJECT.sign }), ['ak-attributes']],
  ['an AK that also decrypts', () => ({ akAttributes: AK_ATTRIBUTES | TPMA_OBJECT.decrypt }), ['ak-attributes']],
  [
    'an AK that may be duplicated',
    () => ({ akAttributes: AK_ATTRIBUTES | TPMA_OBJECT.encryptedDuplication }),
    ['ak-attributes'],
  ],
  [
    'a quote that names another signer',
    () => ({ quoteSigner: concatBytes(Uint8Array.of(0, 11), otherDigest) }),
    ['quote-signer'],
  ],
  [
    'a certification that names another signer',
    () => ({ certifySigner: concatBytes(Uint8Array.of(0, 11), otherDigest) }),
    ['certify-signer'],
  ],
  ['an AK of the owner hierarchy', () => ({ akHierarchy: TPM_RH.OWNER }), ['quote-signer', 'certify-signer']],
  ['a quote over other data', () => ({ quoteExtraData: otherDigest }), ['quote-nonce']],
  ['a quote without data', () => ({ quoteExtraData: new Uint8Array() }), ['quote-nonce']],
  ['a certification over other data', () => ({ certifyExtraData: otherDigest }), ['certify-nonce']],
  ['a quote of the SHA-1 bank', () => ({ selection: encodePcrSelection(TPM_ALG.SHA1, DEMANDED) }), ['quote-pcrs']],
  [
    'a quote that leaves a PCR out',
    () => ({ selection: encodePcrSelection(TPM_ALG.SHA256, DEMANDED.slice(0, -1)) }),
    ['quote-pcrs'],
  ],
  [
    'a quote with a PCR more',
    () => ({ selection: encodePcrSelection(TPM_ALG.SHA256, [...DEMANDED, 16]) }),
    ['quote-pcrs'],
  ],
  ['a quote of no PCR', () => ({ selection: encodePcrSelection(TPM_ALG.SHA256, []) }), ['quote-pcrs']],
  ['a quote of nothing', () => ({ selection: new Writer().u32be(0).finish() }), ['quote-pcrs']],
  [
    'a quote of two banks',
    () => ({
      selection: concatBytes(
        new Writer().u32be(2).finish(),
        encodePcrSelection(TPM_ALG.SHA256, DEMANDED).subarray(4),
        encodePcrSelection(TPM_ALG.SHA1, DEMANDED).subarray(4),
      ),
    }),
    ['quote-pcrs'],
  ],
  [
    'the certification of another key',
    () => ({ certifiedName: concatBytes(Uint8Array.of(0, 11), otherDigest) }),
    ['certify-name'],
  ],
  [
    'a boot key that outlives the boot (owner hierarchy)',
    () => ({ bootHierarchy: TPM_RH.OWNER }),
    ['boot-key-hierarchy'],
  ],
  ['a boot key of the endorsement hierarchy', () => ({ bootHierarchy: TPM_RH.ENDORSEMENT }), ['boot-key-hierarchy']],
  [
    'a boot key made in software',
    () => ({ bootAttributes: BOOT_KEY_ATTRIBUTES & ~TPMA_OBJECT.fixedTPM }),
    ['boot-key-attributes'],
  ],
  [
    'a boot key that can be moved',
    () => ({ bootAttributes: BOOT_KEY_ATTRIBUTES & ~TPMA_OBJECT.fixedParent }),
    ['boot-key-attributes'],
  ],
  [
    'a boot key that was imported',
    () => ({ bootAttributes: BOOT_KEY_ATTRIBUTES & ~TPMA_OBJECT.sensitiveDataOrigin }),
    ['boot-key-attributes'],
  ],
  [
    'a boot key that a password opens',
    () => ({ bootAttributes: BOOT_KEY_ATTRIBUTES | TPMA_OBJECT.userWithAuth }),
    ['boot-key-attributes'],
  ],
  [
    'a boot key with an administrator’s policy',
    () => ({ bootAttributes: BOOT_KEY_ATTRIBUTES | TPMA_OBJECT.adminWithPolicy }),
    ['boot-key-attributes'],
  ],
  [
    'a boot key that cannot decrypt',
    () => ({ bootAttributes: BOOT_KEY_ATTRIBUTES & ~TPMA_OBJECT.decrypt }),
    ['boot-key-attributes'],
  ],
  [
    'a boot key that signs',
    () => ({ bootAttributes: BOOT_KEY_ATTRIBUTES | TPMA_OBJECT.sign }),
    ['boot-key-attributes'],
  ],
  ['a boot key without a policy', () => ({ bootPolicy: new Uint8Array() }), ['boot-key-policy']],
  [
    'a boot key for another PCR state',
    async () => ({ bootPolicy: await policyPcrDigest(DEMANDED, otherDigest) }),
    ['boot-key-policy'],
  ],
  ['a certification of an earlier reset', () => ({ certifyResetCount: 2 }), ['same-run']],
  ['a certification of an earlier resume', () => ({ certifyRestartCount: 0 }), ['same-run']],
  ['a certification of a TPM with other firmware', () => ({ certifyFirmware: 1n }), ['same-run']],
  ['a non-zero PCR without events', () => ({ pcrValues: new Map([[12, otherDigest]]) }), ['log-replay']],
  ['a firmware PCR extended without an event', () => ({ pcrValues: new Map([[4, otherDigest]]) }), ['log-replay']],
  ['another kernel', () => ({ events: withEvent(KERNEL, { digest: otherDigest }) }), ['events']],
  ['another command line', () => ({ events: withEvent(COMMAND_LINE, { digest: otherDigest }) }), ['events']],
  ['another initrd', () => ({ events: withEvent(INITRD, { digest: otherDigest }) }), ['events']],
  ['an added event', () => ({ events: [...realEvents, event(9, EV_IPL, utf8('module'))] }), ['events']],
  [
    'an event after the firmware was left',
    () => ({ events: [...realEvents, event(4, EV_EFI_ACTION, utf8('more'))] }),
    ['events'],
  ],
  ['a second separator', () => ({ events: [...realEvents, event(7, EV_SEPARATOR, new Uint8Array(4))] }), ['events']],
  [
    'a boot that never measured its kernel',
    () => ({ events: realEvents.filter((_, at) => at !== KERNEL) }),
    ['events'],
  ],
  ['command line and initrd in the wrong order', () => ({ events: swapped(COMMAND_LINE, INITRD) }), ['events']],
  ['an event whose type was rewritten', () => ({ events: withEvent(KERNEL, { type: EV_IPL }) }), ['events']],
  [
    'an event of a type that no specification lists',
    () => ({ events: withEvent(KERNEL, { type: 0x4242_4242 }) }),
    ['events'],
  ],
  ['an event passed off as EV_NO_ACTION', () => ({ events: withEvent(KERNEL, { type: 3 }) }), ['events']],
  [
    'event data that was rewritten',
    () => ({ events: withEvent(indexOf(5, EV_EFI_ACTION), { data: utf8('all is well') }) }),
    ['log-data'],
  ],
  [
    'a variable’s data that was rewritten',
    () => ({ events: withEvent(indexOf(1, 0x8000_0002), { data: utf8('all is well') }) }),
    ['log-data'],
  ],
  [
    'an untouched PCR that was touched',
    () => ({ events: [...realEvents, event(12, EV_IPL, utf8('boot loader'))] }),
    ['log-untouched', 'events'],
  ],
  [
    'an event in a PCR that is not quoted',
    () => ({ events: [...realEvents, event(10, EV_IPL, utf8('aside'))] }),
    ['log-covered', 'events'],
  ],
  ['a log with an event taken out', () => ({ eventLog: encodeLog(realEvents.slice(1)) }), ['log-replay', 'events']],
  [
    'a log made of expected events for a boot that was another',
    () => ({ events: withEvent(KERNEL, { digest: otherDigest }), eventLog: encodeLog(realEvents) }),
    ['log-replay'],
  ],
];

function swapped(one: number, other: number): readonly TestEvent[] {
  const first = realEvents[one];
  const second = realEvents[other];
  if (first === undefined || second === undefined) throw new Error('no such events');
  return realEvents.map((item, at) => (at === one ? second : at === other ? first : item));
}

describe('judgeVtpm(), evidence that was signed', () => {
  it.each(lies)('refuses %s', async (_attack, makeLies, checks) => {
    const judgement = await scene.judge(await scene.evidence(await makeLies()));
    expect(failed(judgement)).toEqual(checks);
    expect(judgement.verdict.outcome).toBe('refused');
    expect(judgement.verdict.proven).toEqual([]);
    expect(judgement.verdict.reasons.length).toBeGreaterThan(0);
    expect(judgement.verified).toBeUndefined();
  });

  /** These make whole structures unreadable, so that what follows cannot be answered and fails too. */
  it.each<[attack: string, lies: Lies, check: string]>([
    ['an attestation that no TPM made (magic)', { magic: 0xff54_4348 }, 'quote-form'],
    ['a certification in place of the quote', { quoteType: 0x8017 }, 'quote-form'],
    ['a quote in place of the certification', { certifyType: 0x8018 }, 'certify-form'],
    ['bytes after the end of quote and certification', { trailing: Uint8Array.of(0) }, 'quote-form'],
    ['bytes after the end of the certification', { trailing: Uint8Array.of(0) }, 'certify-form'],
    ['an AK whose scheme is SHA-1', { akScheme: [TPM_ALG.ECDSA, TPM_ALG.SHA1] }, 'ak-form'],
    ['an AK without a scheme', { akScheme: [TPM_ALG.NULL, 0] }, 'ak-form'],
    ['a boot key with a scheme', { bootScheme: TPM_ALG.ECDH }, 'boot-key-form'],
    ['a boot key whose Name is made with SHA-1', { nameAlg: TPM_ALG.SHA1 }, 'boot-key-form'],
  ])('refuses %s', async (_attack, lie, check) => {
    const judgement = await scene.judge(await scene.evidence(lie));
    expect(failed(judgement)).toContain(check);
    expect(judgement.verified).toBeUndefined();
  });

  it('refuses a quote signed by another key, and calls what it says a claim', async () => {
    const other = await ecKeys();
    const judgement = await scene.judge(
      await scene.evidence({ signer: other.privateKey, events: withEvent(KERNEL, { digest: otherDigest }) }),
    );
    expect(failed(judgement)).toEqual(['quote-signature', 'certify-signature', 'log-replay', 'events']);
    expect(judgement.verdict.reasons).toContain('the signature of the quote is not that of the attestation key');
    expect(judgement.verdict.reasons.find((reason) => reason.startsWith('kernel'))).toContain('a claim only');
  });

  it('refuses a certification signed by another key', async () => {
    const other = await ecKeys();
    const judgement = await scene.judge(await scene.evidence({ certifySignerKey: other.privateKey }));
    expect(failed(judgement)).toEqual(['certify-signature']);
  });
});

describe('judgeVtpm(), evidence for another question', () => {
  it.each<[attack: string, change: (scene: Scene) => Partial<VtpmJudgement['challenge']>]>([
    ['a replayed nonce', () => ({ nonce: newChallenge().nonce })],
    ['evidence of another boot', () => ({ boot: 'f'.repeat(32) })],
  ])('refuses %s', async (_attack, change) => {
    const evidence = await scene.evidence();
    const judgement = await scene.judge(evidence, { challenge: { ...scene.challenge, ...change(scene) } });
    expect(failed(judgement)).toEqual(['quote-nonce', 'certify-nonce']);
  });

  it('refuses evidence of another machine', async () => {
    const evidence = await scene.evidence();
    const challenge = { ...scene.challenge, machine: 'mch_zzzzzzzzzzzzzzzzzzzz' };
    expect(failed(await scene.judge(evidence, { challenge }))).toEqual(['ek-machine', 'quote-nonce', 'certify-nonce']);
  });

  it('refuses a boot key put in place of the one that was quoted', async () => {
    const evidence = await scene.evidence();
    const other = await scene.evidence({ bootAttributes: BOOT_KEY_ATTRIBUTES | TPMA_OBJECT.stClear });
    const judgement = await scene.judge({ ...evidence, bootPublic: other.bootPublic });
    expect(failed(judgement)).toEqual(['quote-nonce', 'certify-nonce', 'certify-name', 'boot-key-hierarchy']);
  });

  it.each<[what: string, challenge: VtpmJudgement['challenge']]>([
    ['a nonce of 31 bytes', { ...newChallenge(), nonce: new Uint8Array(31) }],
    ['a machine id with a line feed', { ...newChallenge(), machine: `${MACHINE}\n${BOOT}` }],
    ['a boot id with a line feed', { ...newChallenge(), boot: `${BOOT}\n` }],
  ])('refuses %s', async (_what, challenge) => {
    expect(failed(await scene.judge(await scene.evidence(), { challenge }))).toContain('challenge');
  });
});
