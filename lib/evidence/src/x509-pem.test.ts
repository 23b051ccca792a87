import { concatBytes, ParseError, utf8 } from '@ringwall/bytes';
import { beforeAll, describe, expect, it } from 'vitest';
import { makeRoot } from '../testing/hardware-ca.ts';
import { unpadCertificate } from './x509-padding.ts';
import { certificatesOf, encodePem, parsePemChain } from './x509-pem.ts';

let der: Uint8Array;
let pem: string;
beforeAll(async () => {
  ({ der } = await makeRoot('Root', 'P-256'));
  pem = encodePem(der);
});

describe('parsePemChain()', () => {
  it('reads what encodePem wrote, with one zero byte after it or without its last line feed', () => {
    expect(parsePemChain(utf8(`${pem}${pem}`))).toEqual([der, der]);
    expect(parsePemChain(utf8(`${pem}\0`))).toEqual([der]);
    expect(parsePemChain(utf8(pem.trimEnd()))).toEqual([der]);
  });

  it.each<[what: string, change: (text: string) => string]>([
    ['nothing', () => ''],
    ['text before', (text) => `hello\n${text}`],
    ['text after', (text) => `${text}hello`],
    ['an empty line between', (text) => `${text}\n${text}`],
    ['two zero bytes after', (text) => `${text}\0\0`],
    ['lines of another length', (text) => text.replace(/\n(.{10})/, '\n$1\n')],
    ['carriage returns', (text) => text.replaceAll('\n', '\r\n')],
    ['another label', (text) => text.replaceAll('CERTIFICATE', 'X509 CRL')],
    ['loose bits in base64', (text) => text.replace(/[A-Za-z0-9+/](=*\n-----END)/, '!$1')],
    ['nine certificates', (text) => text.repeat(9)],
    ['more bytes than its limit', (text) => text.repeat(200)],
  ])('refuses %s', (_what, change) => {
    expect(() => parsePemChain(utf8(change(pem)))).toThrow(ParseError);
  });
});

describe('certificatesOf()', () => {
  it('takes a file of an operator: PEM with any line ends and empty lines, or DER', () => {
    expect(certificatesOf(der)).toEqual([der]);
    expect(certificatesOf(utf8(`${pem}\n${pem.replaceAll('\n', '\r\n')}`))).toEqual([der, der]);
  });
});

describe('unpadCertificate()', () => {
  it.each([
    ['nothing', 0, 0],
    ['zeros', 500, 0],
    ['ones', 500, 0xff],
  ])('takes a certificate with %s after it', (_what, length, fill) => {
    const index = concatBytes(der, new Uint8Array(length).fill(fill));
    expect(unpadCertificate(index)).toEqual({ der, paddingBytes: length });
  });

  it.each<[what: string, index: () => Uint8Array, error: string]>([
    ['nothing', () => new Uint8Array(), 'needs 2 bytes'],
    ['zeros alone', () => new Uint8Array(100), 'expected a SEQUENCE'],
    ['padding of several kinds', () => concatBytes(der, Uint8Array.of(0, 0, 0xff)), 'are no padding'],
    ['padding that is another certificate', () => concatBytes(der, der), 'are no padding'],
    ['more padding than an index has', () => concatBytes(der, new Uint8Array(3000)), 'bytes of padding'],
    ['a TPM 1.2’s header', () => concatBytes(Uint8Array.of(0x10, 0x01, 0, 4, 0), der), 'TPM 1.2'],
    ['BER', () => Uint8Array.of(0x30, 0x80, ...der.subarray(4), 0, 0), 'expected DER'],
    ['a certificate that is cut off', () => der.subarray(0, 100), 'needs'],
  ])('refuses %s, with a reason', (_what, index, error) => {
    expect(() => unpadCertificate(index())).toThrow(error);
  });
});
