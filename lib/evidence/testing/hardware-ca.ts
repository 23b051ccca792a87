// A vendor’s certificate authority for tests: root, intermediate, leaf, and revocation lists, with any algorithm.
import * as x509 from './x509-maker.ts';
import { NOW, YEAR_MS } from './vtpm-ca.ts';

export type Algorithm = 'P-256' | 'P-384' | 'RSA-PSS';

export interface Authority {
  readonly name: string;
  readonly algorithm: Algorithm;
  readonly keys: CryptoKeyPair;
  readonly der: Uint8Array;
}

export interface CertificateChanges {
  readonly name?: string;
  readonly serialNumber?: string;
  readonly notBefore?: Date;
  readonly notAfter?: Date;
  readonly ca?: boolean;
  readonly pathLength?: number | undefined;
  readonly usages?: x509.KeyUsageFlags | undefined;
  readonly extensions?: readonly x509.Extension[];
}

export interface CrlChanges {
  readonly revoked?: readonly string[];
  readonly thisUpdate?: Date;
  readonly nextUpdate?: Date;
  readonly extensions?: readonly x509.Extension[];
}

/** RSA of 2,048 bits: AMD’s have 4,096, which take a second to make; the real vectors have those. */
const RSA_PSS = {
  name: 'RSA-PSS',
  hash: 'SHA-384',
  modulusLength: 2048,
  publicExponent: Uint8Array.of(1, 0, 1),
} as const;

export async function makeKeys(algorithm: Algorithm): Promise<CryptoKeyPair> {
  const parameters = algorithm === 'RSA-PSS' ? RSA_PSS : { name: 'ECDSA', namedCurve: algorithm };
  const keys = await crypto.subtle.generateKey(parameters, true, ['sign', 'verify']);
  if (!('privateKey' in keys)) throw new Error('no pair');
  return keys;
}

export async function makeRoot(
  name: string,
  algorithm: Algorithm,
  changes: CertificateChanges = {},
): Promise<Authority> {
  const keys = await makeKeys(algorithm);
  const self = { name, algorithm, keys, der: new Uint8Array() };
  return { ...self, der: await certify(self, keys.publicKey, name, { ca: true, ...changes }) };
}

export async function makeAuthority(
  issuer: Authority,
  name: string,
  algorithm: Algorithm,
  changes: CertificateChanges = {},
): Promise<Authority> {
  const keys = await makeKeys(algorithm);
  const authority = { name, algorithm, keys, der: new Uint8Array() };
  return { ...authority, der: await certify(issuer, keys.publicKey, name, { ca: true, pathLength: 0, ...changes }) };
}

/** A certificate by `issuer`; of no CA unless the changes say so. */
export async function certify(
  issuer: Authority,
  publicKey: CryptoKey,
  name: string,
  changes: CertificateChanges = {},
): Promise<Uint8Array> {
  const ca = changes.ca ?? false;
  const usages: x509.KeyUsageFlags | undefined = 'usages' in changes ? changes.usages : usagesOf(ca);
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: changes.serialNumber ?? '0102',
    subject: `CN=${changes.name ?? name}`,
    issuer: `CN=${issuer.name}`,
    notBefore: changes.notBefore ?? new Date(NOW.getTime() - YEAR_MS),
    notAfter: changes.notAfter ?? new Date(NOW.getTime() + YEAR_MS),
    signingAlgorithm: signingAlgorithm(issuer.algorithm),
    publicKey,
    signingKey: issuer.keys.privateKey,
    extensions: [
      ...(ca ? [new x509.BasicConstraintsExtension(true, changes.pathLength, true)] : []),
      ...(usages === undefined ? [] : [new x509.KeyUsagesExtension(usages, true)]),
      ...(changes.extensions ?? []),
    ],
  });
  return new Uint8Array(certificate.rawData);
}

export async function makeCrl(issuer: Authority, changes: CrlChanges = {}): Promise<Uint8Array> {
  const crl = await x509.X509CrlGenerator.create({
    issuer: `CN=${issuer.name}`,
    thisUpdate: changes.thisUpdate ?? new Date(NOW.getTime() - YEAR_MS / 12),
    nextUpdate: changes.nextUpdate ?? new Date(NOW.getTime() + YEAR_MS / 12),
    entries: (changes.revoked ?? []).map((serialNumber) => ({ serialNumber, revocationDate: NOW })),
    signingAlgorithm: signingAlgorithm(issuer.algorithm),
    signingKey: issuer.keys.privateKey,
    extensions: [...(changes.extensions ?? [])],
  });
  return new Uint8Array(crl.rawData);
}

export async function spkiOf(key: CryptoKey): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.exportKey('spki', key));
}

function usagesOf(ca: boolean): x509.KeyUsageFlags {
  if (!ca) return x509.KeyUsageFlags.digitalSignature;
  // oxlint-disable-next-line typescript/no-unsafe-enum-assignment -- flags are made to be combined
  return x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign;
}

function signingAlgorithm(algorithm: Algorithm): EcdsaParams | (RsaPssParams & { hash: string }) {
  if (algorithm === 'RSA-PSS') return { name: 'RSA-PSS', hash: 'SHA-384', saltLength: 48 };
  return { name: 'ECDSA', hash: algorithm === 'P-256' ? 'SHA-256' : 'SHA-384' };
}
