// A file system without room, under an instance whose state lies on it: what can be done is done, what cannot be says why,
// nothing is lost, and it goes on once there is room.
import { cpSync, mkdirSync, mkdtempSync, rmSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '@ringwall/host/exec';
import { Instance, type InstanceOptions } from '@ringwall/testkit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { leftovers } from './leftovers.ts';
import { makeMachine } from './odd-guest.ts';
import { trouble, troubleOf } from './trouble.ts';
import { until } from './waiting.ts';

/** Room for what a TPM writes while it is used, and not for the key slot of an encrypted disk, which has 252 KiB. */
const TPM_ROOM_BYTES = 160 * 1024;

describe('a full disk', () => {
  let parent: string;
  let filler: string;
  /** Only the image that is booted here: each instance gets a copy. */
  let images: string;
  const startInstance = (options: InstanceOptions = {}): Promise<Instance> => Instance.start({ images, ...options });

  beforeAll(async () => {
    images = mkdtempSync('/var/tmp/ringwall-images-');
    const built = join(process.env['RINGWALL_STATE'] ?? '/var/lib/ringwall', 'images', 'hello');
    cpSync(built, join(images, 'hello'), { recursive: true, preserveTimestamps: true });
    parent = mkdtempSync('/var/tmp/ringwall-full-');
    await run(['/usr/bin/mount', '-t', 'tmpfs', '-o', 'mode=0755,size=384m', 'ringwall-test', parent]);
    filler = join(parent, 'filler');
  });
  afterAll(async () => {
    await run(['/usr/bin/umount', parent]);
    rmSync(parent, { recursive: true });
    rmSync(images, { recursive: true, force: true });
  });

  /** Until not a byte is left. */
  const fill = (): Promise<unknown> =>
    run(['/usr/bin/dd', 'if=/dev/zero', `of=${filler}`, 'bs=4k', 'status=none'], { timeoutMs: 60_000 });

  test('nothing can be made or started, all can be read and removed, and once there is room it goes on', async () => {
    await using full = await startInstance({ parent });
    await makeMachine(full, 'early');
    await fill();

    expect(troubleOf(await full.cli('run', 'hello', '--disk', '64M'))).toEqual(
      trouble(5, /this host has \d+ MiB/, /ask for less/),
    );
    expect(troubleOf(await full.cli('start', 'early'))).toEqual(trouble(5, /disk.* is full/, /free some space/));
    expect(await full.ok('ls')).toMatch(/early[^]*the disk that holds .* is full/);
    expect(await full.ok('doctor')).toMatch(/room on the disk of the state.*full/);
    expect((await full.show('early')).machine.status.phase).toBe('stopped');
    expect(await leftovers(full)).toEqual([]);

    await full.ok('rm', 'early');
    await fill();
    rmSync(filler);
    expect(await full.ok('ls')).not.toContain('is full');
    await makeMachine(full, 'late');
    expect(await leftovers(full)).toEqual([]);
  });

  test('a guest that writes stands still and loses nothing, says so, and goes on once there is room', async () => {
    await using full = await startInstance({ parent });
    await full.ok('run', 'hello', '--name', 'writer', '--disk', '64M');
    using console = await full.openConsole('writer');
    await fill();
    console.type('dd if=/dev/urandom of=/data/file bs=1M count=24 && sync && md5sum /data/file && echo "do""ne"');
    await until(async () => (await full.detail('writer')).machine.status.reasons.length > 0);
    const { status } = (await full.show('writer')).machine;
    expect(status).toMatchObject({ phase: 'running', trust: 'attested', reasons: [expect.stringMatching(/is full/)] });
    rmSync(filler);
    await console.waitFor(/done/);
    await until(async () => (await full.detail('writer')).machine.status.reasons.length === 0);
    await full.ok('rm', '--force', 'writer');
    expect(await leftovers(full)).toEqual([]);
  });

  test('a guest that formats its disk for the first time stands still, says so, and goes on once there is room', async () => {
    await using small = await startInstance();
    const machines = join(small.stateDir, 'machines');
    await run(['/usr/bin/mount', '-t', 'tmpfs', '-o', 'mode=0711,size=384m', 'ringwall-test', machines]);
    try {
      // Of its own, so that broker and daemon can still write down what happens.
      mkdirSync(join(machines, 'filler'));
      await makeMachine(small, 'first');
      const { bavail, bsize } = statfsSync(machines);
      const bytes = bavail * bsize - TPM_ROOM_BYTES;
      await run(['/usr/bin/fallocate', '-l', `${bytes}`, join(machines, 'filler/bytes')]);

      const started = small.cli('start', 'first');
      const standsStill = until(async () =>
        (await small.detail('first')).machine.status.reasons.some((reason) => /is full/.test(reason)),
      );
      const endsEarly = started.then(({ stdout, stderr }) => {
        throw new Error(`it did not stand still: ${stderr}${stdout}`);
      });
      await Promise.race([standsStill, endsEarly]);
      expect((await small.detail('first')).machine.status).toMatchObject({ diskUnlocked: false });
      rmSync(join(machines, 'filler'), { recursive: true });
      expect(await started).toMatchObject({ code: 0 });
      expect((await small.show('first')).machine.status).toMatchObject({ phase: 'running', diskUnlocked: true });
      using console = await small.openConsole('first');
      expect(await console.run('echo kept > /data/line && cat /data/line')).toContain('kept');
      await small.ok('rm', '--force', 'first');
      expect(await leftovers(small)).toEqual([]);
    } finally {
      await small.cli('rm', '--force', 'first');
      await run(['/usr/bin/umount', machines]);
    }
  });

  test('the services do not come up, say why, and come up once there is room', async () => {
    await using full = await startInstance({ parent });
    await full.ok('down');
    rmSync(join(full.stateDir, 'runtime'), { recursive: true });
    await fill();
    expect(troubleOf(await full.cli('ls'))).toEqual(trouble(5, /the disk is full/, /ENOSPC/));
    rmSync(filler);
    await full.ok('ls');
    expect(await leftovers(full)).toEqual([]);
  });
});
