import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { newMachineId } from '@ringwall/api';
import { ekTemplate } from '@ringwall/tpm';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Secret } from '../keys/index.ts';
import * as x509 from './x509.ts';
import { EK_CERTIFICATE_LIMIT_BYTES, openVtpmCa } from './index.ts';

let directory = '';
let path = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'ca-'));
  path = join(directory, 'vtpm-ca.json');
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** An EK public area as CreatePrimary would give it: the template with a real point in `unique`. */
async function softwareEk(): Promise<Uint8Array<ArrayBuffer>> {
  const pair = await crypto.subtle.generateKey({ name: 'ECDH', namedCurve: 'P-256' }, true, ['deriveBits']);
  const raw = new Uint8Array(await crypto.subtle.exportKey('raw', pair.publicKey));
  const area = ekTemplate();
  area.set(raw.subarray(1, 33), area.length - 66);
  area.set(raw.subarray(33), area.length - 32);
  return area;
}

describe('openVtpmCa()', () => {
  test('issues an EK certificate of the TCG profile that fits its NV index', async () => {
    using hostKey = Secret.random(32);
    const ca = await openVtpmCa(path, hostKey);
    const machine = newMachineId();
    const der = await ca.issueEkCertificate(await softwareEk(), machine);
    expect(der.length).toBeLessThanOrEqual(EK_CERTIFICATE_LIMIT_BYTES);
    const certificate = new x509.X509Certificate(der);
    expect(certificate.subject).toBe(`CN=${machine}`);
    expect(certificate.serialNumber).toMatch(/^[4-7][0-9a-f]{31}$/);
    expect(certificate.getExtension(x509.ExtendedKeyUsageExtension)?.usages).toEqual(['2.23.133.8.1']);
    expect(certificate.getExtension(x509.KeyUsagesExtension)).toMatchObject({
      usages: x509.KeyUsageFlags.keyAgreement,
      critical: true,
    });
    expect(certificate.getExtension(x509.BasicConstraintsExtension)).toMatchObject({ ca: false, critical: true });
    const names = certificate.getExtension(x509.SubjectAlternativeNameExtension)?.names.toJSON();
    expect(names).toEqual([
      { type: 'dn', value: '2.23.133.2.1=id:00001014, 2.23.133.2.2=swtpm, 2.23.133.2.3=id:20191023' },
    ]);
  });

  test("issues what OpenSSL verifies under the CA's root, and under no other", async () => {
    using hostKey = Secret.random(32);
    const ca = await openVtpmCa(path, hostKey);
    const other = await openVtpmCa(join(directory, 'other.json'), hostKey);
    const leaf = new X509Certificate(await ca.issueEkCertificate(await softwareEk(), newMachineId()));
    const [root] = ca.certificates.map((der) => new X509Certificate(der));
    const [stranger] = other.certificates.map((der) => new X509Certificate(der));
    if (root === undefined || stranger === undefined) throw new Error('a CA without a root');
    expect(leaf.checkIssued(root)).toBe(true);
    expect(leaf.verify(root.publicKey)).toBe(true);
    expect(root.verify(root.publicKey)).toBe(true);
    expect(root.ca).toBe(true);
    expect(leaf.checkIssued(stranger)).toBe(false);
    expect(leaf.verify(stranger.publicKey)).toBe(false);
    expect(new Date(leaf.validTo).getTime()).toBe(new Date(root.validTo).getTime());
  });

  test('makes its root once, in a file for this user alone, its key not in clear', async () => {
    using hostKey = Secret.random(32);
    const first = await openVtpmCa(path, hostKey);
    const second = await openVtpmCa(path, hostKey);
    expect(second.certificates).toEqual(first.certificates);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readdirSync(directory)).toEqual(['vtpm-ca.json']);
    expect(readFileSync(path, 'utf8')).not.toMatch(/PRIVATE|BEGIN/);
  });

  test('does not open with the host key of another host', async () => {
    using hostKey = Secret.random(32);
    using stranger = Secret.random(32);
    await openVtpmCa(path, hostKey);
    await expect(openVtpmCa(path, stranger)).rejects.toThrow('another root key');
  });

  test('refuses a file that is cut, has another field, or another root in it', async () => {
    using hostKey = Secret.random(32);
    await openVtpmCa(path, hostKey);
    const text = readFileSync(path, 'utf8');
    const file: Record<string, unknown> = JSON.parse(text);
    await openVtpmCa(join(directory, 'other.json'), hostKey);
    const other: Record<string, unknown> = JSON.parse(readFileSync(join(directory, 'other.json'), 'utf8'));
    const broken = [
      text.slice(0, 40),
      'null',
      JSON.stringify({ ...file, extra: 1 }),
      JSON.stringify({ ...file, format: 'ringwall-vtpm-ca/2' }),
      JSON.stringify({ ...file, certificate: 'AAAA' }),
      JSON.stringify({ ...file, certificate: other['certificate'] }),
    ];
    for (const content of broken) {
      writeFileSync(path, content);
      await expect(openVtpmCa(path, hostKey)).rejects.toMatchObject({ name: 'RingwallError' });
    }
  });

  test('certifies only keys for machine ids', async () => {
    using hostKey = Secret.random(32);
    const ca = await openVtpmCa(path, hostKey);
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what a caller without types could pass
    const forged = 'mch_x,O=Evil' as `mch_${string}`;
    await expect(ca.issueEkCertificate(await softwareEk(), forged)).rejects.toMatchObject({ code: 'bad-request' });
    await expect(ca.issueEkCertificate(new Uint8Array(10), newMachineId())).rejects.toMatchObject({
      name: 'ParseError',
    });
  });
});
