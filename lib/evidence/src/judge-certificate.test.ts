// The judgement of EK certificates: which CA, which machine, which purpose, which spelling.
import { concatBytes, fromHex, utf8 } from '@ringwall/bytes';
import { beforeAll, describe, expect, it } from 'vitest';
import { failed, MACHINE, makeScene, type Scene } from '../testing/scene.ts';
import { ecKeys, issueEk, makeCa, NOW, TCG_KP_EK_CERTIFICATE, YEAR_MS } from '../testing/vtpm-ca.ts';
import * as x509 from '../testing/x509-maker.ts';
import type { VtpmEvidence, VtpmJudgement } from './index.ts';

let scene: Scene;
beforeAll(async () => {
  scene = await makeScene();
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

  it.each<[what: string, change: (der: Uint8Array) => Uint8Array, reason: string]>([
    ['padded with zeros, as an NV index may be', (der) => concatBytes(der, new Uint8Array(16)), 'padded with 16 bytes'],
    ['padded with ones', (der) => concatBytes(der, new Uint8Array(16).fill(0xff)), 'padded with 16 bytes'],
    ['with bytes behind it that are no padding', (der) => concatBytes(der, utf8('more')), 'bytes that are no padding'],
    [
      'that is PEM',
      (der) => utf8(new x509.X509Certificate(new Uint8Array(der)).toString('pem')),
      'expected a SEQUENCE',
    ],
    ['with the header of a TPM 1.2', (der) => concatBytes(fromHex('10010002c0'), der), 'the header of a TPM 1.2'],
    ['in BER, of indefinite length', (der) => concatBytes(fromHex('3080'), der.subarray(4)), 'indefinite length'],
    [
      'with a length in a longer form than DER allows',
      (der) => concatBytes(fromHex('30830001'), der.subarray(2)),
      'EK',
    ],
    ['that is empty', () => new Uint8Array(), 'ekCertificate is missing'],
  ])('refuses one %s, and says why', async (_what, change, reason) => {
    const judgement = await judgeCertificate(change(scene.ekCertificate));
    expect(failed(judgement)).toContain('ek-form');
    expect(judgement.verdict.reasons.join('\n')).toContain(reason);
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
