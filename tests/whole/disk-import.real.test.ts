// An image becomes an encrypted disk of a machine, from the command line to the guest: whatever is killed in between, and
// whatever the image asks for beyond its own bytes.
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash, hash, randomBytes } from 'node:crypto';
import { copyFileSync, existsSync, readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { diskListSchema, type ShownDisk } from '@ringwall/api/disks';
import { healthSchema, type ProcessName } from '@ringwall/api';
import { refOf, run, runChecked } from '@ringwall/host/exec';
import { UidLeases } from '@ringwall/host/jail';
import { BUNDLED_COMMAND, Instance } from '@ringwall/testkit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runTool } from '../../lib/disk/testing/tools.ts';
import { trouble, troubleOf } from './trouble.ts';

const MIB = 2 ** 20;
const SIZE = 100 * MIB;
const BEGIN_TIMEOUT_MS = 300_000;
const CANARY = `canary-${randomBytes(16).toString('hex')}`;
const QEMU_IMG = '/usr/bin/qemu-img';
const CRYPTSETUP = '/usr/sbin/cryptsetup';
const SGDISK = '/usr/sbin/sgdisk';
const DD = '/usr/bin/dd';
const needed = [QEMU_IMG, '/usr/bin/qemu-nbd', '/usr/bin/bwrap', CRYPTSETUP, SGDISK].filter(
  (path) => !existsSync(path),
);
const lacks = needed.length === 0 ? '' : ` (skipped: needs ${needed.join(' and ')})`;

describe.skipIf(lacks !== '')(`disk import${lacks}`, () => {
  let ringwall: Instance;
  let image: string;
  let digest: string;
  const at = (name: string): string => join(ringwall.directory, name);

  beforeAll(async () => {
    ringwall = await Instance.start();
    image = at('cloud.qcow2');
    // Random, so that it takes its time; the canary begins a sector where a guest can find it.
    const contents = randomBytes(48 * MIB);
    contents.write(CANARY, 0);
    writeFileSync(at('cloud.raw'), contents);
    truncateSync(at('cloud.raw'), SIZE);
    await runChecked(run, [QEMU_IMG, 'convert', '-q', '-f', 'raw', '-O', 'qcow2', at('cloud.raw'), image]);
    digest = digestOf(image);
  });
  afterAll(async () => {
    await ringwall[Symbol.asyncDispose]();
  });

  const disks = async (): Promise<ShownDisk[]> =>
    diskListSchema.parse(JSON.parse(await ringwall.ok('disks', '--json'))).disks;

  const luksFiles = (): string[] =>
    readdirSync(join(ringwall.stateDir, 'disks')).map((id) => join(ringwall.stateDir, 'disks', id, 'disk.luks'));

  const left = (): string[] =>
    readdirSync(join(ringwall.stateDir, 'disks')).flatMap((id) => readdirSync(join(ringwall.stateDir, 'disks', id)));

  function begin(name: string): ChildProcess {
    const [file = '', ...rest] = BUNDLED_COMMAND;
    const args = [...rest, 'disk', 'import', image, '--name', name];
    return spawn(file, args, { env: ringwall.environment, stdio: 'ignore' });
  }

  /** Once the disk is being written. */
  async function writing(): Promise<number> {
    const jails = new UidLeases();
    for (const deadlineMs = performance.now() + BEGIN_TIMEOUT_MS; performance.now() < deadlineMs;) {
      const lease = jails
        .list()
        .find(({ runDir, purpose }) => runDir?.startsWith(ringwall.runDir) === true && purpose.endsWith('qemu-nbd'));
      if (lease?.process !== undefined) return lease.process.pid;
      await sleep(5);
    }
    throw new Error('nothing writes a disk');
  }

  async function pidOf(name: ProcessName): Promise<number> {
    const { processes } = healthSchema.parse(await ringwall.api('GET', '/v1/health'));
    return processes.find((each) => each.name === name)?.pid ?? 0;
  }

  test('goes on, or begins anew, after kill -9 of what writes, the warden, the daemon or the command', async () => {
    const victims: (() => Promise<number> | number)[] = [
      () => writer,
      () => pidOf('ringwall-warden'),
      () => pidOf('ringwalld'),
      () => command.pid ?? 0,
    ];
    let command: ChildProcess = begin('web');
    let writer = 0;
    for (const [index, victim] of victims.entries()) {
      if (index > 0) command = begin('web');
      writer = await writing();
      await sleep(Math.random() * 150);
      const ended = command.exitCode === null ? once(command, 'exit') : undefined;
      // On a fast host it may have ended by itself.
      const pid = await victim();
      if (refOf(pid) !== undefined) process.kill(pid, 'SIGKILL');
      await ended;
      // Services that were killed are started by the next command that needs them.
      await expect
        .poll(async () => (await disks().catch(() => [])).map(({ status }) => status.phase))
        .toEqual([expect.stringMatching(/incomplete|ready/)]);
      if ((await disks())[0]?.status.phase === 'ready') await ringwall.ok('disk', 'rm', 'web');
    }
    if ((await disks()).length === 0) await ringwall.ok('disk', 'import', image, '--name', 'web');
    else await ringwall.ok('disk', 'import', image, '--name', 'web', '--json');
    expect(await disks()).toMatchObject([{ name: 'web', status: { phase: 'ready' }, spec: { sizeBytes: SIZE } }]);
    expect(digestOf(image)).toBe(digest);
    expect(new UidLeases().list().filter(({ runDir }) => runDir?.startsWith(join(ringwall.runDir, 'disks')))).toEqual(
      [],
    );
    const [file = ''] = luksFiles();
    expect(readFileSync(image).includes(CANARY)).toBe(true);
    expect(readFileSync(file).includes(CANARY)).toBe(false);
  });

  test('refuses a taken name, what is no image, and another image where one was begun', async () => {
    expect(troubleOf(await ringwall.cli('disk', 'import', image, '--name', 'web'))).toEqual(
      trouble(7, /there is a disk named web already/, /ringwall.* disk rm web/),
    );
    expect(troubleOf(await ringwall.cli('disk', 'import', at('none')))).toMatchObject({
      code: 3,
      what: expect.stringContaining('there is no file'),
    });
    copyFileSync(image, at('trap.qcow2'));
    await runChecked(run, [
      QEMU_IMG,
      'rebase',
      '-u',
      '-f',
      'qcow2',
      '-F',
      'raw',
      '-b',
      '/etc/shadow',
      at('trap.qcow2'),
    ]);
    const { code, stderr } = await ringwall.cli('disk', 'import', at('trap.qcow2'), '--name', 'trap');
    expect([code, stderr]).toEqual([1, expect.stringContaining('“/etc/shadow”')]);
    expect((await disks()).map(({ name }) => name)).toEqual(['web']);
  });

  test('takes the disk out of what encrypts all of it, and leaves what is encrypted inside', async () => {
    writeFileSync(at('pass'), 'correct horse');
    const importOf = async (path: string, name: string, ...options: readonly string[]): Promise<string> =>
      ringwall.ok('disk', 'import', path, '--name', name, ...options);
    const secret = ['--object', `secret,id=k,file=${at('pass')}`];
    const withKey = ['--key-file', at('pass')];
    writeFileSync(at('plain.raw'), randomBytes(6 * MIB));
    // QCOW2's own.
    const own = ['-O', 'qcow2', '-o', 'encrypt.format=luks,encrypt.key-secret=k,encrypt.iter-time=10'];
    runTool(['qemu-img', 'convert', '-q', '-f', 'raw', ...secret, ...own, at('plain.raw'), at('own.qcow2')]);
    // The whole disk: cryptsetup moves what lies there behind a header of 8 MiB, and leaves as much at the end.
    copyFileSync(at('plain.raw'), at('luks2.raw'));
    truncateSync(at('luks2.raw'), 22 * MIB);
    const strength = ['--pbkdf', 'pbkdf2', '--pbkdf-force-iterations', '1000'];
    const encrypt = ['reencrypt', '--encrypt', '--type', 'luks2', '--reduce-device-size', '16M', ...strength];
    await runChecked(run, [CRYPTSETUP, '--batch-mode', ...encrypt, ...withKey, at('luks2.raw')]);
    truncateSync(at('luks2.raw'), 14 * MIB);
    // A partition.
    writeFileSync(at('inside.raw'), '');
    truncateSync(at('inside.raw'), 18 * MIB);
    await runChecked(run, [SGDISK, '-n', '1:2048:+14M', at('inside.raw')]);
    await runChecked(run, [DD, `if=${at('luks2.raw')}`, `of=${at('inside.raw')}`, 'bs=1M', 'seek=1', 'conv=notrunc']);

    const [opened, fromLuks2, carried, kept] = await Promise.all([
      importOf(at('own.qcow2'), 'opened', ...withKey),
      importOf(at('luks2.raw'), 'from-luks2', ...withKey),
      importOf(at('inside.raw'), 'carried', ...withKey),
      importOf(at('luks2.raw'), 'kept', '--keep-encrypted'),
    ]);
    expect(opened).toContain('The image was opened with your key');
    expect(fromLuks2).toContain('Its LUKS2 was opened with your key');
    expect(carried).toMatch(/Volume 1 is encrypted with LUKS2.*: it comes along as it is/);
    expect(kept).toMatch(/Volume 1 is encrypted with LUKS2.*: it comes along as it is/);
    // Of its two chunks.
    const plain = readFileSync(at('plain.raw'));
    const chunks = [plain.subarray(0, 4 * MIB), plain.subarray(4 * MIB)].map((chunk) =>
      hash('sha256', chunk, 'buffer'),
    );
    const expected = `SHA-256 of its chunks: ${hash('sha256', Buffer.concat(chunks))}`;
    for (const report of [opened, fromLuks2]) expect(report).toContain(expected);
    const sizes = (await disks()).map(({ name, spec }) => `${name} ${spec.sizeBytes / MIB}`);
    expect(sizes.toSorted()).toEqual(['carried 18', 'from-luks2 6', 'kept 14', 'opened 6', 'web 100']);
    await ringwall.ok('disk', 'rm', 'opened', 'from-luks2', 'carried');
  });

  test('gives the machine that it is attached to its contents, and nobody else', async () => {
    await ringwall.ok('run', 'hello', '--name', 'with-disk', '--attach', 'web,kept');
    const { machine, protections } = await ringwall.show('with-disk');
    expect(machine.status.trust).toBe('attested');
    expect(protections.filter(({ state }) => state !== 'holds')).toEqual([]);
    {
      using console = await ringwall.openConsole('with-disk');
      expect(await console.run(`head -c ${CANARY.length} /dev/vdc; echo`)).toContain(CANARY);
      await console.run(`printf new-${CANARY} | dd of=/dev/vdc bs=512 seek=8 conv=notrunc && sync`);
    }
    expect((await disks()).map(({ name, machine: of }) => [name, of])).toEqual([
      ['kept', 'with-disk'],
      ['web', 'with-disk'],
    ]);
    const other = await ringwall.cli('run', 'hello', '--name', 'other', '--attach', 'web');
    expect([other.code, other.stderr]).toEqual([7, expect.stringContaining('the machine with-disk has the disk web')]);
    expect(troubleOf(await ringwall.cli('disk', 'rm', 'web')).what).toContain('the machine with-disk has web');
  });

  test('are saved with their machine while it writes to them, and put back together', async () => {
    const write = (text: string): string =>
      `for d in vdc vdd; do printf ${text} | dd of=/dev/$d bs=512 seek=8 conv=notrunc; done; echo ${text} > /data/text; sync`;
    const read =
      'echo 3 > /proc/sys/vm/drop_caches; for d in vdc vdd; do dd if=/dev/$d bs=512 skip=8 count=1 | head -c 5; done; cat /data/text';
    // Each number has a sector of its own on both: one that memory knows of and a disk does not would be missing afterwards.
    const number =
      'n=0; while [ ! -e /tmp/enough ]; do n=$((n+1)); for d in vdc vdd; do printf %08d $n | dd of=/dev/$d bs=512 seek=$((1000+n)) conv=notrunc,sync; done; sync; echo $n > /tmp/n; done; touch /tmp/ended';
    const stored = (disk: string): string => `dd if=/dev/${disk} bs=512 skip=1001 count=$(cat /tmp/n) | tr -d '\\000'`;
    const counted = 'i=0; while [ $i -lt $(cat /tmp/n) ]; do i=$((i+1)); printf %08d $i; done';
    {
      using console = await ringwall.openConsole('with-disk');
      await console.run(write('one-1'));
      expect(await ringwall.ok('snapshot', 'with-disk')).toContain('with-disk@1 is there');
      await console.run(`${write('two-2')}; (${number}) > /dev/null 2>&1 & sleep 1`);
      expect(await ringwall.ok('snapshot', 'with-disk')).toContain('with-disk@2 is there');
      await console.run(`touch /tmp/enough; ${write('three')}`);
    }
    const { machine } = await ringwall.show('with-disk');
    const folder = join(ringwall.stateDir, 'snapshots', machine.id);
    const sizes = readdirSync(folder).map((name) => statSync(join(folder, name)).size);
    expect(Math.min(...sizes)).toBeLessThan(Math.max(...sizes) / 4);
    expect(Math.max(...sizes)).toBeGreaterThan(SIZE + 14 * MIB);
    for (const name of readdirSync(folder)) {
      expect(readFileSync(join(folder, name)).includes('two-2'), name).toBe(false);
    }
    await ringwall.ok('stop', 'with-disk');
    await ringwall.ok('restore', 'with-disk');
    {
      using console = await ringwall.openConsole('with-disk');
      expect((await console.run(`(${read}) 2> /dev/null`)).trim()).toBe('two-2two-2two-2');
      await console.run(
        'touch /tmp/enough; while [ ! -e /tmp/ended ]; do sleep 0.1; done; echo 3 > /proc/sys/vm/drop_caches',
      );
      const sumOf = (each: string): Promise<string> => console.run(`(${each}) 2> /dev/null | md5sum`);
      const there = await sumOf(counted);
      expect([await sumOf(stored('vdc')), await sumOf(stored('vdd'))]).toEqual([there, there]);
      expect(Number(await console.run('cat /tmp/n'))).toBeGreaterThan(3);
    }
    await ringwall.ok('stop', 'with-disk');
    await ringwall.ok('restore', 'with-disk@1', '--rewind');
    {
      using console = await ringwall.openConsole('with-disk');
      expect((await console.run(`(${read}) 2> /dev/null`)).trim()).toBe('one-1one-1one-1');
    }
  });

  test('go when nobody has them', async () => {
    expect(left()).toEqual(['disk.luks', 'disk.luks']);
    await ringwall.ok('rm', '--force', 'with-disk');
    for (const file of luksFiles()) expect(readFileSync(file).includes(CANARY)).toBe(false);
    await ringwall.ok('disk', 'rm', 'web', 'kept');
    expect([luksFiles(), await disks()]).toEqual([[], []]);
  });
});

function digestOf(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}
