import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { fixture } from '../../../lib/disk/testing/fixtures.ts';
import { luks2Disk, PASSPHRASE } from '../../../lib/disk/testing/luks-disk.ts';
import { FakeApi } from '../testing/fake-api.ts';
import { runCli, type Run } from '../testing/harness.ts';
import { machineDiskPath } from './machine-disk.ts';

describe('ringwall disk … machine:NAME', () => {
  let api: FakeApi;
  let state: string;
  beforeEach(async () => {
    api = await FakeApi.start();
    state = mkdtempSync(join(tmpdir(), 'ringwall-machine-disk-'));
  });
  afterEach(async () => {
    await api[Symbol.asyncDispose]();
    rmSync(state, { recursive: true });
  });

  const placeOf = (name: string): string => {
    const path = machineDiskPath(state, api.machines.get(name)?.id ?? '');
    mkdirSync(dirname(path), { recursive: true });
    return path;
  };
  const disk = (...words: string[]): Promise<Run> =>
    runCli(api, ['disk', ...words], { environment: { RINGWALL_STATE: state } });

  it('shows the header of the encrypted disk, and says that it changes while its guest runs', async () => {
    api.add('web');
    writeFileSync(placeOf('web'), luks2Disk(Buffer.alloc(4096)));
    const { stdout, stderr, code } = await disk('inspect', 'machine:web');
    expect(stdout).toContain('encrypted with LUKS2');
    expect(stdout).toContain('(0 of 100)');
    expect(stderr).toMatch(/web is running: its guest writes while this is read/);
    expect(stderr).toMatch(/released to its attested guest alone/);
    expect(code).toBe(0);
    expect(await disk('ls', 'machine:web')).toMatchObject({ stdout: '', code: 3 });
  });

  it('looks inside with the key, and says nothing of a machine at rest', async () => {
    api.add('web', { status: { phase: 'stopped' } });
    writeFileSync(placeOf('web'), luks2Disk(Buffer.from(fixture('ext4'))));
    writeFileSync(join(state, 'key'), PASSPHRASE);
    const { stdout, stderr } = await disk('cat', 'machine:web', '/etc/shadow', '--key-file', join(state, 'key'));
    expect([stdout.slice(0, 8), stderr]).toEqual(['root:$y$', '']);
  });

  it('follows no header that the guest has put there', async () => {
    api.add('web', { status: { phase: 'stopped' } });
    const header = Buffer.alloc(65_536);
    header.write('QFI\xfb', 'latin1');
    header.writeUInt32BE(3, 4);
    writeFileSync(placeOf('web'), header);
    expect((await disk('inspect', 'machine:web')).stdout).toContain('disk.img  raw, a disk of 64 KiB');
  });

  it('follows no link that lies in the place of the disk', async () => {
    api.add('web', { status: { phase: 'stopped' } });
    symlinkSync('/etc/hostname', placeOf('web'));
    expect(await disk('inspect', 'machine:web')).toMatchObject({ stdout: '', code: 1 });
  });

  it('knows only machines that there are, by ids that are ids', async () => {
    expect((await disk('inspect', 'machine:web')).code).toBe(3);
    expect(() => machineDiskPath(state, '../../etc')).toThrow(/an id that is none/);
  });
});
