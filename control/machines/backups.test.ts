// Backups by plan: what the warden and the store are left with after looks at moments of our choice.
import { describe, expect, test } from 'vitest';
import { Backups } from './backups.ts';
import { Snapshots } from './snapshots.ts';
import { errorOf } from './testing/error-of.ts';
import { World } from './testing/world.ts';

const HOUR_MS = 60 * 60 * 1000;
const PLAN = { everyMinutes: 60, keep: { last: 2 } } as const;

function backupsOf(world: World): Backups {
  const { machines, store } = world;
  return new Backups({ machines, store, snapshots: new Snapshots(world), note: (line) => void world.notes.push(line) });
}

/** Looks, and waits until what that has begun is done. */
async function look(world: World, backups: Backups, hours: number): Promise<number[]> {
  await backups.look(new Date(Date.now() + hours * HOUR_MS));
  const [machine] = await world.machines.list();
  if (machine !== undefined)
    await world.until(() => (world.worker.current(machine.id) === undefined ? true : undefined));
  return (await world.store.snapshots.list()).map(({ sequence }) => sequence);
}

describe('a machine with a plan', () => {
  test('is saved when that is due, and not before', async () => {
    await using world = await World.open();
    await world.running('web');
    const backups = backupsOf(world);
    expect(await look(world, backups, 0)).toEqual([]);
    await backups.plan('web', PLAN);
    expect(await look(world, backups, 0)).toEqual([1]);
    expect(await look(world, backups, 0.9)).toEqual([1]);
    expect(await look(world, backups, 1.1)).toEqual([2, 1]);
    expect(await world.eventKinds()).toContain('machine.backups-planned');
  });

  test('keeps what its plan says, and what a person has asked for', async () => {
    await using world = await World.open();
    await world.running('web');
    const backups = backupsOf(world);
    await world.ended(await world.machines.snapshot('web'));
    await backups.plan('web', PLAN);
    for (const hours of [1, 2, 3]) await look(world, backups, hours);
    expect(await look(world, backups, 0)).toEqual([4, 3, 1]);
    expect(world.broker.snapshots.size).toBe(3);
    await backups.plan('web', null);
    expect(await look(world, backups, 9)).toEqual([4, 3, 1]);
    expect((await world.machines.find('web')).spec.backups).toBeUndefined();
  });

  test('keeps what those need that it keeps', async () => {
    await using world = await World.open();
    await world.running('web');
    world.warden.continues = true;
    const backups = backupsOf(world);
    await backups.plan('web', PLAN);
    for (const hours of [1, 2, 3]) await look(world, backups, hours);
    expect(await look(world, backups, 0)).toEqual([3, 2, 1]);
    // A whole one, and one that continues it: nothing needs the others any more.
    await world.ended(await world.machines.snapshot('web', { full: true, scheduled: true }));
    await world.ended(await world.machines.snapshot('web', { scheduled: true }));
    expect(await look(world, backups, 0)).toEqual([5, 4]);
  });

  test('is left alone while it does not run', async () => {
    await using world = await World.open();
    await world.running('web');
    const backups = backupsOf(world);
    await backups.plan('web', PLAN);
    await world.ended(await world.machines.stop('web'));
    expect(await look(world, backups, 5)).toEqual([]);
    expect(world.notes.join('\n')).not.toContain('backed up');
  });

  test('that cannot be saved is told of once, and tried again', async () => {
    await using world = await World.open();
    await world.running('web');
    const backups = backupsOf(world);
    await backups.plan('web', PLAN);
    await look(world, backups, 0);
    world.warden.onRequest = async ({ op }) => {
      if (op === 'remove-snapshot') throw new Error('no such luck');
    };
    await backups.plan('web', { everyMinutes: 60, keep: { last: 1 } });
    for (const hours of [1, 2, 3]) await look(world, backups, hours);
    expect(world.notes.filter((line) => line.includes('web is not backed up'))).toHaveLength(1);
    world.warden.onRequest = async () => undefined;
    expect((await look(world, backups, 4)).length).toBeGreaterThan(0);
  });

  test('is saved as planned after a clock that was ahead, and not at every look until then', async () => {
    await using world = await World.open();
    await world.running('web');
    const backups = backupsOf(world);
    await backups.plan('web', { everyMinutes: 60, keep: { last: 9 } });
    await look(world, backups, 0);
    const [taken] = await world.store.snapshots.list();
    if (taken === undefined) throw new Error('none was taken');
    await world.store.snapshots.delete(taken, { kind: 'snapshot.removed', message: 'to be dated otherwise' });
    const ahead = new Date(Date.now() + 1000 * HOUR_MS).toISOString();
    await world.store.snapshots.insert({ ...taken, createdAt: ahead }, { kind: 'snapshot.taken', message: 'ahead' });
    for (const hours of [0.3, 0.6, 0.9]) expect(await look(world, backups, hours)).toHaveLength(2);
    expect(await look(world, backups, 1.1)).toHaveLength(3);
  });

  test('is not tried again at every look where saving fails', async () => {
    await using world = await World.open();
    await world.running('web');
    const backups = backupsOf(world);
    await backups.plan('web', PLAN);
    let tries = 0;
    world.warden.onRequest = async ({ op }) => {
      if (op !== 'take-snapshot') return;
      tries += 1;
      throw new Error('it has a card');
    };
    for (const minutes of [0, 1, 5, 14, 16, 20, 32]) await look(world, backups, minutes / 60);
    expect(tries).toBe(3);
  });

  test('is refused where there is no such machine', async () => {
    await using world = await World.open();
    expect(await errorOf(backupsOf(world).plan('nobody', PLAN))).toMatchObject({ code: 'not-found' });
  });
});
