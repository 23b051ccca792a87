// The end of machines: of a boot, and for good.
import { describe, expect, test } from 'vitest';
import { errorOf } from './testing/error-of.ts';
import { World } from './testing/world.ts';

describe('stop()', () => {
  test('ends a machine; of a stopped one it is done at once', async () => {
    await using world = await World.open();
    const { id } = await world.running('web');
    expect(await world.ended(await world.machines.stop('web'))).toMatchObject({ state: 'done' });
    expect(world.warden.isRunning(id)).toBe(false);
    expect(await world.machines.find('web')).toMatchObject({
      spec: { running: false },
      status: { phase: 'stopped', trust: 'unknown', diskUnlocked: false },
    });
    expect(await world.machines.stop('web')).toMatchObject({ state: 'done', step: 'it is stopped already' });
  });

  test('cancels a start that is under way', async () => {
    await using world = await World.open();
    const { operation: creation } = await world.machines.create({ image: 'hello', name: 'web' });
    await world.ended(creation);
    world.warden.guestWords = '';
    const start = await world.machines.start('web');
    await world.phase('web', 'attesting');
    const stop = await world.machines.stop('web');
    expect(await world.ended(stop)).toMatchObject({ state: 'done' });
    expect(await world.ended(start)).toMatchObject({ state: 'failed', error: { code: 'conflict' } });
    const machine = await world.machines.find('web');
    expect(machine.status.phase).toBe('stopped');
    expect(world.warden.isRunning(machine.id)).toBe(false);
  });

  test('where the warden is away: the machine is ended once it is back', async () => {
    await using world = await World.open();
    const { id } = await world.running('web');
    world.warden.away = true;
    expect((await world.ended(await world.machines.stop('web'))).error).toMatchObject({ code: 'warden-unavailable' });
    expect(await world.machines.find('web')).toMatchObject({ status: { phase: 'failed' } });
    world.warden.away = false;
    await world.until(() => !world.warden.isRunning(id) || undefined);
  });
});

describe('remove()', () => {
  test('destroys the key before the disk, and forgets the machine', async () => {
    await using world = await World.open();
    const { id } = await world.running('web');
    expect(await errorOf(world.machines.remove('web'))).toMatchObject({ code: 'conflict' });
    await world.ended(await world.machines.stop('web'));
    const keyWhenDiskGoes: boolean[] = [];
    world.warden.onRequest = ({ op }) => {
      if (op === 'remove-machine') keyWhenDiskGoes.push(world.broker.registered.has(id));
    };
    expect(await world.ended(await world.machines.remove('web'))).toMatchObject({ state: 'done' });
    expect(keyWhenDiskGoes).toEqual([false]);
    expect(world.warden.machines.size).toBe(0);
    expect(await errorOf(world.machines.find('web'))).toMatchObject({ code: 'not-found' });
    expect((await world.eventKinds()).at(-1)).toBe('machine.removed');
  });

  test('with force ends a running one first', async () => {
    await using world = await World.open();
    await world.running('web');
    expect(await world.ended(await world.machines.remove('web', { force: true }))).toMatchObject({ state: 'done' });
    expect(world.warden.deeds.slice(-2)).toEqual(['stop-machine', 'remove-machine']);
  });

  test('where the broker is away: nothing is removed, and it can be tried again', async () => {
    await using world = await World.open();
    await world.ended((await world.machines.create({ image: 'hello', name: 'web' })).operation);
    world.broker.away = true;
    expect((await world.ended(await world.machines.remove('web'))).error).toMatchObject({ code: 'broker-unavailable' });
    expect(world.warden.machines.size).toBe(1);
    world.broker.away = false;
    expect(await world.ended(await world.machines.remove('web'))).toMatchObject({ state: 'done' });
  });
});
