// A vTPM CA for tests, and EK certificates that differ from a good one in what a test names.
import * as x509 from './x509-maker.ts';

const ECDSA_P256 = { name: 'ECDSA', namedCurve: 'P-256' } as const;
const ECDSA_SHA256 = { name: 'ECDSA', hash: 'SHA-256' } as const;
export const TCG_KP_EK_CERTIFICATE = '2.23.133.8.1';
export const YEAR_MS: number = 365 * 24 * 60 * 60 * 1000;
/** When tests are judged. */
export const NOW: Date = new Date('2026-11-21T12:00:00.000Z');

export interface TestCa {
  readonly certificate: x509.X509Certificate;
  readonly der: Uint8Array;
  readonly keys: CryptoKeyPair;
}

export interface CaChanges {
  readonly ca?: boolean;
  readonly usages?: x509.KeyUsageFlags;
  readonly name?: string;
  readonly notBefore?: Date;
  readonly notAfter?: Date;
}

export interface EkChanges {
  readonly subject?: string;
  readonly issuer?: string;
  readonly purposes?: readonly string[];
  readonly usages?: x509.KeyUsageFlags;
  readonly ca?: boolean;
  readonly notBefore?: Date;
  readonly notAfter?: Date;
  readonly more?: readonly x509.Extension[];
}

export async function ecKeys(): Promise<CryptoKeyPair> {
  const keys = await crypto.subtle.generateKey(ECDSA_P256, true, ['sign', 'verify']);
  if (!('privateKey' in keys)) throw new Error('no pair');
  return keys;
}

export async function makeCa(changes: CaChanges = {}): Promise<TestCa> {
  const keys = await ecKeys();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: '01',
    name: changes.name ?? 'O=Ringwall, CN=Ringwall vTPM CA test',
    notBefore: changes.notBefore ?? new Date(NOW.getTime() - YEAR_MS),
    notAfter: changes.notAfter ?? new Date(NOW.getTime() + 10 * YEAR_MS),
    signingAlgorithm: ECDSA_SHA256,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(changes.ca ?? true, 0, true),
      new x509.KeyUsagesExtension(changes.usages ?? x509.KeyUsageFlags.keyCertSign, true),
    ],
  });
  return { certificate, der: new Uint8Array(certificate.rawData), keys };
}

export async function issueEk(
  ca: TestCa,
  publicKey: CryptoKey,
  machine: string,
  changes: EkChanges = {},
): Promise<Uint8Array> {
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: '4202',
    subject: changes.subject ?? `CN=${machine}`,
    issuer: changes.issuer ?? ca.certificate.subject,
    notBefore: changes.notBefore ?? new Date(NOW.getTime() - YEAR_MS),
    notAfter: changes.notAfter ?? new Date(NOW.getTime() + YEAR_MS),
    signingAlgorithm: ECDSA_SHA256,
    publicKey,
    signingKey: ca.keys.privateKey,
    extensions: [
      new x509.BasicConstraintsExtension(changes.ca ?? false, undefined, true),
      new x509.KeyUsagesExtension(changes.usages ?? x509.KeyUsageFlags.keyAgreement, true),
      new x509.ExtendedKeyUsageExtension([...(changes.purposes ?? [TCG_KP_EK_CERTIFICATE])], false),
      ...(changes.more ?? []),
    ],
  });
  return new Uint8Array(certificate.rawData);
}
