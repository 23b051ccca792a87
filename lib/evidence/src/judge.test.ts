import { concatBytes, fromHex, toHex, utf8, Writer } from '@ringwall/bytes';
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
import { encodeLog, event, realEvents, sha256, type TestEvent } from '../testing/event-log.ts';
import { BOOT, failed, MACHINE, makeScene, newChallenge, type Scene } from '../testing/scene.ts';
import type { Lies } from '../testing/software-tpm.ts';
import { ecKeys, issueEk, makeCa, NOW, TCG_KP_EK_CERTIFICATE, YEAR_MS } from '../testing/vtpm-ca.ts';
import * as x509 from '../testing/x509-maker.ts';
import { qualifyingData, unlockedText } from './challenge.ts';
import { isVerified, judgeVtpm, releaseTargets, type VtpmEvidence, type VtpmJudgement } from './index.ts';
import { defaultPolicy } from './policy.ts';

const DEMANDED = defaultPolicy.pcrs;
const EV_SEPARATOR = 4;
const EV_IPL = 0xd;
const EV_EFI_ACTION = 0x8000_0007;

let scene: Scene;
beforeAll(async () => {
  scene = await makeScene();
});

/** The real log's events with one of them replaced. */
function withEvent(index: number, change: Partial<TestEvent>): readonly TestEvent[] {
  return realEvents.map((original, at) => (at === index ? { ...original, ...change } : original));
}

/** Where the event of this PCR and type is in the real log, counted from 0 without its header. */
function indexOf(pcr: number, type: number, nth = 0): number {
  const found = [...realEvents.entries()].filter(([, item]) => item.pcr === pcr && item.type === type)[nth];
  if (found === undefined) throw new Error(`no event ${type} in PCR ${pcr}`);
  return found[0];
}

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

describe('judgeVtpm(), the EK certificate', () => {
  /** The certificate is registered as it is, so that only what is wrong with it can refuse it. */
  async function judgeCertificate(ekCertificate: Uint8Array, changes: Partial<VtpmJudgement> = {}) {
    const evidence: VtpmEvidence = { ...(await scene.evidence()), ekCertificate };
    return scene.judge(evidence, { expectedEkCertificate: ekCertificate, ...changes });
  }

  it('refuses the vTPM of another CA, even one of the same name', async () => {
    const other = await makeCa();
    const judgement = await judgeCertificate(await issueEk(other, scene.tpm.ek.publicKey, MACHINE));
    expect(failed(judgement)).toEqual(['ek-chain', 'ek-validity']);
    expect(judgement.verdict.reasons[0]).toContain('not signed by a vTPM CA that is trusted');
  });

  it('refuses another vTPM of the same CA', async () => {
    const ekCertificate = await issueEk(scene.ca, (await ecKeys()).publicKey, MACHINE);
    const judgement = await scene.judge({ ...(await scene.evidence()), ekCertificate });
    expect(failed(judgement)).toEqual(['ek-registered']);
  });

  it('takes any certificate of the CA where nobody says which one was registered', async () => {
    const judgement = await scene.judge(await scene.evidence(), { expectedEkCertificate: undefined });
    expect(judgement.verdict.outcome).toBe('accepted');
  });

  it.each<[what: string, changes: Parameters<Scene['certificate']>[0], check: string]>([
    ['for another machine', { subject: 'CN=mch_zzzzzzzzzzzzzzzzzzzz' }, 'ek-machine'],
    ['for two machines', { subject: `CN=${MACHINE}, CN=mch_zzzzzzzzzzzzzzzzzzzz` }, 'ek-machine'],
    ['for no machine', { subject: 'O=Ringwall' }, 'ek-machine'],
    ['that has expired', { notAfter: new Date(NOW.getTime() - 1000) }, 'ek-validity'],
    ['that is not valid yet', { notBefore: new Date(NOW.getTime() + 1000) }, 'ek-validity'],
    ['without the purpose of an EK', { purposes: ['1.3.6.1.5.5.7.3.1'] }, 'ek-usage'],
    ['for signatures', { usages: x509.KeyUsageFlags.digitalSignature }, 'ek-usage'],
    [
      'for more than key agreement',
      { usages: x509.KeyUsageFlags.keyAgreement | x509.KeyUsageFlags.digitalSignature },
      'ek-usage',
    ],
    [
      'that could decipher only',
      { usages: x509.KeyUsageFlags.keyAgreement | x509.KeyUsageFlags.decipherOnly },
      'ek-usage',
    ],
    ['of a CA', { ca: true }, 'ek-usage'],
    [
      'with an unknown critical extension',
      { more: [new x509.Extension('1.2.3.4', true, new Uint8Array([5, 0]))] },
      'ek-usage',
    ],
  ])('refuses one %s', async (_what, changes, check) => {
    expect(failed(await judgeCertificate(await scene.certificate(changes)))).toEqual([check]);
  });

  it('takes one with an unknown extension that is not critical, and a second purpose', async () => {
    const certificate = await scene.certificate({
      more: [new x509.Extension('1.2.3.4', false, new Uint8Array([5, 0]))],
      purposes: [TCG_KP_EK_CERTIFICATE, '1.2.3.5'],
    });
    expect(failed(await judgeCertificate(certificate))).toEqual([]);
  });

  it.each<[what: string, changes: Parameters<typeof makeCa>[0], checks: readonly string[]]>([
    ['is no CA', { ca: false }, ['ek-chain', 'ek-validity']],
    ['may not sign certificates', { usages: x509.KeyUsageFlags.digitalSignature }, ['ek-chain', 'ek-validity']],
    ['has expired', { notAfter: new Date(NOW.getTime() - 1000) }, ['ek-validity']],
    ['is not valid yet', { notBefore: new Date(NOW.getTime() + YEAR_MS / 2) }, ['ek-validity']],
  ])('refuses one whose CA %s', async (_what, changes, checks) => {
    const ca = await makeCa(changes);
    const certificate = await issueEk(ca, scene.tpm.ek.publicKey, MACHINE);
    expect(failed(await judgeCertificate(certificate, { trustedRoots: [ca.der] }))).toEqual(checks);
  });

  it('refuses one whose issuer is not the CA’s name', async () => {
    const certificate = await issueEk(scene.ca, scene.tpm.ek.publicKey, MACHINE, { issuer: 'CN=somebody' });
    expect(failed(await judgeCertificate(certificate))).toEqual(['ek-chain', 'ek-validity']);
  });

  it('refuses one of an RSA key', async () => {
    const algorithm = {
      name: 'RSASSA-PKCS1-v1_5',
      hash: 'SHA-256',
      modulusLength: 2048,
      publicExponent: fromHex('010001'),
    };
    const rsa = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
    expect(failed(await judgeCertificate(await issueEk(scene.ca, rsa.publicKey, MACHINE)))).toContain('ek-form');
  });

  it.each<[what: string, change: (der: Uint8Array) => Uint8Array]>([
    ['padded with zeros, as an NV index may be', (der) => concatBytes(der, new Uint8Array(16))],
    ['padded with ones', (der) => concatBytes(der, new Uint8Array(16).fill(0xff))],
    ['that is PEM', (der) => utf8(new x509.X509Certificate(new Uint8Array(der)).toString('pem'))],
    ['with a length in a longer form than DER allows', (der) => concatBytes(fromHex('30830001'), der.subarray(2))],
    ['that is empty', () => new Uint8Array()],
  ])('refuses one %s', async (_what, change) => {
    expect(failed(await judgeCertificate(change(scene.ekCertificate)))).toContain('ek-form');
  });

  it('refuses all where no CA is trusted, or none that can be read', async () => {
    const evidence = await scene.evidence();
    expect(failed(await scene.judge(evidence, { trustedRoots: [] }))).toEqual(['ek-chain', 'ek-validity']);
    expect(failed(await scene.judge(evidence, { trustedRoots: [utf8('rubbish')] }))).toEqual([
      'ek-chain',
      'ek-validity',
    ]);
  });

  it('finds the CA among several', async () => {
    const roots = [utf8('rubbish'), (await makeCa()).der, scene.ca.der];
    expect(failed(await scene.judge(await scene.evidence(), { trustedRoots: roots }))).toEqual([]);
  });

  it('refuses where the time is not known', async () => {
    expect(failed(await scene.judge(await scene.evidence(), { now: new Date(Number.NaN) }))).toEqual(['ek-validity']);
  });
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
    const header = new Writer()
      .u32le(0)
      .u32le(3)
      .bytes(new Uint8Array(20))
      .sized32le((data) =>
        data
          .bytes(utf8('Spec ID Event03\0'))
          .u32le(0)
          .u8(0)
          .u8(2)
          .u8(0)
          .u8(2)
          .u32le(2)
          .u16le(TPM_ALG.SHA1)
          .u16le(20)
          .u16le(TPM_ALG.SHA256)
          .u16le(32)
          .u8(0),
      );
    for (const { pcr, type, digest, data } of realEvents) {
      header.u32le(pcr).u32le(type).u32le(2).u16le(TPM_ALG.SHA1).bytes(new Uint8Array(20)).u16le(TPM_ALG.SHA256);
      header.bytes(digest).sized32le((inner) => inner.bytes(data));
    }
    const judgement = await scene.judge(await scene.evidence({ eventLog: header.finish() }));
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
