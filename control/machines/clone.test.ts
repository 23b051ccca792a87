// A machine that begins with the disk of another, as work of the daemon.
import { RingwallError } from '@ringwall/api';
import { describe, expect, test } from 'vitest';
import { errorOf } from './testing/error-of.ts';
import { World } from './testing/world.ts';

async function open(clones: 'deny' | 'allow' = 'allow'): Promise<World> {
  const world = await World.open();
  const { operation } = await world.machines.create({ image: 'hello', name: 'web', start: true, clones });
  expect(await world.ended(operation)).toMatchObject({ state: 'done' });
  expect(await world.ended(await world.machines.snapshot('web'))).toMatchObject({ state: 'done' });
  return world;
}

describe('clone()', () => {
  test('makes another machine, known to the broker by itself before it gets the disk, and starts it', async () => {
    await using world = await open();
    const { machine, operation } = await world.machines.clone('web', {});
    expect(machine).toMatchObject({ name: 'web-2', spec: { image: 'hello', clonedFrom: 'web@1' } });
    expect(machine.spec.clones).toBeUndefined();
    expect(await world.ended(operation)).toMatchObject({ state: 'done' });
    const original = await world.machines.find('web');
    // As it is stored: under load nobody may have looked at it for too long.
    expect((await world.store.findMachine('web-2'))?.status).toMatchObject({ phase: 'running', trust: 'attested' });
    expect(machine.id).not.toBe(original.id);
    const asked = world.broker.requests.flatMap(({ op }) => (/^(register|clone|expect)-/.test(op) ? [op] : []));
    expect(asked.slice(-4, -1)).toEqual(['register-machine', 'clone-machine', 'expect-boot']);
    expect(world.warden.requests.find(({ op }) => op === 'clone-disk')).toMatchObject({
      machine: machine.id,
      from: original.id,
      root: '5a'.repeat(32),
    });
  });

  test('is refused where it was not allowed when the machine was made, and where there is no snapshot', async () => {
    await using world = await open('deny');
    expect(await errorOf(world.machines.clone('web', {}))).toMatchObject({ code: 'conflict' });
    await using other = await open();
    expect(await errorOf(other.machines.clone('web', { sequence: 7 }))).toMatchObject({ code: 'not-found' });
    expect(await errorOf(other.machines.clone('web', { name: 'web' }))).toMatchObject({ code: 'name-taken' });
    expect((await other.machines.list()).map(({ name }) => name)).toEqual(['web']);
  });

  test('that a restart of the daemon broke off is gone on with: it never comes to a blank disk', async () => {
    await using world = await open();
    const asked = Promise.withResolvers<void>();
    world.warden.onRequest = async ({ op }) => {
      if (op !== 'clone-disk') return;
      asked.resolve();
      await new Promise((resolve) => setTimeout(resolve, 50));
    };
    const { operation } = await world.machines.clone('web', {});
    await asked.promise;
    await world.restart();
    world.warden.onRequest = async () => undefined;
    expect(await world.ended(operation)).toMatchObject({ state: 'done' });
    expect(world.warden.count('clone-disk')).toBe(2);
    expect((await world.store.findMachine('web-2'))?.status).toMatchObject({ phase: 'running', trust: 'attested' });
  });

  test('keeps a running original from being removed while the clone has its key: it runs on', async () => {
    await using world = await open();
    const { id } = await world.machines.find('web');
    world.broker.lenders.add(id);
    expect(await world.ended(await world.machines.remove('web', { force: true }))).toMatchObject({
      state: 'failed',
      error: { code: 'conflict' },
    });
    expect((await world.store.findMachine('web'))?.status).toMatchObject({ phase: 'running', trust: 'attested' });
    expect(world.warden.count('stop-machine')).toBe(0);
    world.broker.lenders.delete(id);
    expect(await world.ended(await world.machines.remove('web', { force: true }))).toMatchObject({ state: 'done' });
  });

  test('that fails leaves nothing of the clone', async () => {
    await using world = await open();
    world.warden.onRequest = ({ op }) => {
      if (op === 'clone-disk') throw new RingwallError('proof-invalid', 'the snapshot is not what was sealed');
    };
    const { operation } = await world.machines.clone('web', {});
    expect(await world.ended(operation)).toMatchObject({ state: 'failed', error: { code: 'proof-invalid' } });
    expect((await world.machines.list()).map(({ name }) => name)).toEqual(['web']);
    expect([world.warden.machines.size, world.broker.registered.size]).toEqual([1, 1]);
  });
});
