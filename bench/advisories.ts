// What advisories cost: a made database of as many as the Debian tracker and a language's dump have, in their shape; packages of an
// image held against it; what it takes on disk, and what a day's changes take on the way to other machines.
import { createHash, generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AdvisoryDatabase, exportBundle, importBundle, sourceOf } from '@ringwall/host/advisories';
import { judgeVulnerabilities, parseSbom, type Advisory, type ParsedFeed } from '@ringwall/oci';
import { median, type Figure } from './measure.ts';

const ADVISORIES = 200_000;
/** Debian has some 4,000 source packages with advisories: 50 each. */
const NAMES = 4000;
/** Of what was ever found, so much is not fixed in a stable release. */
const OPEN_SHARE = 1 / 16;
const ECOSYSTEM = 'Debian:12';
const PACKAGES = 400;
/** Of a day. */
const CHANGED_SHARE = 0.005;
const ROUNDS = 7;
const WORDS =
  'a flaw was found in the way the library handles crafted input which allows remote attackers to cause denial of service or possibly execute arbitrary code via an integer overflow heap use after free before version'.split(
    ' ',
  );

export async function benchAdvisories(): Promise<Figure[]> {
  const folder = mkdtempSync(join(tmpdir(), 'ringwall-bench-'));
  try {
    return await measure(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function measure(folder: string): Promise<Figure[]> {
  const path = join(folder, 'advisories.sqlite');
  const copy = join(folder, 'copy.sqlite');
  const bundle = join(folder, 'bundle');
  const stamp = { dated: '2026-01-01T00:00:00Z', updated: '2026-01-01T00:00:00Z' };
  using database = AdvisoryDatabase.openToWrite(path);
  const [feed, newer] = [feedOf(0), feedOf(CHANGED_SHARE)];
  const filled = timed(() => database.replaceFeed(feed, stamp));
  const fileBytes = statSync(path).size;
  const source = sourceOf(database);
  const packages = parseSbom(Buffer.from(JSON.stringify(billOf()))).packages;
  let findings = 0;
  const judging: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1)
    judging.push(timed(() => (findings = judgeVulnerabilities(packages, source).length)));
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const [key, trusted] = [
    privateKey.export({ type: 'pkcs8', format: 'pem' }),
    publicKey.export({ type: 'spki', format: 'pem' }),
  ];
  const whole = exportBundle(database, key, 0, Date.now());
  writeFileSync(bundle, whole);
  await importBundle(copy, bundle, trusted);
  const before = database.serial;
  const updated = timed(() => database.replaceFeed(newer, stamp));
  const delta = exportBundle(database, key, before, Date.now());
  writeFileSync(bundle, delta);
  const startedAt = performance.now();
  await importBundle(copy, bundle, undefined);
  const imported = performance.now() - startedAt;
  const count = ADVISORIES.toLocaleString('en');
  return [
    {
      name: `${String(PACKAGES)} packages of an image held against ${count} advisories`,
      value: `${median(judging).toFixed(0)} ms, ${judging[0]?.toFixed(0) ?? ''} ms the first time (${String(findings)} findings)`,
    },
    {
      name: `the file of ${count} advisories, and its whole export`,
      value: `${megabytes(fileBytes)} MB, ${megabytes(whole.length)} MB; filled in ${(filled / 1000).toFixed(1)} s`,
    },
    {
      name: `a feed in which ${String(CHANGED_SHARE * 100)} % have changed`,
      value: `read again in ${(updated / 1000).toFixed(1)} s; as a delta ${megabytes(delta.length)} MB, imported in ${imported.toFixed(0)} ms`,
    },
  ];
}

/** The same each time but for a share of changed ones. */
function feedOf(changed: number): ParsedFeed {
  const advisories = Array.from({ length: ADVISORIES }, (_, at) => advisoryOf(at, at < ADVISORIES * changed ? 1 : 0));
  return { kind: 'debian', name: 'debian', ecosystems: [ECOSYSTEM], advisories };
}

function advisoryOf(at: number, revision: number): Advisory {
  // Neither random, so that a run is like the other, nor of a pattern that packs well.
  const digest = createHash('sha256').update(String(at)).digest();
  const number = (from: number): number => digest.readUInt16BE(from);
  const id = `CVE-${String(2005 + (number(0) % 21))}-${String(1000 + at)}`;
  const name = nameOf(number(4) % NAMES);
  const text = Array.from(digest.subarray(0, 24), (byte) => WORDS[byte % WORDS.length] ?? '').join(' ');
  const isOpen = number(6) / 65_536 < OPEN_SHARE;
  // Of versions 0 to 31, with 30 installed: what is fixed is installed, but for the newest.
  const fixed = isOpen ? '' : `3.${String(number(10) % 32)}-${String(1 + revision)}`;
  return {
    id,
    vulnerabilities: [id],
    summary: `${text} in ${name}`,
    severity: (['low', 'medium', 'high', 'critical'] as const)[number(12) % 4],
    affected: [
      { ecosystem: ECOSYSTEM, name, status: 'affected', ranges: [['0', fixed, '']], versions: [], module: '' },
    ],
  };
}

function nameOf(at: number): string {
  return `source-${String(at)}`;
}

function billOf(): unknown {
  const components = Array.from({ length: PACKAGES }, (_, at) => {
    const [name, version] = [nameOf(at * 10), '3.30-1'];
    return { type: 'library', name, version, purl: `pkg:deb/debian/${name}@${version}?arch=amd64&distro=debian-12` };
  });
  return { bomFormat: 'CycloneDX', specVersion: '1.6', components };
}

function timed(work: () => unknown): number {
  const startedAt = performance.now();
  work();
  return performance.now() - startedAt;
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(1);
}
