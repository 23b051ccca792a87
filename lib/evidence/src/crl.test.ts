import { concatBytes, fromHex, ParseError, toHex } from '@ringwall/bytes';
import { beforeAll, describe, expect, it } from 'vitest';
import { der, derInteger, derOid } from '../testing/der-maker.ts';
import { makeCrl, makeRoot, type Authority } from '../testing/hardware-ca.ts';
import { NOW } from '../testing/vtpm-ca.ts';
import * as x509 from '../testing/x509-maker.ts';
import { MAX_CRL_BYTES, parseCrl, serialKey } from './crl.ts';
import { keyFingerprint, verifySigned } from './x509-signature.ts';
import { parseCertificate } from './x509.ts';

let root: Authority;
beforeAll(async () => {
  root = await makeRoot('Root', 'P-256');
});

describe('parseCrl()', () => {
  it('reads what another library wrote', async () => {
    const crl = parseCrl(await makeCrl(root, { revoked: ['05', '00ff12'], nextUpdate: NOW }));
    expect([...crl.revoked]).toEqual(['05', 'ff12']);
    expect(crl.nextUpdate).toEqual(NOW);
    expect(crl.issuer.commonNames).toEqual(['Root']);
    expect(await verifySigned(crl, parseCertificate(root.der).spki)).toBe(true);
  });

  it('reads thousands of entries, and refuses more bytes than its limit', async () => {
    const revoked = Array.from({ length: 2800 }, (_, index) => (0x100000 + index).toString(16));
    const list = await makeCrl(root, { revoked });
    expect(list.length).toBeGreaterThan(0xffff);
    expect(parseCrl(list).revoked.size).toBe(2800);
    expect(() => parseCrl(new Uint8Array(MAX_CRL_BYTES + 1))).toThrow('expected at most');
  });

  it.each(['2.5.29.27', '2.5.29.28'])('refuses a list that is not of one whole issuer (%s)', async (oid) => {
    const list = await makeCrl(root, { extensions: [new x509.Extension(oid, true, new Uint8Array(2))] });
    expect(() => parseCrl(list)).toThrow('is critical and not known here');
  });

  it('refuses bytes after the end, and an algorithm outside that is not the one inside', async () => {
    const list = await makeCrl(root);
    expect(() => parseCrl(concatBytes(list, Uint8Array.of(0)))).toThrow(ParseError);
    const hex = toHex(list);
    const outside = hex.lastIndexOf('2a8648ce3d040302');
    const changed = `${hex.slice(0, outside)}2a8648ce3d040303${hex.slice(outside + 16)}`;
    expect(() => parseCrl(fromHex(changed))).toThrow('differs from signatureAlgorithm');
  });
});

describe('serialKey()', () => {
  it.each([
    ['00', '00'],
    ['0001', '01'],
    ['0000ff', 'ff'],
    ['0100', '0100'],
  ])('of %s is %s', (serial, key) => expect(serialKey(serial)).toBe(key));
});

describe('verifySigned()', () => {
  it('verifies RSA-PSS, with the salt of its hash alone', async () => {
    const pss = await makeRoot('Root', 'RSA-PSS');
    const certificate = parseCertificate(pss.der);
    expect(await verifySigned(certificate, certificate.spki)).toBe(true);
    const judged = (parameters: PssParameters): Promise<boolean> =>
      verifySigned({ ...certificate, signatureAlgorithm: pssAlgorithm(parameters) }, certificate.spki);
    expect(await judged({})).toBe(true);
    expect(await judged({ trailer: 1 })).toBe(true);
    expect(await judged({ trailer: 2 })).toBe(false);
    expect(await judged({ saltBytes: 32 })).toBe(false);
    expect(await judged({ maskHash: SHA256 })).toBe(false);
    expect(await judged({ hash: SHA1, maskHash: SHA1, saltBytes: 20 })).toBe(false);
  });
});

describe('keyFingerprint()', () => {
  it('is SHA-256, in lower case', async () => {
    expect(await keyFingerprint(new Uint8Array())).toBe(
      'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
    );
  });
});

const SHA1 = '1.3.14.3.2.26';
const SHA256 = '2.16.840.1.101.3.4.2.1';
const SHA384 = '2.16.840.1.101.3.4.2.2';

interface PssParameters {
  readonly hash?: string;
  readonly maskHash?: string;
  readonly saltBytes?: number;
  readonly trailer?: number;
}

function pssAlgorithm({ hash = SHA384, maskHash = SHA384, saltBytes = 48, trailer }: PssParameters): Uint8Array {
  const algorithm = (oid: string): Uint8Array => der(0x30, derOid(oid), der(0x05));
  const parameters = der(
    0x30,
    der(0xa0, algorithm(hash)),
    der(0xa1, der(0x30, derOid('1.2.840.113549.1.1.8'), algorithm(maskHash))),
    der(0xa2, derInteger(saltBytes)),
    ...(trailer === undefined ? [] : [der(0xa3, derInteger(trailer))]),
  );
  return concatBytes(derOid('1.2.840.113549.1.1.10'), parameters);
}
