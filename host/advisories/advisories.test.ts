// The file of advisories, filled, asked, shipped. Real SQLite, real keys, a real server on the loopback.
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { RingwallError } from '@ringwall/api/errors';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { exportBundle, importBundle } from './bundle.ts';
import { AdvisoryDatabase, type FeedChange } from './database.ts';
import { sourceOf } from './source.ts';
import { applyFeed, readFeed } from './update.ts';

const NOW = Date.UTC(2026, 0, 2);
const tracker = (...cves: readonly string[]): object => ({
  openssl: Object.fromEntries(
    cves.map((cve) => [
      cve.split('=')[0],
      {
        description: `About ${cve}.`,
        releases: { bookworm: { status: 'resolved', fixed_version: cve.split('=')[1] ?? '3.0.13-1', urgency: 'high' } },
      },
    ]),
  ),
});
const osv = (id: string, name: string): object => ({
  id,
  aliases: [],
  summary: `A hole in ${name}`,
  affected: [
    {
      package: { ecosystem: 'npm', name },
      ranges: [{ type: 'SEMVER', events: [{ introduced: '1.0.0' }, { fixed: '1.2.0' }, { introduced: '2.0.0' }] }],
    },
  ],
});
const pem = generateKeyPairSync('ed25519', {
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  publicKeyEncoding: { type: 'spki', format: 'pem' },
});
const other = generateKeyPairSync('ed25519', {
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  publicKeyEncoding: { type: 'spki', format: 'pem' },
});

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'advisories-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

describe('updateFrom()', () => {
  it('takes a feed in place of the one before, and says what changed', async () => {
    expect(await update(tracker('CVE-2024-0001', 'CVE-2024-0002', 'CVE-2024-0003'))).toMatchObject({
      added: 3,
      removed: 0,
    });
    expect(await update(tracker('CVE-2024-0001', 'CVE-2024-0002=4', 'CVE-2024-0004'))).toMatchObject({
      name: 'debian',
      ecosystems: ['Debian:12'],
      entries: 3,
      added: 1,
      changed: 1,
      removed: 1,
    });
    expect(lookup('Debian:12', 'openssl')).toEqual([
      'CVE-2024-0001 high 3.0.13-1 About CVE-2024-0001.',
      'CVE-2024-0002 high 4 About CVE-2024-0002=4.',
      'CVE-2024-0004 high 3.0.13-1 About CVE-2024-0004.',
    ]);
    expect(lookup('Debian:12', 'curl')).toEqual([]);
    expect(lookup('Debian:11', 'openssl')).toEqual([]);
  });

  it('refuses a feed of which most is gone, and keeps what it had', async () => {
    await update(tracker('CVE-2024-0001', 'CVE-2024-0002', 'CVE-2024-0003'));
    await expect(update(tracker('CVE-2024-0001'))).rejects.toMatchObject({ code: 'conflict' });
    expect(lookup('Debian:12', 'openssl')).toHaveLength(3);
    expect(await update(tracker('CVE-2024-0001'), 'feed.json', true)).toMatchObject({ removed: 2 });
  });

  it.each([
    ['plain', (text: string) => Buffer.from(text)],
    ['gzip', (text: string) => gzipSync(text)],
    ['zstd', (text: string) => zstdCompressSync(text)],
  ])('reads %s, and lines of OSV', async (_name, pack) => {
    const lines = [osv('GHSA-1', 'left-pad'), osv('GHSA-2', 'right-pad')]
      .map((each) => JSON.stringify(each))
      .join('\n');
    expect(await updateFile('osv.jsonl', pack(lines))).toMatchObject({ name: 'osv/npm', entries: 2 });
    using database = AdvisoryDatabase.openToRead(path());
    expect(sourceOf(database).lookup('npm', 'left-pad')).toMatchObject([
      {
        ranges: [
          ['1.0.0', '1.2.0', ''],
          ['2.0.0', '', ''],
        ],
      },
    ]);
  });

  it('keeps who is exploited, and how probably', async () => {
    await updateFile(
      'kev.json',
      Buffer.from(
        JSON.stringify({
          catalogVersion: '1',
          vulnerabilities: [{ cveID: 'CVE-2021-44228', dateAdded: '2021-12-10' }],
        }),
      ),
    );
    await updateFile(
      'epss.csv',
      Buffer.from('#model_version:v2025,score_date:2026\ncve,epss,percentile\nCVE-2021-44228,0.94358,0.999\n'),
    );
    using database = AdvisoryDatabase.openToRead(path());
    expect(sourceOf(database).priority('CVE-2021-44228')).toEqual({ epss: 0.94358, exploitedSince: '2021-12-10' });
    expect(sourceOf(database).priority('CVE-2000-0001')).toEqual({ epss: undefined, exploitedSince: '' });
  });

  it.each([
    ['{', 'bad-request'],
    ['[]', 'bad-request'],
    ['{}', 'bad-request'],
    ['', 'bad-request'],
    ['{"id":"X","affected":[]}', 'bad-request'],
    [
      '{"id":"GHSA-1","affected":[{"package":{"ecosystem":"npm","name":"x"},"versions":["1"]}]}\n{"x":1}',
      'bad-request',
    ],
    ['PK\u0003\u0004 no zip', 'bad-request'],
    ['cve,epss,percentile\nCVE-2024-0001,2,1', 'bad-request'],
  ])('refuses %j, and changes nothing', async (text, code) => {
    await update(tracker('CVE-2024-0001'));
    await expect(updateFile('bad', Buffer.from(text))).rejects.toMatchObject({ name: 'RingwallError', code });
    expect(lookup('Debian:12', 'openssl')).toHaveLength(1);
  });

  it('fetches a URL, dated as the server says, and nothing that a server refuses', async () => {
    const server = createServer((request, response) => {
      response.statusCode = request.url === '/feed' ? 200 : 404;
      response.setHeader('last-modified', 'Thu, 01 Jan 2026 00:00:00 GMT');
      response.end(JSON.stringify(tracker('CVE-2024-0001')));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    try {
      const address = server.address();
      const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
      using database = AdvisoryDatabase.openToWrite(path());
      applyFeed(database, await readFeed(`http://127.0.0.1:${port}/feed`, NOW), false);
      expect(database.feeds()).toMatchObject([{ name: 'debian', dated: '2026-01-01T00:00:00.000Z', entries: 1 }]);
      await expect(readFeed(`http://127.0.0.1:${port}/other`, NOW)).rejects.toMatchObject({ code: 'not-found' });
    } finally {
      server.close();
    }
  });

  it('keeps summaries small, and writes them anew when most are gone', async () => {
    const many = Array.from({ length: 1000 }, (_, at) => `CVE-2024-${10_000 + at}`);
    await update(tracker(...many));
    const bytes = statSync(path()).size;
    for (let version = 1; version < 5; version += 1) await update(tracker(...many.map((cve) => `${cve}=${version}`)));
    expect(statSync(path()).size).toBeLessThan(bytes * 2);
    expect(lookup('Debian:12', 'openssl')).toHaveLength(1000);
    expect(lookup('Debian:12', 'openssl')[999]).toBe('CVE-2024-10999 high 4 About CVE-2024-10999=4.');
  });
});

describe('exportBundle() and importBundle()', () => {
  const target = (): string => join(folder, 'target.db');

  it('ship all of it, and later only what changed', async () => {
    await update(tracker('CVE-2024-0001', 'CVE-2024-0002', 'CVE-2024-0003'));
    await updateFile('epss.csv', Buffer.from('cve,epss,percentile\nCVE-2024-0001,0.5,0.9\n'));
    const whole = bundle(0);
    await importBundle(target(), whole, pem.publicKey);
    expect(lookup('Debian:12', 'openssl', target())).toEqual(lookup('Debian:12', 'openssl'));
    await update(tracker('CVE-2024-0001', 'CVE-2024-0002=4', 'CVE-2024-0005'));
    const delta = bundle(2);
    expect(await importBundle(target(), delta, undefined)).toMatchObject({ since: 2, serial: 3 });
    expect(lookup('Debian:12', 'openssl', target())).toEqual(lookup('Debian:12', 'openssl'));
    using database = AdvisoryDatabase.openToRead(target());
    expect(sourceOf(database).priority('CVE-2024-0001').epss).toBe(0.5);
    expect(sourceOf(database).covers('Debian:12')).toBe(true);
    expect(database.feeds().map(({ name }) => name)).toEqual(['debian', 'epss']);
  });

  it('refuse a delta that does not go on from what is here, and what is older', async () => {
    await update(tracker('CVE-2024-0001'));
    const old = bundle(0);
    await update(tracker('CVE-2024-0002'), 'feed.json', true);
    const delta = bundle(1);
    await expect(importBundle(target(), delta, pem.publicKey)).rejects.toMatchObject({ code: 'conflict' });
    await importBundle(target(), bundle(0), pem.publicKey);
    await expect(importBundle(target(), old, undefined)).rejects.toMatchObject({ code: 'conflict' });
    // Own feeds have left the publisher's line.
    using database = AdvisoryDatabase.openToWrite(target());
    applyFeed(database, await readFeed(join(folder, 'feed.json'), NOW), true);
    await expect(importBundle(target(), delta, pem.publicKey)).rejects.toMatchObject({ code: 'conflict' });
  });

  it('take nothing without a key, nor of another one', async () => {
    await update(tracker('CVE-2024-0001'));
    await expect(importBundle(target(), bundle(0), undefined)).rejects.toMatchObject({ code: 'bad-request' });
    await expect(importBundle(target(), bundle(0), other.publicKey)).rejects.toMatchObject({ code: 'proof-invalid' });
    await expect(importBundle(target(), bundle(0), 'no key')).rejects.toMatchObject({ code: 'bad-request' });
    await importBundle(target(), bundle(0), pem.publicKey);
    await expect(importBundle(target(), bundle(0, other.privateKey), undefined)).rejects.toMatchObject({
      code: 'proof-invalid',
    });
  });

  it('refuse an export of which any byte was changed, and leave what was here', async () => {
    await update(tracker('CVE-2024-0001'));
    const bytes = readFileSync(bundle(0));
    await importBundle(target(), bundle(0), pem.publicKey);
    const altered = join(folder, 'altered.rwa');
    for (let at = 0; at < bytes.length; at += 37) {
      const changed = Buffer.from(bytes);
      changed[at] = (changed[at] ?? 0) ^ 1;
      writeFileSync(altered, changed);
      await expect(importBundle(target(), altered, pem.publicKey)).rejects.toThrow(RingwallError);
      writeFileSync(altered, bytes.subarray(0, at));
      await expect(importBundle(target(), altered, pem.publicKey)).rejects.toThrow(RingwallError);
    }
    expect(lookup('Debian:12', 'openssl', target())).toHaveLength(1);
  });

  function bundle(since: number, key = pem.privateKey): string {
    using database = AdvisoryDatabase.openToRead(path());
    const file = join(folder, `${since}-${database.serial}.rwa`);
    writeFileSync(file, exportBundle(database, key, since, NOW));
    return file;
  }
});

describe('openToRead()', () => {
  it('refuses what is no file of advisories', () => {
    writeFileSync(
      path(),
      'something else that is longer than a header of SQLite, which has a hundred bytes, as everybody knows',
    );
    expect(() => AdvisoryDatabase.openToRead(path())).toThrow(/is no file of advisories/);
    expect(() => AdvisoryDatabase.openToRead(join(folder, 'none'))).toThrow(/there are no advisories/);
  });
});

function path(): string {
  return join(folder, 'advisories.db');
}

function update(feed: object, name = 'feed.json', mayShrink = false): Promise<FeedChange> {
  return updateFile(name, Buffer.from(JSON.stringify(feed)), mayShrink);
}

async function updateFile(name: string, bytes: Uint8Array, mayShrink = false): Promise<FeedChange> {
  writeFileSync(join(folder, name), bytes);
  using database = AdvisoryDatabase.openToWrite(path());
  return applyFeed(database, await readFeed(join(folder, name), NOW), mayShrink);
}

function lookup(ecosystem: string, name: string, file = path()): readonly string[] {
  using database = AdvisoryDatabase.openToRead(file);
  return sourceOf(database)
    .lookup(ecosystem, name)
    .map(({ id, severity, ranges, summary }) => `${id} ${severity} ${ranges[0]?.[1]} ${summary()}`)
    .toSorted();
}
