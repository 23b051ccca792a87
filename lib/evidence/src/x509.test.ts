import { concatBytes, fromHex, ParseError, toHex } from '@ringwall/bytes';
import * as fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { ecKeys, issueEk, makeCa, NOW, type TestCa } from '../testing/vtpm-ca.ts';
import * as x509 from '../testing/x509-maker.ts';
import { DerReader, unsignedOf } from './der.ts';
import { isSignedBy, KEY_USAGE, parseCertificate } from './x509.ts';

let ca: TestCa;
let der: Uint8Array;
beforeAll(async () => {
  ca = await makeCa();
  der = await issueEk(ca, (await ecKeys()).publicKey, 'mch_aaaabbbbccccddddeeee');
});

describe('parseCertificate()', () => {
  it('reads what another library wrote', () => {
    const certificate = parseCertificate(der);
    const other = new x509.X509Certificate(new Uint8Array(der));
    expect(certificate.serialNumber).toBe(other.serialNumber);
    expect(certificate.notBefore).toEqual(other.notBefore);
    expect(certificate.notAfter).toEqual(other.notAfter);
    expect(certificate.subject.commonNames).toEqual(['mch_aaaabbbbccccddddeeee']);
    expect(certificate.issuer.text).toBe('O=Ringwall, CN=Ringwall vTPM CA test');
    expect(certificate.spki).toEqual(new Uint8Array(other.publicKey.rawData));
    expect(certificate.keyUsage).toBe(KEY_USAGE.keyAgreement);
    expect(certificate.extendedKeyUsage).toEqual(['6781050801']);
    expect(certificate.isCa).toBe(false);
    expect(parseCertificate(ca.der).isCa).toBe(true);
  });

  it('reads times after 2049', async () => {
    const notAfter = new Date('2061-02-03T04:05:06.000Z');
    const long = await issueEk(ca, (await ecKeys()).publicKey, 'm', { notAfter });
    expect(parseCertificate(long).notAfter).toEqual(notAfter);
  });

  it('refuses every truncation, and bytes after the end', () => {
    for (let length = 0; length < der.length; length += 1) {
      expect(() => parseCertificate(der.subarray(0, length)), `${length} bytes`).toThrow(ParseError);
    }
    expect(() => parseCertificate(concatBytes(der, Uint8Array.of(0)))).toThrow(ParseError);
  });

  it('refuses something after the signature, inside the certificate', () => {
    const length = der.length - 4 + 2;
    const longer = concatBytes(Uint8Array.of(0x30, 0x82, length >> 8, length & 0xff), der.subarray(4), fromHex('0500'));
    expect(() => parseCertificate(longer)).toThrow('Certificate has 2 bytes after its end');
  });

  it('refuses an algorithm outside that is not the one inside', () => {
    const sha256 = '2a8648ce3d040302';
    const hex = toHex(der);
    const outside = hex.lastIndexOf(sha256);
    expect(hex.indexOf(sha256)).not.toBe(outside);
    const changed = `${hex.slice(0, outside)}2a8648ce3d040303${hex.slice(outside + sha256.length)}`;
    expect(() => parseCertificate(fromHex(changed))).toThrow('differs from signatureAlgorithm');
  });

  it('refuses a key of loose bits, which one WebCrypto takes and another does not', () => {
    const { spki } = parseCertificate(der);
    const loose = toHex(spki).replace('03420004', '03420104');
    expect(() => parseCertificate(fromHex(toHex(der).replace(toHex(spki), loose)))).toThrow(
      'subjectPublicKey has loose bits',
    );
  });

  it('throws ParseError only, on any bytes', () => {
    const edit = fc.tuple(fc.nat(der.length - 1), fc.nat(255));
    fc.assert(
      fc.property(fc.array(edit, { minLength: 1, maxLength: 5 }), (edits) => {
        const changed = new Uint8Array(der);
        for (const [at, value] of edits) changed[at] = value;
        expect(parsed(changed)).toMatch(/^(certificate|refused)$/);
      }),
      { numRuns: 2000 },
    );
  });

  it('refuses more bytes than its limit', () => {
    expect(() => parseCertificate(new Uint8Array(5000))).toThrow('expected at most 4096');
  });

  it('refuses an extension that comes twice', async () => {
    const twice = [
      new x509.Extension('1.2.3.4', false, new Uint8Array(2)),
      new x509.Extension('1.2.3.4', false, new Uint8Array(2)),
    ];
    const certificate = await issueEk(ca, (await ecKeys()).publicKey, 'm', { more: twice });
    expect(() => parseCertificate(certificate)).toThrow('twice');
  });

  function parsed(bytes: Uint8Array): string {
    try {
      parseCertificate(bytes);
      return 'certificate';
    } catch (error) {
      if (error instanceof ParseError) return 'refused';
      throw error;
    }
  }
});

describe('isSignedBy()', () => {
  it('holds for the issuer and nobody else', async () => {
    const certificate = parseCertificate(der);
    expect(await isSignedBy(certificate, parseCertificate(ca.der))).toBe(true);
    expect(await isSignedBy(certificate, parseCertificate((await makeCa()).der))).toBe(false);
    expect(await isSignedBy(certificate, certificate)).toBe(false);
  });

  it.each<[what: string, algorithm: { name: string; hash: string }, namedCurve: string, expected: boolean]>([
    ['ECDSA P-384 with SHA-384', { name: 'ECDSA', hash: 'SHA-384' }, 'P-384', true],
    ['ECDSA P-384 with SHA-256', { name: 'ECDSA', hash: 'SHA-256' }, 'P-384', true],
    ['ECDSA P-256 with SHA-1', { name: 'ECDSA', hash: 'SHA-1' }, 'P-256', false],
  ])('of %s', async (_what, signingAlgorithm, namedCurve, expected) => {
    const keys = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve }, true, ['sign', 'verify']);
    expect(await selfSigned(keys, signingAlgorithm)).toBe(expected);
  });

  it.each([
    [2048, true],
    [1024, false],
  ])('of RSA with %i bits: %s', async (modulusLength, expected) => {
    const algorithm = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' };
    const parameters = { ...algorithm, modulusLength, publicExponent: fromHex('010001') };
    const keys = await crypto.subtle.generateKey(parameters, true, ['sign', 'verify']);
    expect(await selfSigned(keys, algorithm)).toBe(expected);
  });

  async function selfSigned(
    keys: CryptoKeyPair | CryptoKey,
    signingAlgorithm: { name: string; hash: string },
  ): Promise<boolean> {
    if (!('privateKey' in keys)) throw new Error('no pair');
    const made = await x509.X509CertificateGenerator.createSelfSigned({
      serialNumber: '01',
      name: 'CN=test',
      notBefore: NOW,
      notAfter: NOW,
      signingAlgorithm,
      keys,
    });
    const certificate = parseCertificate(new Uint8Array(made.rawData));
    return isSignedBy(certificate, certificate);
  }
});

describe('DerReader', () => {
  it.each([
    ['BER’s indefinite length', '30800201000000'],
    ['a length in a byte more than needed', '308103020100'],
    ['a length in two bytes where one is enough', '30820003020100'],
    ['a length of three bytes', '3083000003020100'],
    ['a tag of several bytes', '1f810100'],
    ['a length beyond the end', '3004020100'],
  ])('refuses %s', (_what, hex) => {
    expect(() => new DerReader(fromHex(hex)).readAny('value')).toThrow(ParseError);
  });
});

describe('unsignedOf()', () => {
  it.each([
    ['01', '0001'],
    ['0080', '0080'],
    ['00ffff', 'ffff'],
    ['80', undefined],
    ['0001', undefined],
    ['', undefined],
    ['010000', undefined],
  ])('takes %s as %s', (content, expected) => {
    const value = unsignedOf({ tag: 2, content: fromHex(content), whole: new Uint8Array() }, 2);
    expect(value).toEqual(expected === undefined ? undefined : fromHex(expected));
  });
});
