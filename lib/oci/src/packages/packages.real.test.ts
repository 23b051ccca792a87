// Databases and programs that real tools made, held against what the tools themselves say of them.
import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeEntry, ROOMY } from '../../testing/make-image.ts';
import { parseCopyright } from './dpkg/copyright.ts';
import { parseDpkgStatus } from './dpkg/dpkg.ts';
import type { PackageFact } from './package-fact.ts';
import { programInspector } from './programs/programs.ts';
import { parseRpmDatabase } from './rpm/rpm.ts';

const has = (...files: readonly string[]): boolean => files.every((file) => existsSync(file));
const SPECIFICATION = `Name: demo
Version: 1.2.3
Release: 4.el9
Epoch: 2
Summary: demo
License: MIT
BuildArch: noarch
%description
demo
%package tools
Summary: tools
%description tools
tools
%files
%files tools
`;

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'packages-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

describe.skipIf(!has('/usr/bin/rpmbuild', '/usr/bin/rpm'))('rpm (skipped: needs rpm)', () => {
  it('has the packages that rpm says it has', () => {
    const database = join(folder, 'rpmdb');
    mkdirSync(database);
    writeFileSync(join(folder, 'demo.spec'), SPECIFICATION);
    run('rpmbuild', '-bb', '--define', `_topdir ${folder}/top`, join(folder, 'demo.spec'));
    const files = run('find', `${folder}/top`, '-name', '*.rpm').trim().split('\n');
    run('rpm', '--dbpath', database, '-i', '--justdb', '--nodeps', '--force', ...files);
    const said = run(
      'rpm',
      '--dbpath',
      database,
      '-qa',
      '--qf',
      '%{NAME} %{EPOCH}:%{VERSION}-%{RELEASE} %{ARCH} %{LICENSE}\\n',
    );
    const bytes = readFileSync(join(database, 'rpmdb.sqlite'));
    expect(described(parseRpmDatabase('var/lib/rpm/rpmdb.sqlite', bytes))).toEqual(said.trim().split('\n').toSorted());
  });
});

describe.skipIf(!has('/usr/bin/dpkg-query'))('dpkg (skipped: needs dpkg-query)', () => {
  it('has the packages of this machine, with the sources that dpkg-query says', () => {
    const format = '${db:Status-Abbrev}\t${Package} ${Version} ${Architecture} ${source:Package} ${source:Version}\n';
    const said = run('dpkg-query', '-W', '-f', format)
      .trim()
      .split('\n')
      .filter((line) => /^.[iUFWt]/.test(line))
      .map((line) => line.split('\t')[1] ?? '');
    const found = [...parseDpkgStatus(readFileSync('/var/lib/dpkg/status', 'utf8'))].map(
      ({ name, version, architecture, source, sourceVersion }) =>
        `${name} ${version} ${architecture} ${source} ${sourceVersion}`,
    );
    expect(found.toSorted()).toEqual(said.toSorted());
    expect(found.length).toBeGreaterThan(50);
  });
});

const DOCUMENTS = '/usr/share/doc';
describe.skipIf(!has(`${DOCUMENTS}/dpkg/copyright`))('licences (skipped: needs the documents of dpkg)', () => {
  it('are read of nearly all packages of this machine, and said so where they are only concluded', () => {
    const licences = readdirSync(DOCUMENTS).flatMap((name) => {
      const file = `${DOCUMENTS}/${name}/copyright`;
      return has(file) ? [parseCopyright(readFileSync(file, 'utf8'))] : [];
    });
    const read = licences.filter(({ licence }) => licence !== '');
    console.log(
      `licences: ${String(read.length)} of ${String(licences.length)} read, ${String(read.filter(({ isConcluded }) => isConcluded).length)} of them out of free text`,
    );
    expect(read.length / licences.length).toBeGreaterThan(0.85);
    const zstd = parseCopyright(readFileSync(`${DOCUMENTS}/libzstd1/copyright`, 'utf8'));
    expect(zstd).toEqual({ licence: expect.stringContaining('BSD-3-Clause'), isConcluded: false });
  });
});

describe.skipIf(!has('/usr/bin/skopeo'))('Go (skipped: needs skopeo)', () => {
  it('knows by which Go a program of Debian was built', () => {
    const bytes = readFileSync('/usr/bin/skopeo');
    const entry = makeEntry('usr/bin/skopeo', { mode: 0o755, bytes: statSync('/usr/bin/skopeo').size });
    expect(programInspector.inspect(entry, bytes, ROOMY)).toContainEqual(
      expect.objectContaining({ type: 'golang', name: 'stdlib', version: expect.stringMatching(/^1\.\d+/) }),
    );
  });
});

function described(facts: ReturnType<typeof parseRpmDatabase>): readonly string[] {
  return facts
    .filter((fact): fact is PackageFact => fact.kind === 'package')
    .map(({ name, version, architecture, licence }) => `${name} ${version} ${architecture} ${licence}`)
    .toSorted();
}

function run(program: string, ...words: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync(program, words, { encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 });
  if (status !== 0) throw new Error(`${program}: ${stderr}`);
  return stdout;
}
