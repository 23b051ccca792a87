// The warden's decisions against a host of the mind: what happens when steps fail, when asks collide, and when the warden
// is killed between any two steps.
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
import { newBootId, newMachineId, RingwallError, type MachineId } from '@ringwall/api';
import type { WardenRequest, WardenResponse } from '@ringwall/api/warden';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { machineLayout, type MachineLayout } from './layout.ts';
import { failing, FakeHost, Killed } from './testing/fake-parts.ts';
import { Warden, type WardenCall } from './warden.ts';

const SPEC = { image: 'hello', cpus: 1, memoryMiB: 256, diskMiB: 64 };
const BROKER_KEY = 'ab'.repeat(64);
const needsRoot = process.getuid?.() !== 0;

let dir: string;
let host: FakeHost;
let open: Warden[];
let notes: string[];

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'warden-'));
  host = new FakeHost(dir);
  open = [];
  notes = [];
});
afterEach(async () => {
  await Promise.all(open.map((warden) => warden.close()));
  rmSync(dir, { recursive: true });
});

async function openWarden(): Promise<Warden> {
  const warden = await Warden.open({ layout: host.layout, parts: host.parts, note: (text) => notes.push(text) });
  open.push(warden);
  return warden;
}

const call: WardenCall = {
  progress: () => undefined,
  upgrade: () => undefined,
  signal: new AbortController().signal,
};

function ask<Op extends WardenRequest['op']>(
  warden: Warden,
  request: Extract<WardenRequest, { op: Op }>,
): Promise<WardenResponse<Op>> {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the op of the request decides the type of its answer
  return warden.handle(request, call) as Promise<WardenResponse<Op>>;
}

async function built(warden: Warden): Promise<void> {
  await ask<'build-image'>(warden, { op: 'build-image', image: 'hello' });
}

const create = (warden: Warden, machine: MachineId, spec = SPEC): Promise<WardenResponse<'create-machine'>> =>
  ask<'create-machine'>(warden, { op: 'create-machine', machine, spec });
const start = (warden: Warden, machine: MachineId, boot = newBootId()): Promise<WardenResponse<'start-machine'>> =>
  ask<'start-machine'>(warden, { op: 'start-machine', machine, boot, brokerKey: BROKER_KEY });
const stop = (warden: Warden, machine: MachineId, graceMs = 100): Promise<WardenResponse<'stop-machine'>> =>
  ask<'stop-machine'>(warden, { op: 'stop-machine', machine, graceMs });
const remove = (warden: Warden, machine: MachineId): Promise<WardenResponse<'remove-machine'>> =>
  ask<'remove-machine'>(warden, { op: 'remove-machine', machine });
const list = (warden: Warden): Promise<WardenResponse<'list-machines'>> =>
  ask<'list-machines'>(warden, { op: 'list-machines' });

async function made(warden: Warden): Promise<{ id: MachineId; paths: MachineLayout }> {
  const id = newMachineId();
  await built(warden);
  await create(warden, id);
  return { id, paths: machineLayout(host.layout, id) };
}

function expectNothingRuns(): void {
  expect([...host.processes.values()]).toEqual([]);
  expect([...host.jails.keys()]).toEqual([]);
  expect(readdirSync(host.layout.runMachines)).toEqual([]);
}

describe.skipIf(needsRoot)(`create-machine${needsRoot ? ' (skipped: needs root)' : ''}`, () => {
  it('makes a sparse disk of its size for root alone, a TPM and a record', async () => {
    const warden = await openWarden();
    const { id, paths } = await made(warden);
    const disk = statSync(paths.disk);
    expect(disk.size).toBe(64 * 1024 * 1024);
    expect(disk.blocks).toBe(0);
    expect(disk.mode & 0o777).toBe(0o600);
    expect(JSON.parse(readFileSync(paths.spec, 'utf8'))).toMatchObject({ version: 1, machine: id, spec: SPEC });
    expect((await list(warden)).existing).toEqual([id]);
    expectNothingRuns();
  });

  it('answers the same again, and makes nothing anew', async () => {
    const warden = await openWarden();
    const { id } = await made(warden);
    const again = await create(warden, id);
    expect(await create(warden, id)).toEqual(again);
    expect(host.calls.filter((effect) => effect === 'tpm.manufacture')).toHaveLength(1);
  });

  it('refuses another specification for a machine that exists', async () => {
    const warden = await openWarden();
    const { id } = await made(warden);
    await expect(create(warden, id, { ...SPEC, cpus: 2 })).rejects.toMatchObject({ code: 'conflict' });
  });

  it.each([
    ['more disk than is free', { ...SPEC, diskMiB: 64 * 1024 * 1024 }, 'host-full'],
    ['more memory than the host has', { ...SPEC, memoryMiB: 1024 * 1024 }, 'host-full'],
    ['more processors than the host has', { ...SPEC, cpus: 64 }, 'host-full'],
    ['an image that nobody knows', { ...SPEC, image: 'windows' }, 'image-unknown'],
  ])('refuses %s, and leaves nothing', async (_, spec, code) => {
    const warden = await openWarden();
    await expect(create(warden, newMachineId(), spec)).rejects.toMatchObject({ code, hint: expect.any(String) });
    expect(readdirSync(host.layout.machines)).toEqual([]);
    expect(readdirSync(host.layout.records)).toEqual([]);
  });

  it('leaves nothing where the TPM cannot be made', async () => {
    const warden = await openWarden();
    host.before = failing('tpm.manufacture', new RingwallError('tpm-failed', 'broken'));
    await expect(create(warden, newMachineId())).rejects.toMatchObject({ code: 'tpm-failed' });
    expect(readdirSync(host.layout.machines)).toEqual([]);
    expect(readdirSync(host.layout.records)).toEqual([]);
    expectNothingRuns();
  });

  it('explains a full disk', async () => {
    const warden = await openWarden();
    host.before = failing('tpm.manufacture', Object.assign(new Error('no space'), { code: 'ENOSPC' }));
    await expect(create(warden, newMachineId())).rejects.toMatchObject({ code: 'host-full', hint: expect.any(String) });
  });

  it('finds a full disk behind a TPM that only says that it failed', async () => {
    const warden = await openWarden();
    host.before = failing('tpm.manufacture', new RingwallError('tpm-failed', 'TPM_RC_FAILURE'));
    host.full = true;
    await expect(create(warden, newMachineId())).rejects.toMatchObject({ code: 'host-full' });
  });

  it('does not take a disk whose record is lost for its own rubbish', async () => {
    const warden = await openWarden();
    const { id, paths } = await made(warden);
    writeFileSync(paths.disk, 'somebody’s work');
    rmSync(paths.spec);
    await expect(create(warden, id)).rejects.toMatchObject({ code: 'conflict' });
    await expect(remove(warden, id)).rejects.toMatchObject({ code: 'conflict' });
    await warden.sweep(true);
    await (await openWarden()).sweep(true);
    expect(readFileSync(paths.disk, 'utf8')).toBe('somebody’s work');
  });
});

describe.skipIf(needsRoot)('start-machine and stop-machine', () => {
  it('start a TPM and a VMM, and end both', async () => {
    const warden = await openWarden();
    const { id, paths } = await made(warden);
    const boot = newBootId();
    const { running, reference } = await start(warden, id, boot);
    expect(running).toMatchObject({ machine: id, boot, state: 'running', accelerator: 'tcg' });
    expect(reference).toEqual({ version: 1 });
    expect((await list(warden)).machines).toEqual([running]);
    expect(statSync(paths.boot).mode & 0o777).toBe(0o600);
    expect(await stop(warden, id)).toEqual({ graceful: true });
    expect((await list(warden)).machines).toEqual([]);
    expectNothingRuns();
  });

  it('end a guest that does not obey its power button', async () => {
    const warden = await openWarden();
    const { id } = await made(warden);
    await start(warden, id);
    host.obeysPowerButton = false;
    expect(await stop(warden, id)).toEqual({ graceful: false });
    expectNothingRuns();
  });

  it('end a VMM whose monitor does not answer', async () => {
    const warden = await openWarden();
    const { id } = await made(warden);
    await start(warden, id);
    host.before = (effect) => {
      if (effect.startsWith('vmm.')) throw new RingwallError('timeout', 'no answer');
    };
    expect(await stop(warden, id)).toEqual({ graceful: false });
    expectNothingRuns();
  });

  it('do not stop what does not exist, and stop again what is stopped', async () => {
    const warden = await openWarden();
    await expect(stop(warden, newMachineId())).rejects.toMatchObject({ code: 'not-found' });
    const { id } = await made(warden);
    expect(await stop(warden, id)).toEqual({ graceful: false });
  });

  it('answer the same start twice with the same boot, and refuse another', async () => {
    const warden = await openWarden();
    const { id } = await made(warden);
    const boot = newBootId();
    const [first, second] = await Promise.all([start(warden, id, boot), start(warden, id, boot)]);
    expect(second).toEqual(first);
    expect(host.calls.filter((effect) => effect === 'vmm.start')).toHaveLength(1);
    await expect(start(warden, id)).rejects.toMatchObject({ code: 'conflict' });
  });

  it('put a start that comes during a stop behind it', async () => {
    const warden = await openWarden();
    const { id } = await made(warden);
    const first = await start(warden, id);
    const [stopped, second] = await Promise.all([stop(warden, id), start(warden, id)]);
    expect(stopped.graceful).toBe(true);
    expect(second.running.boot).not.toBe(first.running.boot);
    expect(host.processes.size).toBe(2);
  });

  it('refuse a machine whose image is not built', async () => {
    const warden = await openWarden();
    const id = newMachineId();
    await create(warden, id);
    await expect(start(warden, id)).rejects.toMatchObject({ code: 'image-unknown' });
    expectNothingRuns();
  });

  it('refuse more memory than is free now', async () => {
    const warden = await openWarden();
    const { id } = await made(warden);
    host.availableMiB = 300;
    await expect(start(warden, id)).rejects.toMatchObject({ code: 'host-full', hint: expect.any(String) });
    expectNothingRuns();
  });

  it.each(['tpm.start', 'vmm.start'])('leave nothing where %s fails', async (effect) => {
    const warden = await openWarden();
    const { id } = await made(warden);
    host.before = failing(effect, new RingwallError('vmm-failed', 'broken'));
    await expect(start(warden, id)).rejects.toMatchObject({ code: 'vmm-failed' });
    expectNothingRuns();
    host.before = () => undefined;
    await start(warden, id);
  });

  it('say that the disk is gone', async () => {
    const warden = await openWarden();
    const { id, paths } = await made(warden);
    rmSync(paths.disk);
    await expect(start(warden, id)).rejects.toMatchObject({
      code: 'vmm-failed',
      hint: expect.stringContaining('backup'),
    });
    expectNothingRuns();
  });
});

describe.skipIf(needsRoot)('remove-machine', () => {
  it('removes everything, and again nothing', async () => {
    const warden = await openWarden();
    const { id } = await made(warden);
    await remove(warden, id);
    await remove(warden, id);
    expect(readdirSync(host.layout.machines)).toEqual([]);
    expect(readdirSync(host.layout.records)).toEqual([]);
    expect((await list(warden)).existing).toEqual([]);
  });

  it('refuses a machine that runs', async () => {
    const warden = await openWarden();
    const { id, paths } = await made(warden);
    await start(warden, id);
    await expect(remove(warden, id)).rejects.toMatchObject({ code: 'conflict' });
    expect(existsSync(paths.disk)).toBe(true);
  });
});

describe.skipIf(needsRoot)('the sweep', () => {
  it.each([
    ['vmm-dead', 'vmmPid'],
    ['tpm-dead', 'tpmPid'],
  ] as const)('reports %s once, and cleans up', async (state, pid) => {
    const warden = await openWarden();
    const { id } = await made(warden);
    const { running } = await start(warden, id);
    host.kill(running[pid]);
    await warden.sweep(false);
    expectNothingRuns();
    expect((await list(warden)).machines).toEqual([{ ...running, state }]);
    expect((await list(warden)).machines).toEqual([]);
  });

  it('reports a death once while its cleaning is still going on', async () => {
    const warden = await openWarden();
    const { id } = await made(warden);
    const { running } = await start(warden, id);
    host.kill(running.vmmPid);
    const seen: unknown[] = [];
    host.before = async (effect) => {
      if (effect === 'jail.endJails') seen.push((await list(warden)).machines);
    };
    await warden.sweep(false);
    expect(seen).toEqual([[{ ...running, state: 'vmm-dead' }]]);
  });

  it('reports nothing of the boot before once a machine was started again', async () => {
    const warden = await openWarden();
    const { id } = await made(warden);
    const { running } = await start(warden, id);
    host.kill(running.vmmPid);
    const again = await start(warden, id);
    expect((await list(warden)).machines).toEqual([again.running]);
  });

  it('takes a paused machine for a living one', async () => {
    const warden = await openWarden();
    const { id } = await made(warden);
    await start(warden, id);
    host.vmmState = 'paused';
    await warden.sweep(false);
    expect((await list(warden)).machines).toMatchObject([{ state: 'paused' }]);
  });

  it('keeps the end of the console for a stopped machine', async () => {
    const warden = await openWarden();
    const { id, paths } = await made(warden);
    await start(warden, id);
    mkdirSync(paths.vmmDir, { recursive: true });
    writeFileSync(paths.consoleLog, 'hello from the guest');
    await stop(warden, id);
    const { text } = await ask<'read-console'>(warden, { op: 'read-console', machine: id, bytes: 9 });
    expect(Buffer.from(text, 'base64').toString()).toBe('the guest');
  });

  it('takes nothing of another boot of the host for alive', async () => {
    const warden = await openWarden();
    const { id } = await made(warden);
    await start(warden, id);
    host.bootId = 'the next boot';
    expect((await list(warden)).machines).toMatchObject([{ state: 'vmm-dead' }]);
  });
});

describe.skipIf(needsRoot)('a warden that is killed', () => {
  /** Every effect of a create, a start and a stop, in their order, as they come without a kill. */
  const EFFECTS = ['tpm.manufacture', 'jail.endJails', 'tpm.start', 'vmm.start', 'vmm.powerDown', 'host.kill'];

  it('leaves running machines that the next one adopts', async () => {
    const { id } = await made(await openWarden());
    const { running } = await start(open[0] ?? (await openWarden()), id);
    const next = await openWarden();
    expect((await list(next)).machines).toEqual([running]);
    expect(host.processes.size).toBe(2);
    expect(await stop(next, id)).toEqual({ graceful: true });
    expectNothingRuns();
  });

  it.each(EFFECTS.flatMap((effect) => [0, 1, 2].map((skip) => ({ effect, skip }))))(
    'in $effect after $skip of them leaves what the next one undoes or adopts',
    async ({ effect, skip }) => {
      const first = await openWarden();
      await built(first);
      const id = newMachineId();
      let left = skip;
      let dead = false;
      host.before = (name) => {
        if (dead || (name === effect && left-- === 0)) {
          dead = true;
          throw new Killed();
        }
      };
      const life = async (): Promise<void> => {
        await create(first, id);
        await start(first, id);
        await stop(first, id);
      };
      await life().catch(() => undefined);

      host.before = () => undefined;
      const next = await openWarden();
      const { machines, existing } = await list(next);
      expect(machines.every(({ state }) => state === 'running')).toBe(true);
      expect(readdirSync(host.layout.runMachines)).toHaveLength(machines.length);
      expect(host.processes.size).toBe(2 * machines.length);
      expect(readdirSync(host.layout.machines)).toEqual(existing);
      expect(readdirSync(host.layout.records)).toEqual(existing);
      // Whatever was half is whole again or gone: the same life succeeds now.
      await create(next, id);
      await stop(next, id);
      await start(next, id);
      await stop(next, id);
      await remove(next, id);
      expectNothingRuns();
    },
  );

  it('leaves no second half of an image: the old one comes back', async () => {
    const first = await openWarden();
    await built(first);
    const { images } = host.layout;
    mkdirSync(join(images, '.build-hello-0123abcd'));
    mkdirSync(join(images, '.old-debian'));
    writeFileSync(join(images, '.old-debian', 'manifest.json'), 'b'.repeat(64));
    await openWarden();
    expect(readdirSync(images).toSorted()).toEqual(['debian', 'hello']);
  });
});

describe.skipIf(needsRoot)('build-image', () => {
  it('is shared by two who ask, and done once', async () => {
    const warden = await openWarden();
    const steps: string[] = [];
    const asking = (name: string): WardenCall => ({
      ...call,
      progress: ({ step }) => void steps.push(`${step} for ${name}`),
    });
    const [a, b] = await Promise.all([
      warden.handle({ op: 'build-image', image: 'hello' }, asking('one')),
      warden.handle({ op: 'build-image', image: 'hello' }, asking('two')),
    ]);
    expect(a).toEqual(b);
    expect(host.calls.filter((effect) => effect.startsWith('images.build'))).toHaveLength(1);
    expect(steps).toEqual(['building for one', 'building for two']);
    expect(statSync(join(host.layout.images, 'hello')).mode & 0o777).toBe(0o755);
  });

  it('returns at once where the image is there, and builds anew when told to', async () => {
    const warden = await openWarden();
    await built(warden);
    await built(warden);
    expect(host.calls.filter((effect) => effect.startsWith('images.build'))).toHaveLength(1);
    await ask<'build-image'>(warden, { op: 'build-image', image: 'hello', rebuild: true });
    expect(host.calls.filter((effect) => effect.startsWith('images.build'))).toHaveLength(2);
  });

  it('leaves the image before it where the builder fails', async () => {
    const warden = await openWarden();
    await built(warden);
    host.before = failing('images.build hello', new RingwallError('image-failed', 'broken'));
    await expect(
      ask<'build-image'>(warden, { op: 'build-image', image: 'hello', rebuild: true }),
    ).rejects.toMatchObject({ code: 'image-failed' });
    expect(readdirSync(host.layout.images)).toEqual(['hello']);
  });

  it('refuses what a builder left that is no plain file', async () => {
    const warden = await openWarden();
    host.before = (effect) => {
      if (!effect.startsWith('images.build')) return;
      const [staging = ''] = readdirSync(host.layout.images);
      mkdirSync(join(host.layout.images, staging, 'kernel'));
    };
    await expect(built(warden)).rejects.toMatchObject({ code: 'image-failed' });
    expect(readdirSync(host.layout.images)).toEqual([]);
  });

  it('knows only its own list', async () => {
    const warden = await openWarden();
    await expect(ask<'build-image'>(warden, { op: 'build-image', image: 'windows' })).rejects.toMatchObject({
      code: 'image-unknown',
      hint: expect.stringContaining('hello'),
    });
  });
});
