// The packages of lib/ as somebody gets them from npm: packed, installed without a network into an empty project, typed,
// and run by plain Node without this repository's condition.
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { toHex } from '@ringwall/bytes';
import { encodeProof } from '@ringwall/evidence';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeProof, makeSigner } from '../lib/evidence/testing/proofs.ts';
import { makeScene } from '../lib/evidence/testing/scene.ts';
import { readSwtpmEvidence } from '../lib/tpm/testing/evidence.ts';

const ROOT = resolve(import.meta.dirname, '..');
const PUBLINT = join(ROOT, 'node_modules/.bin/publint');
const NEEDS_PUBLINT = existsSync(PUBLINT) ? '' : ' (skipped: needs publint)';
const NEEDS_QEMU_IMG =
  existsSync('/usr/bin/qemu-img') && existsSync('/usr/sbin/mke2fs') ? '' : ' (skipped: needs qemu-img, mke2fs)';
const PACKAGES = ['bytes', 'tpm', 'evidence', 'disk', 'oci', 'seal', 'netpolicy'] as const;
/** What users hand to an editor, so that it knows the files they write. */
const SCHEMAS: Readonly<Record<string, string>> = {
  evidence: 'policy.schema.json',
  oci: 'signature-policy.schema.json',
  netpolicy: 'policy.schema.json',
};

let dir: string;
let project: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'ringwall-packed-'));
  project = join(dir, 'project');
  mkdirSync(project);
  writeFileSync(join(project, 'package.json'), '{ "name": "project", "private": true, "type": "module" }');
  run(process.execPath, [join(ROOT, 'tools/pack-libs.ts'), dir], ROOT);
  const tarballs = PACKAGES.map((name) => tarball(name));
  run('npm', ['install', '--offline', '--ignore-scripts', '--no-audit', '--no-fund', ...tarballs], project);
  for (const example of readdirSync(join(ROOT, 'examples'))) {
    cpSync(join(ROOT, 'examples', example), join(project, example));
  }
});
afterAll(() => {
  rmSync(dir, { recursive: true, force: true });
});

describe('the packages of lib, packed', () => {
  test.each(PACKAGES)('%s holds built modules, declarations, README and licence, and nothing else', (name) => {
    const files = readdirSync(join(project, 'node_modules/@ringwall', name), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).split(`@ringwall/${name}/`)[1] ?? '');
    const odd = files.filter((file) => !/^dist\/.*(\.js|\.d\.ts)$/.test(file)).toSorted();
    expect(odd).toEqual(
      ['LICENSE', 'README.md', 'package.json', SCHEMAS[name]].filter((file) => file !== undefined).toSorted(),
    );
    expect(files.filter((file) => /\.test\.|(testing|fixtures)\//.test(file))).toEqual([]);
    const manifest = readFileSync(join(project, 'node_modules/@ringwall', name, 'package.json'), 'utf8');
    expect(manifest).not.toContain('ringwall-source');
    expect(manifest).not.toContain('devDependencies');
  });

  test.skipIf(NEEDS_PUBLINT !== '').each(PACKAGES)(`%s passes publint${NEEDS_PUBLINT}`, (name) => {
    expect(run(PUBLINT, ['run', '--strict', tarball(name)], project)).toContain('All good!');
  });

  test('their declarations are whole, for a user who checks libraries too', () => {
    const use = [
      `import { Cursor } from '@ringwall/bytes';`,
      `import { verifyProof } from '@ringwall/evidence';`,
      `import { parseAttest, tpmOver, type Tpm, type TPMS_ATTEST, type Transport } from '@ringwall/tpm';`,
      `export const attest = (bytes: Uint8Array): TPMS_ATTEST => parseAttest(bytes);`,
      `export const tpm = (transport: Transport): Tpm => tpmOver(transport);`,
      `// @ts-expect-error: a handle is no text`,
      `export const refused = (transport: Transport): unknown => tpmOver(transport).unseal('handle');`,
      `import { openImage, type DiskImage } from '@ringwall/disk';`,
      `import { FileSource, nodeCodecs as codecs } from '@ringwall/disk/node';`,
      `import { compileLookalikes, type Lookalikes } from '@ringwall/oci';`,
      `export const disk = (path: string): DiskImage => openImage(FileSource.open(path), { codecs });`,
      `export const names: Lookalikes = compileLookalikes({});`,
      `export { Cursor, verifyProof };`,
    ];
    writeFileSync(join(project, 'use.ts'), use.join('\n'));
    const options = [
      '--noEmit',
      '--strict',
      '--module',
      'nodenext',
      '--target',
      'es2025',
      '--lib',
      'es2025,esnext.disposable,dom',
    ];
    const tsc = join(ROOT, 'node_modules/.bin/tsc');
    expect(run(tsc, [...options, '--types', '', 'use.ts'], project)).toBe('');
  });
});

describe('the examples, against the packed packages', () => {
  test('read-response.ts', () => {
    expect(node('read-response.ts', '80010000000a00000100')).toEqual([0, 'tag 0x8001, code 0x100, 0 bytes of body\n']);
    expect(node('read-response.ts', '8001000000')).toEqual([
      1,
      'truncated at byte 2: responseSize needs 4 bytes, expected at most 3\n',
    ]);
  });

  test.skipIf(NEEDS_QEMU_IMG !== '')(`read-disk.ts${NEEDS_QEMU_IMG}`, () => {
    const tree = join(dir, 'tree');
    mkdirSync(join(tree, 'etc'), { recursive: true });
    writeFileSync(join(tree, 'etc/hostname'), 'web\n');
    const [raw, image, trap] = ['disk.raw', 'disk.vmdk', 'trap.qcow2'].map((name) => join(dir, name));
    run('mke2fs', ['-q', '-t', 'ext4', '-d', tree, `${raw}`, '16M'], dir);
    run(
      'qemu-img',
      ['convert', '-f', 'raw', '-O', 'vmdk', '-o', 'subformat=streamOptimized', `${raw}`, `${image}`],
      dir,
    );
    expect(node('read-disk.ts', `${image}`, '/etc/hostname')).toEqual([0, 'web\n']);
    run('qemu-img', ['create', '-q', '-u', '-f', 'qcow2', '-b', '/etc/shadow', '-F', 'raw', `${trap}`, '1M'], dir);
    const [status, text] = node('read-disk.ts', `${trap}`, '/etc/hostname');
    expect(text).toMatch(/^refused: .*"\/etc\/shadow"/);
    expect(status).toBe(1);
  });

  test('judge-name.ts', () => {
    expect(node('judge-name.ts', 'nginx')[0]).toBe(0);
    expect(node('judge-name.ts', 'ngnix')).toEqual([1, expect.stringContaining('meant was perhaps')]);
    expect(node('judge-name.ts', 'no name')[0]).toBe(2);
  });

  test('verify-quote.ts', () => {
    const evidence = readSwtpmEvidence();
    const files = [evidence.akPublic, evidence.quote, evidence.quoteSignature].map((bytes, index) => {
      const path = join(dir, `quote-${index}`);
      writeFileSync(path, bytes);
      return path;
    });
    const [status, text] = node('verify-quote.ts', ...files, toHex(evidence.qualifying));
    expect(text).toContain('bank 0xb: 0 1 2 3 4 5 6 7 8 9 11 12 13 14 15');
    expect(status).toBe(0);
    expect(node('verify-quote.ts', ...files, '00')).toEqual([1, 'no quote of this key for this nonce\n']);
  });

  test('verify-proof.ts', async () => {
    const broker = await makeSigner();
    const proof = await makeProof(await makeScene(), broker, {}, { at: new Date() });
    const path = join(dir, 'proof.json');
    writeFileSync(path, encodeProof(proof));
    const [status, text] = node('verify-proof.ts', path, toHex(broker.publicKey));
    expect(text).toContain('machine');
    expect(status).toBe(0);
    expect(node('verify-proof.ts', path, toHex((await makeSigner()).publicKey))[0]).toBe(1);
  });
});

function tarball(name: string): string {
  const { version }: { readonly version: string } = JSON.parse(
    readFileSync(join(ROOT, 'lib', name, 'package.json'), 'utf8'),
  );
  return join(dir, `ringwall-${name}-${version}.tgz`);
}

/** Plain Node: no condition, no environment of ours. */
function node(example: string, ...args: readonly string[]): [status: number | null, stdout: string] {
  const env = { PATH: process.env['PATH'] };
  const { status, stdout, stderr } = spawnSync(process.execPath, [example, ...args], {
    cwd: project,
    encoding: 'utf8',
    env,
  });
  if (stderr !== '') throw new Error(stderr);
  return [status, stdout];
}

function run(command: string, args: readonly string[], cwd: string): string {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd, encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command} failed: ${stderr}${stdout}`);
  return stdout;
}
