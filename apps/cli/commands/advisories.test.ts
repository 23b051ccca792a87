// From a feed to a finding, as a user does it: update, scan, bill of materials, export, import.
import { generateKeyPairSync } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runCli, type Run } from '../testing/harness.ts';

const STATUS = `Package: libssl3
Status: install ok installed
Architecture: amd64
Source: openssl
Version: 3.0.11-1~deb12u2
`;
const TRACKER = JSON.stringify({
  openssl: {
    'CVE-2024-0001': {
      description: 'A hole in a parser.',
      releases: { bookworm: { status: 'resolved', fixed_version: '3.0.13-1~deb12u1', urgency: 'high' } },
    },
  },
});

describe('ringwall advisories', () => {
  let dir: string;
  let words: readonly string[];
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'ringwall-advisories-'));
    words = ['--advisories', join(dir, 'advisories.db')];
    mkdirSync(join(dir, 'root/var/lib/dpkg'), { recursive: true });
    mkdirSync(join(dir, 'root/etc'), { recursive: true });
    writeFileSync(join(dir, 'root/var/lib/dpkg/status'), STATUS);
    writeFileSync(join(dir, 'root/etc/os-release'), 'ID=debian\nVERSION_ID="12"\n');
    writeFileSync(join(dir, 'debian.json'), TRACKER);
  });
  afterEach(() => rmSync(dir, { recursive: true }));
  const ringwall = (...line: string[]): Promise<Run> => runCli(undefined, [...line, ...words]);

  it('bring what a scan is judged by, of an image and of its bill of materials', async () => {
    expect(await ringwall('advisories', 'update', join(dir, 'debian.json'))).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('debian: 1 entries (1 new, 0 changed, 0 gone), for Debian:12'),
    });
    expect((await ringwall('advisories')).stdout).toContain('Debian:12');
    const scan = await ringwall('image', 'scan', join(dir, 'root'));
    expect(scan.stdout).toContain('CVE-2024-0001 in openssl 3.0.11-1~deb12u2');
    expect(scan.code).toBe(4);
    const vex = join(dir, 'vex.json');
    const statement = {
      vulnerability: { name: 'CVE-2024-0001' },
      status: 'not_affected',
      justification: 'component_not_present',
    };
    const statements = [{ ...statement, products: [{ '@id': 'pkg:deb/debian/openssl' }] }];
    writeFileSync(vex, JSON.stringify({ '@context': 'https://openvex.dev/ns', author: 'us', statements }));
    const heeded = await ringwall('image', 'scan', join(dir, 'root'), '--vex', vex, '--all');
    expect(heeded.stdout).toMatch(/by\s+the\s+word\s+of\s+us:\s+component_not_present/);
    expect(heeded.code).toBe(0);
    const bill = join(dir, 'bill.json');
    for (const format of ['cyclonedx', 'spdx']) {
      expect((await ringwall('image', 'sbom', join(dir, 'root'), '--format', format, '-o', bill)).code).toBe(0);
      const again = await ringwall('image', 'scan', bill);
      expect(again.stdout).toContain('CVE-2024-0001 in openssl');
      expect(again.code).toBe(4);
    }
  });

  it('are said to be missing where there are none', async () => {
    words = [];
    const scan = await runCli(undefined, ['image', 'scan', join(dir, 'root'), '--advisories', join(dir, 'none.db')]);
    expect(scan).toMatchObject({ code: 3 });
    writeFileSync(
      join(dir, 'kev.json'),
      JSON.stringify({ catalogVersion: '1', vulnerabilities: [{ cveID: 'CVE-2021-44228', dateAdded: '2021-12-10' }] }),
    );
    words = ['--advisories', join(dir, 'advisories.db')];
    expect((await ringwall('advisories', 'update', join(dir, 'kev.json'))).code).toBe(0);
    expect((await ringwall('image', 'scan', join(dir, 'root'))).stdout).toContain('Debian:12 not judged');
  });

  it('are shipped signed, and taken of no other key', async () => {
    await ringwall('advisories', 'update', join(dir, 'debian.json'));
    const keys = ['ours', 'theirs'].map((name) => {
      const { privateKey, publicKey } = generateKeyPairSync('ed25519');
      writeFileSync(join(dir, `${name}.key`), privateKey.export({ type: 'pkcs8', format: 'pem' }));
      writeFileSync(join(dir, `${name}.pub`), publicKey.export({ type: 'spki', format: 'pem' }));
      return join(dir, name);
    });
    const [ours = '', theirs = ''] = keys;
    const shipped = join(dir, 'all.rwa');
    expect((await ringwall('advisories', 'export', '-o', shipped, '--key', `${ours}.key`)).code).toBe(0);
    words = ['--advisories', join(dir, 'other.db')];
    expect(await ringwall('advisories', 'import', shipped, '--key', `${theirs}.pub`)).toMatchObject({ code: 4 });
    expect(existsSync(join(dir, 'other.db'))).toBe(false);
    expect(await ringwall('advisories', 'import', shipped, '--key', `${ours}.pub`)).toMatchObject({ code: 0 });
    expect((await ringwall('image', 'scan', join(dir, 'root'))).stdout).toContain('CVE-2024-0001');
    const info: unknown = JSON.parse((await ringwall('advisories', '--json')).stdout);
    expect(info).toMatchObject({ serial: 1, feeds: [{ name: 'debian', entries: 1 }] });
  });

  it('are not made of what is no feed', async () => {
    writeFileSync(join(dir, 'odd.json'), '{"a":1}');
    expect(await ringwall('advisories', 'update', join(dir, 'odd.json'))).toMatchObject({ code: 2 });
    expect(existsSync(join(dir, 'advisories.db'))).toBe(false);
    expect(readFileSync(join(dir, 'odd.json'), 'utf8')).toBe('{"a":1}');
  });
});
