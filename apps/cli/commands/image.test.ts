import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { layerOf, tarFile, writeMadeLayout } from '../../../host/images/testing/made-image.ts';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runCli, type Run } from '../testing/harness.ts';

describe('ringwall image', () => {
  let dir: string;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'ringwall-image-'));
  });
  afterEach(() => rmSync(dir, { recursive: true }));
  const image = (...words: string[]): Promise<Run> => runCli(undefined, ['image', ...words]);
  const file = (name: string, text: string): string => {
    const path = join(dir, name);
    writeFileSync(path, text);
    return path;
  };

  it('judge lets an honest name pass, and blocks one that imitates it', async () => {
    expect(await image('judge', 'nginx:1.27')).toMatchObject({ code: 0, stdout: expect.stringContaining('allow') });
    const trap = await image('judge', 'ngnix');
    expect(trap.stdout).toContain('swaps two letters of “nginx”');
    expect(trap.code).toBe(4);
  });

  it('judge knows the names that you allow, and those that you have run', async () => {
    const name = 'ghcr.io/acmee/agent';
    const history = file('history', 'ghcr.io/acme/agent # ours\n\n');
    expect((await image('judge', name, '--history', history)).code).toBe(4);
    expect((await image('judge', name, '--history', history, '--allow', file('allow', 'ghcr.io/acmee/*\n'))).code).toBe(
      0,
    );
  });

  it('scan says what is wrong, where, and the smallest change; and judges what FROM names', async () => {
    const dockerfile = file('Dockerfile', 'FROM ngnix\nRUN curl https://example.org/x | sh\nRUN cd /tmp && sudo ls\n');
    const { code, stdout } = await image('scan', dockerfile);
    expect(stdout).toContain('swaps two letters of “nginx”');
    expect(stdout).toContain(`${dockerfile}:3:`);
    expect(stdout).toMatch(/DL3004.*sudo/);
    expect(code).toBe(4);
  });

  it('scan fails on what it is told to fail on', async () => {
    const dockerfile = file(
      'Dockerfile',
      'FROM debian:12.8\nRUN apt-get update\nUSER app\nHEALTHCHECK NONE\nCMD ["ls"]\n',
    );
    expect((await image('scan', dockerfile)).code).toBe(0);
    expect((await image('scan', dockerfile, '--fail-on', 'style')).code).toBe(4);
    const { stdout } = await image('scan', dockerfile, '--json');
    expect(JSON.parse(stdout)).toMatchObject({
      failed: false,
      bases: [{ line: 1, name: 'debian:12.8' }],
      findings: expect.any(Array),
    });
  });

  it('scan looks into a folder, fails on what it finds, and obeys an ignore list until its last day', async () => {
    const root = join(dir, 'root');
    mkdirSync(join(root, 'etc'), { recursive: true });
    writeFileSync(join(root, 'etc/shadow'), 'root::19000:0:99999:7:::\n', { mode: 0o644 });
    const { code, stdout } = await image('scan', root, '--json');
    expect(code).toBe(4);
    const { findings }: { findings: { rule: string; path: string }[] } = JSON.parse(stdout);
    expect(findings.map(({ path }) => path)).toContain('etc/shadow');
    const entries = findings.map(({ rule }) => ({ rule, reason: 'a test', until: '9999-12-31' }));
    const ignore = file('ignore.json', JSON.stringify({ ignore: entries }));
    expect((await image('scan', root, '--ignore', ignore, '--fail-on', 'info')).code).toBe(0);
    expect((await image('scan', root, '--fail-on', 'never')).code).toBe(0);
    expect((await image('scan', root, '--format', 'sarif')).stdout).toContain('"version": "2.1.0"');
  });

  it('scan does not read an image again that was judged before, unless the rules are others', async () => {
    const tar = Buffer.concat([tarFile('etc/shadow', 'root::19000:0:99999:7:::\n'), Buffer.alloc(1024)]);
    const layer = layerOf(tar, (whole) => whole);
    writeMadeLayout(join(dir, 'layout'), [layer]);
    const scan = async (build: string): Promise<Run> => {
      const installed = join(dir, 'installed');
      mkdirSync(installed, { recursive: true });
      writeFileSync(join(installed, 'build.json'), JSON.stringify({ version: '1', id: build.padEnd(16, '0') }));
      return await runCli(undefined, ['image', 'scan', join(dir, 'layout'), '--no-scanners', '--json'], {
        environment: { XDG_CACHE_HOME: join(dir, 'cache') },
        installation: { kind: 'bundles', directory: installed, entry: join(installed, 'ringwall.mjs') },
      });
    };
    const first = await scan('1');
    expect(first.stdout).toContain('empty-password');
    // Whoever reads the layer from now on fails.
    rmSync(join(dir, 'cache/ringwall/layers'), { recursive: true });
    const blob = layer.diffId.slice('sha256:'.length);
    writeFileSync(join(dir, 'layout/blobs/sha256', blob), Buffer.alloc(layer.packed.length, 'x'));
    expect(await scan('1')).toEqual(first);
    expect(await scan('2')).toMatchObject({ code: 1, stdout: expect.stringContaining('layer 1') });
  });

  it.each([
    [['remember', '/'], 2, 'remembered by a name'],
    [['scan', '/', '--format', 'pdf'], 2, '--format "pdf"'],
    [['scan', '/', '--ignore', '/etc/hostname'], 2, 'is no JSON'],
    [['judge', 'a b'], 2, 'a b'],
    [['judge'], 2, 'needs something to judge'],
    [['push', 'x'], 2, 'image has no "push"'],
    [['pull', 'debian'], 2, 'no folder to write to'],
    [['pull', 'ngnix', '-o', '/nonexistent'], 4, 'nobody was asked'],
    [['scan', 'ngnix'], 4, 'nobody was asked'],
    [['scan', '/nonexistent/Dockerfile'], 2, 'there is no'],
    [['scan', '/proc/self/fd'], 2, 'neither an OCI layout nor the root'],
    [['scan', './nothing'], 2, 'there is no ./nothing'],
    [['scan', '/etc/hostname', '--fail-on', 'all'], 2, '--fail-on "all"'],
  ])('%j ends with %i: %s', async (words, expected, text) => {
    const { code, stderr } = await image(...words);
    expect(stderr).toContain(text);
    expect(code).toBe(expected);
  });
});
