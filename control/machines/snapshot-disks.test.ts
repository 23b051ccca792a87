// Snapshots of machines with imported disks, as work of the daemon: their keys come with a restore, and they go nowhere else.
import type { Disk } from '@ringwall/api/disks';
import { describe, expect, test } from 'vitest';
import { errorOf } from './testing/error-of.ts';
import { World } from './testing/world.ts';

/** With two disks, saved once and stopped. */
async function saved(world: World): Promise<readonly Disk[]> {
  const disks = [await world.importDisk('one'), await world.importDisk('two')];
  const attach = disks.map(({ name }) => name);
  const { operation } = await world.machines.create({
    image: 'hello',
    name: 'web',
    start: true,
    clones: 'allow',
    attach,
  });
  expect(await world.ended(operation)).toMatchObject({ state: 'done' });
  expect(await world.ended(await world.machines.snapshot('web'))).toMatchObject({ state: 'done' });
  await world.ended(await world.machines.stop('web'));
  return disks;
}

describe('a snapshot of a machine with imported disks', () => {
  test('is put back with the keys of all of them, released for that very boot', async () => {
    await using world = await World.open();
    const disks = await saved(world);
    world.broker.released.length = 0;
    expect(await world.ended(await world.machines.restore('web', {}))).toMatchObject({ state: 'done' });
    const order = world.warden.requests.findLast((request) => request.op === 'restore-machine');
    expect(order?.diskKeys?.map(({ disk }) => disk)).toEqual(disks.map(({ id }) => id));
    const { boot, machine } = order ?? {};
    expect(world.broker.released).toMatchObject(disks.map(({ id }) => ({ disk: id, use: 'start', boot, machine })));
  });

  test('is refused where the key of one is destroyed, before its own is given out or anything is touched', async () => {
    await using world = await World.open();
    const [, second] = await saved(world);
    if (second !== undefined) world.broker.erased.add(second.id);
    expect(await world.ended(await world.machines.restore('web', {}))).toMatchObject({
      state: 'failed',
      error: { code: 'not-found' },
    });
    expect([world.broker.count('release-snapshot-key'), world.warden.count('restore-machine')]).toEqual([0, 0]);
    expect(await world.machines.find('web')).toMatchObject({ spec: { running: false }, status: { phase: 'stopped' } });
  });

  test('becomes no clone', async () => {
    await using world = await World.open();
    await saved(world);
    expect(await errorOf(world.machines.clone('web', {}))).toMatchObject({
      code: 'conflict',
      message: 'web has imported disks, and cannot be cloned',
    });
    expect(await world.machines.list()).toHaveLength(1);
  });
});
