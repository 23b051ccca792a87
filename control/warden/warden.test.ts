// The warden's decisions against a host of the mind: what happens when steps fail, and when asks collide.
import { mkdirSync, existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { newBootId, newMachineId, RingwallError } from '@ringwall/api';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { failing, type FakeHost } from './testing/fake-parts.ts';
import { ask, create, existing, list, needsRoot, remove, Scene, SPEC, start, stop } from './testing/scene.ts';

let scene: Scene;
let host: FakeHost;
beforeEach(() => {
  scene = new Scene();
  ({ host } = scene);
});
afterEach(() => scene.end());

describe.skipIf(needsRoot)(`create-machine${needsRoot ? ' (skipped: needs root)' : ''}`, () => {
  it('makes a sparse disk of its size for root alone, a TPM and a record', async () => {
    const warden = await scene.openWarden();
    const { id, paths } = await scene.made(warden);
    const disk = statSync(paths.disk);
    expect(disk.size).toBe(SPEC.diskMiB * 1024 * 1024);
    expect(disk.blocks).toBe(0);
    expect(disk.mode & 0o777).toBe(0o600);
    expect(JSON.parse(readFileSync(paths.spec, 'utf8'))).toMatchObject({ version: 1, machine: id, spec: SPEC });
    expect(await existing(warden)).toEqual([id]);
    expect(scene.runs()).toEqual([]);
  });

  it('answers the same again, and makes nothing anew', async () => {
    const warden = await scene.openWarden();
    const { id } = await scene.made(warden);
    const again = await create(warden, id);
    expect(await create(warden, id)).toEqual(again);
    expect(host.calls.filter((effect) => effect === 'tpm.manufacture')).toHaveLength(1);
  });

  it('refuses another specification for a machine that exists', async () => {
    const warden = await scene.openWarden();
    const { id } = await scene.made(warden);
    await expect(create(warden, id, { ...SPEC, cpus: 2 })).rejects.toMatchObject({ code: 'conflict' });
  });

  it.each([
    ['more disk than is free', { ...SPEC, diskMiB: 64 * 1024 * 1024 }, 'host-full'],
    ['more memory than the host has', { ...SPEC, memoryMiB: 1024 * 1024 }, 'host-full'],
    ['more processors than the host has', { ...SPEC, cpus: 64 }, 'host-full'],
    ['an image that nobody knows', { ...SPEC, image: 'windows' }, 'image-unknown'],
  ])('refuses %s, and leaves nothing', async (_, spec, code) => {
    const warden = await scene.openWarden();
    await expect(create(warden, newMachineId(), spec)).rejects.toMatchObject({ code, hint: expect.any(String) });
    expect(readdirSync(host.layout.machines)).toEqual([]);
    expect(readdirSync(host.layout.records)).toEqual([]);
  });

  it('leaves nothing where the TPM cannot be made', async () => {
    const warden = await scene.openWarden();
    host.before = failing('tpm.manufacture', new RingwallError('tpm-failed', 'broken'));
    await expect(create(warden, newMachineId())).rejects.toMatchObject({ code: 'tpm-failed' });
    expect(readdirSync(host.layout.machines)).toEqual([]);
    expect(readdirSync(host.layout.records)).toEqual([]);
    expect(scene.runs()).toEqual([]);
  });

  it('explains a full disk', async () => {
    const warden = await scene.openWarden();
    host.before = failing('tpm.manufacture', Object.assign(new Error('no space'), { code: 'ENOSPC' }));
    await expect(create(warden, newMachineId())).rejects.toMatchObject({ code: 'host-full', hint: expect.any(String) });
  });

  it('finds a full disk behind a TPM that only says that it failed', async () => {
    const warden = await scene.openWarden();
    host.before = failing('tpm.manufacture', new RingwallError('tpm-failed', 'TPM_RC_FAILURE'));
    host.full = true;
    await expect(create(warden, newMachineId())).rejects.toMatchObject({ code: 'host-full' });
  });

  it('does not take a disk whose record is lost for its own rubbish', async () => {
    const warden = await scene.openWarden();
    const { id, paths } = await scene.made(warden);
    writeFileSync(paths.disk, 'somebody’s work');
    rmSync(paths.spec);
    await expect(create(warden, id)).rejects.toMatchObject({ code: 'conflict' });
    await expect(remove(warden, id)).rejects.toMatchObject({ code: 'conflict' });
    await warden.sweep(true);
    await (await scene.openWarden()).sweep(true);
    expect(readFileSync(paths.disk, 'utf8')).toBe('somebody’s work');
  });
});

describe.skipIf(needsRoot)('start-machine and stop-machine', () => {
  it('start a TPM and a VMM, and end both', async () => {
    const warden = await scene.openWarden();
    const { id, paths } = await scene.made(warden);
    const boot = newBootId();
    const { running, reference } = await start(warden, id, boot);
    expect(running).toMatchObject({ machine: id, boot, state: 'running', accelerator: 'tcg' });
    expect(reference).toMatchObject({ format: 'ringwall-reference/1', for: { image: { name: 'hello' } } });
    expect((await list(warden)).machines).toEqual([running]);
    expect(statSync(paths.boot).mode & 0o777).toBe(0o600);
    expect(await stop(warden, id)).toEqual({ graceful: true });
    expect((await list(warden)).machines).toEqual([]);
    expect(scene.runs()).toEqual([]);
  });

  it('end a guest that does not obey its power button', async () => {
    const warden = await scene.openWarden();
    const { id } = await scene.made(warden);
    await start(warden, id);
    host.obeysPowerButton = false;
    expect(await stop(warden, id)).toEqual({ graceful: false });
    expect(scene.runs()).toEqual([]);
  });

  it('end a VMM whose monitor does not answer', async () => {
    const warden = await scene.openWarden();
    const { id } = await scene.made(warden);
    await start(warden, id);
    host.before = (effect) => {
      if (effect.startsWith('vmm.')) throw new RingwallError('timeout', 'no answer');
    };
    expect(await stop(warden, id)).toEqual({ graceful: false });
    expect(scene.runs()).toEqual([]);
  });

  it('do not stop what does not exist, and stop again what is stopped', async () => {
    const warden = await scene.openWarden();
    await expect(stop(warden, newMachineId())).rejects.toMatchObject({ code: 'not-found' });
    const { id } = await scene.made(warden);
    expect(await stop(warden, id)).toEqual({ graceful: false });
  });

  it('answer the same start twice with the same boot, and refuse another', async () => {
    const warden = await scene.openWarden();
    const { id } = await scene.made(warden);
    const boot = newBootId();
    const [first, second] = await Promise.all([start(warden, id, boot), start(warden, id, boot)]);
    expect(second).toEqual(first);
    expect(host.calls.filter((effect) => effect === 'vmm.start')).toHaveLength(1);
    await expect(start(warden, id)).rejects.toMatchObject({ code: 'conflict' });
  });

  it('put a start that comes during a stop behind it', async () => {
    const warden = await scene.openWarden();
    const { id } = await scene.made(warden);
    const first = await start(warden, id);
    const [stopped, second] = await Promise.all([stop(warden, id), start(warden, id)]);
    expect(stopped.graceful).toBe(true);
    expect(second.running.boot).not.toBe(first.running.boot);
    expect(host.processes.size).toBe(2);
  });

  it('refuse a machine whose image is not built', async () => {
    const warden = await scene.openWarden();
    const id = newMachineId();
    await create(warden, id);
    await expect(start(warden, id)).rejects.toMatchObject({ code: 'image-unknown' });
    expect(scene.runs()).toEqual([]);
  });

  it('refuse more memory than is free now', async () => {
    const warden = await scene.openWarden();
    const { id } = await scene.made(warden);
    host.availableMiB = 300;
    await expect(start(warden, id)).rejects.toMatchObject({ code: 'host-full', hint: expect.any(String) });
    expect(scene.runs()).toEqual([]);
  });

  it.each(['tpm.start', 'vmm.start'])('leave nothing where %s fails', async (effect) => {
    const warden = await scene.openWarden();
    const { id } = await scene.made(warden);
    host.before = failing(effect, new RingwallError('vmm-failed', 'broken'));
    await expect(start(warden, id)).rejects.toMatchObject({ code: 'vmm-failed' });
    expect(scene.runs()).toEqual([]);
    host.before = () => undefined;
    await start(warden, id);
  });

  it('say that the disk is gone', async () => {
    const warden = await scene.openWarden();
    const { id, paths } = await scene.made(warden);
    rmSync(paths.disk);
    await expect(start(warden, id)).rejects.toMatchObject({
      code: 'vmm-failed',
      hint: expect.stringContaining('backup'),
    });
    expect(scene.runs()).toEqual([]);
  });
});

describe.skipIf(needsRoot)('remove-machine', () => {
  it('removes everything, and again nothing', async () => {
    const warden = await scene.openWarden();
    const { id } = await scene.made(warden);
    await remove(warden, id);
    await remove(warden, id);
    expect(readdirSync(host.layout.machines)).toEqual([]);
    expect(readdirSync(host.layout.records)).toEqual([]);
    expect(await existing(warden)).toEqual([]);
  });

  it('refuses a machine that runs', async () => {
    const warden = await scene.openWarden();
    const { id, paths } = await scene.made(warden);
    await start(warden, id);
    await expect(remove(warden, id)).rejects.toMatchObject({ code: 'conflict' });
    expect(existsSync(paths.disk)).toBe(true);
  });
});

describe.skipIf(needsRoot)('the sweep', () => {
  it.each([
    { state: 'vmm-dead', pid: 'vmmPid', end: { poweredOff: false } },
    { state: 'vmm-dead', pid: 'vmmPid', end: { poweredOff: true } },
    { state: 'tpm-dead', pid: 'tpmPid', end: {} },
  ] as const)('reports $state $end once, and cleans up', async ({ state, pid, end }) => {
    const warden = await scene.openWarden();
    const { id } = await scene.made(warden);
    const { running } = await start(warden, id);
    host.guestPoweredOff = 'poweredOff' in end && end.poweredOff;
    host.kill(running[pid]);
    await warden.sweep(false);
    expect(scene.runs()).toEqual([]);
    expect((await list(warden)).machines).toEqual([{ ...running, state, ...end }]);
    expect((await list(warden)).machines).toEqual([]);
  });

  it('reports a death once while its cleaning is still going on', async () => {
    const warden = await scene.openWarden();
    const { id } = await scene.made(warden);
    const { running } = await start(warden, id);
    host.kill(running.vmmPid);
    const seen: unknown[] = [];
    host.before = async (effect) => {
      if (effect === 'jail.endJails') seen.push((await list(warden)).machines);
    };
    await warden.sweep(false);
    expect(seen).toEqual([[{ ...running, state: 'vmm-dead', poweredOff: false }]]);
  });

  it('reports nothing of the boot before once a machine was started again', async () => {
    const warden = await scene.openWarden();
    const { id } = await scene.made(warden);
    const { running } = await start(warden, id);
    host.kill(running.vmmPid);
    const again = await start(warden, id);
    expect((await list(warden)).machines).toEqual([again.running]);
  });

  it('takes a paused machine for a living one', async () => {
    const warden = await scene.openWarden();
    const { id } = await scene.made(warden);
    await start(warden, id);
    host.vmmState = 'paused';
    host.outOfRoom = true;
    host.full = true;
    await warden.sweep(false);
    expect((await list(warden)).machines).toMatchObject([{ state: 'paused' }]);
  });

  it('lets a guest that a full disk has stopped go on once there is room', async () => {
    const warden = await scene.openWarden();
    const { id } = await scene.made(warden);
    await start(warden, id);
    host.vmmState = 'paused';
    host.outOfRoom = true;
    await warden.sweep(false);
    expect((await list(warden)).machines).toMatchObject([{ state: 'running' }]);
  });

  it('keeps the end of the console for a stopped machine', async () => {
    const warden = await scene.openWarden();
    const { id, paths } = await scene.made(warden);
    await start(warden, id);
    mkdirSync(paths.vmmDir, { recursive: true });
    writeFileSync(paths.consoleLog, 'hello from the guest');
    await stop(warden, id);
    const { text } = await ask<'read-console'>(warden, { op: 'read-console', machine: id, bytes: 9 });
    expect(Buffer.from(text, 'base64').toString()).toBe('the guest');
  });

  it('takes nothing of another boot of the host for alive', async () => {
    const warden = await scene.openWarden();
    const { id } = await scene.made(warden);
    await start(warden, id);
    host.bootId = 'the next boot';
    expect((await list(warden)).machines).toMatchObject([{ state: 'vmm-dead' }]);
  });
});

describe.skipIf(needsRoot)(`pause-machine${needsRoot ? ' (skipped: needs root)' : ''}`, () => {
  it('stops the processors of the boot that is meant, and lets them go on', async () => {
    const warden = await scene.openWarden();
    const { id: machine } = await scene.made(warden);
    const boot = newBootId();
    await start(warden, machine, boot);
    await ask<'pause-machine'>(warden, { op: 'pause-machine', machine, boot });
    expect((await list(warden)).machines).toMatchObject([{ state: 'paused' }]);
    await ask<'resume-machine'>(warden, { op: 'resume-machine', machine, boot });
    expect((await list(warden)).machines).toMatchObject([{ state: 'running' }]);
  });

  it('leaves another boot and a stopped machine alone', async () => {
    const warden = await scene.openWarden();
    const { id: machine } = await scene.made(warden);
    const request = { op: 'pause-machine', machine, boot: newBootId() } as const;
    await expect(ask<'pause-machine'>(warden, request)).rejects.toMatchObject({ code: 'conflict' });
    await start(warden, machine);
    await expect(ask<'pause-machine'>(warden, request)).rejects.toMatchObject({ code: 'conflict' });
    expect(host.calls).not.toContain('vmm.pause');
  });
});

describe.skipIf(needsRoot)(`read-image-files${needsRoot ? ' (skipped: needs root)' : ''}`, () => {
  it('answers the digest alone, and parts from an offset on', async () => {
    const warden = await scene.openWarden();
    host.runtimeFiles = new Uint8Array(600_000).fill(0x61);
    const whole = await ask<'read-image-files'>(warden, { op: 'read-image-files', image: 'hello' });
    expect(whole).toEqual({
      sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
      bytes: 600_000,
      parts: expect.any(Object),
    });
    const read = async (offset: number): Promise<number> => {
      const answer = await ask<'read-image-files'>(warden, { op: 'read-image-files', image: 'hello', offset });
      return Buffer.from(answer.part ?? '', 'base64').length;
    };
    expect([await read(0), await read(524_288), await read(600_000)]).toEqual([524_288, 75_712, 0]);
  });

  it('has none of an image without one, or that nobody knows', async () => {
    const warden = await scene.openWarden();
    host.runtimeFiles = undefined;
    const request = (image: string): Promise<unknown> =>
      ask<'read-image-files'>(warden, { op: 'read-image-files', image });
    await expect(request('hello')).rejects.toMatchObject({ code: 'not-found', hint: expect.any(String) });
    await expect(request('windows')).rejects.toMatchObject({ code: 'image-unknown' });
  });
});
