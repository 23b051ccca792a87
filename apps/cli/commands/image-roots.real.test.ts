// The root of one system as a folder, as an archive plain and packed, and as disks: what is wrong in it is found in each.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { zstdCompressSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runCli, type Run } from '../testing/harness.ts';

const TOOLS = ['/usr/sbin/mke2fs', '/usr/bin/qemu-img', '/usr/sbin/sgdisk', '/usr/bin/xz'];
const STATUS =
  'Package: openssl\nStatus: install ok installed\nArchitecture: amd64\nVersion: 3.0.1-1\nMaintainer: x\n\n';
/** First byte of the partition. */
const PARTITION_SECTOR = 2048;

describe.skipIf(!TOOLS.every((tool) => existsSync(tool)))(
  'the root of a system (skipped: needs e2fsprogs, qemu-utils, gdisk and xz)',
  () => {
    let folder: string;
    const at = (name: string): string => join(folder, name);
    const run = (program: string, ...args: string[]): void =>
      void execFileSync(program, args, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });

    beforeAll(() => {
      folder = mkdtempSync(join(tmpdir(), 'ringwall-roots-'));
      for (const place of ['etc', 'usr/bin', 'var/lib/dpkg', 'root/.ssh'])
        mkdirSync(at(`root/${place}`), { recursive: true });
      writeFileSync(at('root/etc/shadow'), 'root::19000:0:99999:7:::\n', { mode: 0o640 });
      writeFileSync(at('root/etc/os-release'), 'ID=debian\nVERSION_ID="12"\n');
      writeFileSync(at('root/var/lib/dpkg/status'), STATUS);
      writeFileSync(at('root/usr/bin/find'), '#!/bin/sh\n', { mode: 0o755 });
      execFileSync('/bin/chmod', ['4755', at('root/usr/bin/find')]);
      execFileSync('/usr/bin/ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', at('root/root/.ssh/id_ed25519')]);
      run('tar', '--owner=0', '--group=0', '--numeric-owner', '-cf', 'root.tar', '-C', 'root', '.');
      run('tar', '--owner=0', '--group=0', '--numeric-owner', '-czf', 'root.tar.gz', '-C', 'root', '.');
      run('tar', '--owner=0', '--group=0', '--numeric-owner', '-cJf', 'root.tar.xz', '-C', 'root', '.');
      writeFileSync(at('root.tar.zst'), zstdCompressSync(execFileSync('/bin/cat', [at('root.tar')])));
      run('/usr/sbin/mke2fs', '-q', '-t', 'ext4', '-E', 'root_owner=0:0', '-d', 'root', 'root.ext4', '16M');
      run('/usr/bin/qemu-img', 'convert', '-f', 'raw', '-O', 'qcow2', '-c', 'root.ext4', 'plain.qcow2');
      run(
        '/bin/sh',
        '-c',
        `truncate -s 24M disk.raw; dd if=root.ext4 of=disk.raw bs=512 seek=${String(PARTITION_SECTOR)} conv=notrunc,sparse status=none`,
      );
      run('/usr/sbin/sgdisk', '-n', `1:${String(PARTITION_SECTOR)}:0`, '-t', '1:8300', 'disk.raw');
      run('/usr/bin/qemu-img', 'convert', '-f', 'raw', '-O', 'qcow2', 'disk.raw', 'disk.qcow2');
    });
    afterAll(() => rmSync(folder, { recursive: true }));

    const image = (...words: string[]): Promise<Run> =>
      runCli(undefined, ['image', ...words], { environment: { HOME: folder, XDG_CACHE_HOME: at('cache') } });
    const findings = async (name: string): Promise<string[]> => {
      const { stdout, stderr, code } = await image('scan', at(name), '--no-scanners', '--json');
      expect([code, stderr]).toEqual([4, '']);
      const { findings: found }: { findings: { id: string }[] } = JSON.parse(stdout);
      return found.map(({ id }) => id).toSorted();
    };

    test('the same is found in a folder, an archive and a disk, with and without partitions', async () => {
      const wanted = await findings('root');
      expect(wanted).toEqual(
        expect.arrayContaining([
          expect.stringContaining('empty-password@etc/shadow'),
          expect.stringContaining('secret-in-file@root/.ssh/id_ed25519'),
          expect.stringContaining('set-id-program@usr/bin/find'),
        ]),
      );
      for (const name of ['root.tar', 'root.tar.gz', 'root.tar.zst', 'plain.qcow2', 'disk.qcow2'])
        // oxlint-disable-next-line no-await-in-loop -- one after the other is easier to read where one fails
        expect([name, await findings(name)]).toEqual([name, wanted]);
      expect(existsSync(at('cache/ringwall/layers'))).toBe(false);
    });

    test('packages are told of a disk and of an archive', async () => {
      for (const name of ['disk.qcow2', 'root.tar.gz'])
        // oxlint-disable-next-line no-await-in-loop -- as above
        expect((await image('sbom', at(name))).stdout).toContain('pkg:deb/debian/openssl@3.0.1-1');
    });

    test('what cannot be read is said, and is no pass', async () => {
      writeFileSync(at('cut.tar.gz'), execFileSync('/bin/cat', [at('root.tar.gz')]).subarray(0, -100));
      writeFileSync(at('none.qcow2'), Buffer.alloc(1 << 20));
      run('tar', '-cf', 'other.tar', '-C', 'root/etc', 'shadow');
      for (const [name, code, message] of [
        ['root.tar.xz', 2, 'packed with xz'],
        ['cut.tar.gz', 1, 'cannot be unpacked'],
        ['other.tar', 1, 'neither an image nor the root of a system'],
        ['none.qcow2', 3, 'no file system that can be read'],
      ] as const)
        // oxlint-disable-next-line no-await-in-loop -- as above
        expect(await image('scan', at(name), '--no-scanners')).toMatchObject({
          code,
          stderr: expect.stringContaining(message),
        });
    });
  },
);
