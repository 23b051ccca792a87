// The warden as a process: who may start it and how, what it does where its places are taken, and a full disk.
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { newMachineId } from '@ringwall/api';
import { run } from '@ringwall/host/exec';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { lacksForWarden, SPEC, TestWarden, wardenArgv } from './testing/warden-process.ts';

const lacks = lacksForWarden();
const NOBODY = 65534;

describe.skipIf(lacks !== undefined)(`the warden’s process${lacks === undefined ? '' : ` (${lacks})`}`, () => {
  let dir: string;
  beforeEach(() => {
    dir = mkdtempSync('/var/tmp/ringwall-warden-');
    chmodSync(dir, 0o755);
  });
  afterEach(() => rmSync(dir, { recursive: true, force: true }));

  it('refuses to be anybody but root, and says why', async () => {
    const { code, stderr } = await run(wardenArgv(dir), { uid: NOBODY, gid: NOBODY });
    expect(stderr.toString()).toContain('must be root');
    expect(stderr.toString()).not.toContain('    at ');
    expect(code).toBe(1);
  });

  it.each([
    ['an unknown option', ['--colour', 'red']],
    ['a relative path', ['--state', 'state']],
    ['a path with a comma', ['--state', '/var/tmp/a,b']],
    ['a path with a parent in it', ['--run', '/run/../etc']],
    ['a path with a space', ['--run', '/run/a b']],
  ])('refuses %s', async (_, args) => {
    const { code, stderr } = await run([...wardenArgv(dir), ...args]);
    expect(code).toBe(2);
    expect(stderr.toString()).toContain('--state DIR');
  });

  it('names the group that is missing', async () => {
    const { code, stderr } = await run([...wardenArgv(dir), '--group', 'nobody-has-this']);
    expect(code).toBe(1);
    expect(stderr.toString()).toContain('groupadd --system nobody-has-this');
  });

  it('lets nobody in but root and its group', async () => {
    await using warden = await TestWarden.start({ dir });
    const { socket, socketDir } = warden.layout;
    expect(statSync(socketDir)).toMatchObject({ uid: 0, gid: 0 });
    expect(statSync(socketDir).mode & 0o777).toBe(0o750);
    expect(statSync(socket).mode & 0o777).toBe(0o660);
    const script = `require('node:net').connect(${JSON.stringify(socket)}).on('error', (e) => console.log(e.code))`;
    const { stdout } = await run([process.execPath, '-e', script], { uid: NOBODY, gid: NOBODY });
    expect(stdout.toString().trim()).toBe('EACCES');
  });

  it('is one: a second one leaves the first and its machines alone', async () => {
    await using warden = await TestWarden.start({ dir });
    const running = await warden.startMachine(await warden.create());
    const { code, stderr } = await run(wardenArgv(dir));
    expect(code).toBe(1);
    expect(stderr.toString()).toContain('another process listens');
    expect(await warden.machines()).toEqual([running]);
  });

  it('says that something else lies where its socket goes', async () => {
    mkdirSync(join(dir, 'run/warden'), { recursive: true });
    writeFileSync(join(dir, 'run/warden/warden.sock'), 'not a socket');
    const { code, stderr } = await run(wardenArgv(dir));
    expect(code).toBe(1);
    expect(stderr.toString()).toContain('is no socket');
  });

  it('does not work in a directory that somebody else made in its name', async () => {
    mkdirSync(join(dir, 'run/machines'), { recursive: true });
    chownSync(join(dir, 'run/machines'), NOBODY, NOBODY);
    const { code, stderr } = await run(wardenArgv(dir));
    expect(code).toBe(1);
    expect(stderr.toString()).toContain('not a directory of this user');
  });

  it('answers rubbish with an error, and goes on', async () => {
    await using warden = await TestWarden.start({ dir });
    const answer = await new Promise<string>((resolve) => {
      let text = '';
      const socket = connect(warden.layout.socket, () =>
        socket.write('{"id":1,"request":{"op":"run","argv":["sh"]}}\n'),
      );
      socket.on('data', (bytes: Buffer) => {
        text += bytes.toString();
        if (text.endsWith('\n')) socket.destroy();
      });
      socket.on('close', () => resolve(text));
    });
    expect(JSON.parse(answer)).toMatchObject({ error: { code: 'bad-request' } });
    await warden.client.call({ op: 'list-machines' });
  });

  it.each([
    ['without a byte left', 'size=20m'],
    ['without a name left', 'size=1g,nr_inodes=40'],
  ])('explains a disk %s, and leaves nothing half', async (_, options) => {
    const state = join(dir, 'state');
    mkdirSync(state);
    await run(['/usr/bin/mount', '-t', 'tmpfs', '-o', `mode=0755,${options}`, 'ringwall-test', state]);
    try {
      await using warden = await TestWarden.start({ dir });
      // Makes machines until nothing is left; each is whole or not there.
      const failures: unknown[] = [];
      for (let made = 0; failures.length === 0 && made < 20; made += 1) {
        await warden.create().catch((error: unknown) => failures.push(error));
      }
      expect(failures[0]).toMatchObject({ code: 'host-full', hint: expect.any(String) });
      const { machines: existing } = await warden.client.call({ op: 'list-existing' });
      expect(readdirSync(warden.layout.machines).toSorted()).toEqual(existing.toSorted());
      expect(readdirSync(warden.layout.records).toSorted()).toEqual(existing.toSorted());
      expect(warden.leftovers()).toEqual([]);
    } finally {
      await run(['/usr/bin/umount', state]);
    }
  });

  it('refuses a disk that this host has no room for', async () => {
    await using warden = await TestWarden.start({ dir });
    const { diskMiB } = await warden.client.call({ op: 'host-capacity' });
    const spec = { ...SPEC, diskMiB: diskMiB + 1024 };
    const asking = warden.client.call({ op: 'create-machine', machine: newMachineId(), spec });
    await expect(asking).rejects.toMatchObject({ code: 'host-full', hint: expect.stringContaining('room') });
  });
});
