// Making machines: what is refused before anything is made, and what is cleaned up after.
import { RingwallError } from '@ringwall/api';
import { describe, expect, test } from 'vitest';
import { errorOf } from './testing/error-of.ts';
import { World } from './testing/world.ts';

describe('create()', () => {
  test('makes disk, TPM and key, then boots, and is done once attested and unlocked', async () => {
    await using world = await World.open();
    const { machine, operation } = await world.machines.create({ image: 'hello', name: 'web', start: true });
    expect(machine).toMatchObject({ name: 'web', status: { phase: 'creating' } });
    expect(await world.ended(operation)).toMatchObject({ state: 'done', machine: machine.id });
    expect(world.warden.deeds).toEqual(['create-machine', 'start-machine']);
    expect(world.broker.registered).toContain(machine.id);
    expect(await world.machines.detail('web')).toMatchObject({
      machine: {
        spec: { running: true },
        status: {
          phase: 'running',
          trust: 'attested',
          diskUnlocked: true,
          accelerator: 'tcg',
          label: 'emulated: no isolation boundary',
        },
      },
      proven: ['its kernel is the one of hello'],
      protections: [{ id: 'vmm.no-new-privs' }],
      notProtected: ['emulated: no isolation boundary'],
    });
    expect(await world.eventKinds()).toEqual(['machine.created', 'machine.made', 'machine.attested']);
  });

  test('without start leaves it stopped', async () => {
    await using world = await World.open();
    const { operation } = await world.machines.create({ image: 'hello' });
    expect(await world.ended(operation)).toMatchObject({ state: 'done' });
    expect(await world.machines.find('hello')).toMatchObject({
      spec: { running: false, cpus: 1, memoryMiB: 512, diskMiB: 1024 },
      status: { phase: 'stopped', trust: 'unknown' },
    });
    expect(world.warden.deeds).toEqual(['create-machine']);
  });

  test('builds a missing image first, and says how far that is', async () => {
    await using world = await World.open();
    const { operation } = await world.machines.create({ image: 'debian' });
    const steps: string[] = [];
    using _ = world.worker.operations.watch(operation.id, ({ step }) => steps.push(step));
    await world.ended(operation);
    expect(world.warden.deeds).toEqual(['build-image', 'create-machine']);
    expect(steps).toContain('building image debian: unpacking the kernel');
  });

  test('without a name takes the first that is free, also when two ask at the same time', async () => {
    await using world = await World.open();
    const made = await Promise.all([1, 2, 3].map(() => world.machines.create({ image: 'hello' })));
    expect(made.map(({ machine }) => machine.name).toSorted()).toEqual(['hello', 'hello-2', 'hello-3']);
  });

  test.each([
    [{ image: 'hello', name: '../x' }, 'name-invalid'],
    [{ image: 'windows' }, 'image-unknown'],
    [{ image: 'hello', memoryMiB: 9000 }, 'host-full'],
    [{ image: 'hello', cpus: 0 }, 'spec-invalid'],
  ])('refuses %o as %s before anything is made', async (request, code) => {
    await using world = await World.open();
    expect(await errorOf(world.machines.create(request))).toMatchObject({ code });
    expect(await world.machines.list()).toEqual([]);
    expect(world.warden.deeds).toEqual([]);
  });

  test('refuses a name that is taken', async () => {
    await using world = await World.open();
    await world.machines.create({ image: 'hello', name: 'web' });
    expect(await errorOf(world.machines.create({ image: 'hello', name: 'web' }))).toMatchObject({ code: 'name-taken' });
  });

  test('leaves nothing behind where the warden cannot make it, and the name is free again', async () => {
    await using world = await World.open();
    world.warden.onRequest = ({ op }) => {
      if (op === 'create-machine') throw new RingwallError('host-full', 'the disk is full', { hint: 'free some' });
    };
    const { operation } = await world.machines.create({ image: 'hello', name: 'web' });
    expect(await world.ended(operation)).toMatchObject({
      state: 'failed',
      error: { code: 'host-full', hint: 'free some' },
    });
    expect(await world.machines.list()).toEqual([]);
    expect(world.warden.deeds).toEqual(['create-machine', 'remove-machine']);
    expect(world.broker.count('forget-machine')).toBe(1);
    world.warden.onRequest = () => {};
    await world.running('web');
  });

  test('keeps the record of a machine that it could not undo, so that it can be removed', async () => {
    await using world = await World.open();
    world.warden.onRequest = ({ op }) => {
      if (op === 'create-machine') world.broker.away = true;
    };
    const { operation } = await world.machines.create({ image: 'hello', name: 'web' });
    expect(await world.ended(operation)).toMatchObject({ state: 'failed', error: { code: 'broker-unavailable' } });
    expect(await world.machines.find('web')).toMatchObject({
      status: { phase: 'failed', reasons: [expect.stringContaining('the broker does not run')] },
    });
    world.broker.away = false;
    await world.ended(await world.machines.remove('web'));
    expect(await world.machines.list()).toEqual([]);
    expect(world.warden.machines.size).toBe(0);
  });
});
