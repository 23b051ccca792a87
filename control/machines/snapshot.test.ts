// Snapshots as work of the daemon: what the warden, the broker and the store are left with, however it ends.
import { RingwallError } from '@ringwall/api';
import { describe, expect, test } from 'vitest';
import { MAX_SNAPSHOT_CHAIN } from '@ringwall/api/snapshots';
import { Snapshots } from './snapshots.ts';
import { errorOf } from './testing/error-of.ts';
import { World } from './testing/world.ts';

async function take(world: World, name: string): Promise<void> {
  expect(await world.ended(await world.machines.snapshot(name))).toMatchObject({ state: 'done' });
}

/** Everything that is known of snapshots anywhere. */
async function known(world: World): Promise<number[]> {
  const { warden, broker, store } = world;
  return [warden.snapshots.size, broker.snapshots.size, (await store.snapshots.list()).length];
}

/** The warden takes a snapshot from when it has begun until somebody lets it end. */
function heldTaking(world: World): Disposable & { readonly begun: Promise<void>; readonly end: () => void } {
  const [begun, ended] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  world.warden.onRequest = async ({ op }) => {
    if (op !== 'take-snapshot') return;
    begun.resolve();
    await ended.promise;
  };
  return { begun: begun.promise, end: ended.resolve, [Symbol.dispose]: ended.resolve };
}

describe('snapshot()', () => {
  test('numbers it, tells the broker its root, and leaves the machine as it is', async () => {
    await using world = await World.open();
    await world.running('web');
    const ended = await world.ended(await world.machines.snapshot('web'));
    expect(ended).toMatchObject({ state: 'done', step: 'web@1 is there; web stood still for 12 ms' });
    expect((await world.machines.find('web')).status).toMatchObject({
      phase: 'running',
      trust: 'attested',
      diskUnlocked: true,
    });
    const [snapshot] = await new Snapshots(world).list();
    expect(snapshot).toMatchObject({ machineName: 'web', sequence: 1, pauseMs: 12, root: '5a'.repeat(32) });
    expect([...world.broker.snapshots.values()]).toEqual(['5a'.repeat(32)]);
    expect(await world.eventKinds()).toContain('snapshot.taken');
  });

  test('that fails leaves nothing of it, and a machine that runs', async () => {
    await using world = await World.open();
    await world.running('web');
    world.warden.onRequest = async ({ op }) => {
      if (op === 'take-snapshot') throw new RingwallError('host-full', 'the disk of this host is full');
    };
    const ended = await world.ended(await world.machines.snapshot('web'));
    expect(ended).toMatchObject({ state: 'failed', error: { code: 'host-full' } });
    expect(await known(world)).toEqual([0, 0, 0]);
    expect((await world.machines.find('web')).status).toMatchObject({ phase: 'running', trust: 'attested' });
  });

  test('that nobody gave a number leaves no file either, also where the broker stays away', async () => {
    await using world = await World.open();
    await world.running('web');
    world.warden.onRequest = async ({ op }) => {
      if (op === 'take-snapshot') world.broker.away = true;
    };
    const ended = await world.ended(await world.machines.snapshot('web'));
    expect(ended).toMatchObject({ state: 'failed', error: { code: 'broker-unavailable' } });
    expect([world.warden.snapshots.size, (await world.store.snapshots.list()).length]).toEqual([0, 0]);
  });

  test('that a restart of the daemon broke off is discarded, and said to be', async () => {
    await using world = await World.open();
    await world.running('web');
    const asked = Promise.withResolvers<void>();
    world.warden.onRequest = async ({ op }) => {
      if (op !== 'take-snapshot') return;
      asked.resolve();
      await new Promise((resolve) => setTimeout(resolve, 50));
    };
    const operation = await world.machines.snapshot('web');
    await asked.promise;
    await world.restart();
    world.warden.onRequest = async () => undefined;
    expect((await world.ended(operation)).error?.message).toContain('broken off');
    expect(await known(world)).toEqual([0, 0, 0]);
    expect((await world.machines.find('web')).status.phase).toBe('running');
    await take(world, 'web');
  });

  test('is taken of machines that run, and not while something else is done to them', async () => {
    await using world = await World.open();
    await world.running('web');
    const operation = await world.machines.snapshot('web');
    expect(await errorOf(world.machines.start('web'))).toMatchObject({
      code: 'conflict',
      message: 'web is being saved',
    });
    await world.ended(operation);
    await world.ended(await world.machines.stop('web'));
    expect(await errorOf(world.machines.snapshot('web'))).toMatchObject({ code: 'conflict' });
  });

  test('is waited for by a stop, which says so', async () => {
    await using world = await World.open();
    const { id } = await world.running('web');
    using sealing = heldTaking(world);
    const snapshot = await world.machines.snapshot('web');
    await sealing.begun;
    const stop = await world.machines.stop('web');
    expect(stop).toMatchObject({ state: 'running', step: 'waiting until its snapshot is sealed' });
    expect(await world.machines.stop('web')).toMatchObject({ id: stop.id });
    expect([world.warden.isRunning(id), (await world.machines.find('web')).status.phase]).toEqual([true, 'running']);
    sealing.end();
    expect(await world.ended(stop)).toMatchObject({ state: 'done' });
    expect(await world.ended(snapshot)).toMatchObject({ state: 'done' });
    expect(await world.store.snapshots.list()).toHaveLength(1);
    expect(world.warden.isRunning(id)).toBe(false);
  });

  test.each([
    ['a stop with force', (world: World) => world.machines.stop('web', { force: true })],
    ['a removal with force', (world: World) => world.machines.remove('web', { force: true })],
  ])('is given up for %s, and so is the stop that waited for it', async (_, ask) => {
    await using world = await World.open();
    const { id } = await world.running('web');
    using sealing = heldTaking(world);
    const snapshot = await world.machines.snapshot('web');
    await sealing.begun;
    const waiting = await world.machines.stop('web');
    const forced = await ask(world);
    sealing.end();
    expect(await world.ended(forced)).toMatchObject({ state: 'done' });
    const given = { state: 'failed', error: { code: 'conflict', message: expect.stringContaining('cancelled') } };
    expect([await world.ended(snapshot), await world.ended(waiting)]).toMatchObject([given, given]);
    expect(await known(world)).toEqual([0, 0, 0]);
    expect(world.warden.isRunning(id)).toBe(false);
  });

  test('that a stop waited for when the daemon was restarted is discarded, and the machine is stopped', async () => {
    await using world = await World.open();
    const { id } = await world.running('web');
    using sealing = heldTaking(world);
    const snapshot = await world.machines.snapshot('web');
    await sealing.begun;
    const stop = await world.machines.stop('web');
    const restarted = world.restart();
    sealing.end();
    await restarted;
    expect(await world.ended(stop)).toMatchObject({ state: 'done' });
    expect((await world.ended(snapshot)).error?.message).toContain('broken off');
    expect([...(await known(world)), world.warden.isRunning(id)]).toEqual([0, 0, 0, false]);
  });
});

describe('restore()', () => {
  test('puts a stopped machine back to the newest; it is unknown until it proves itself', async () => {
    await using world = await World.open();
    const { id } = await world.running('web');
    await take(world, 'web');
    await take(world, 'web');
    expect(await errorOf(world.machines.restore('web', {}))).toMatchObject({ code: 'conflict' });
    await world.ended(await world.machines.stop('web'));
    expect(await world.ended(await world.machines.restore('web', {}))).toMatchObject({ state: 'done' });
    const [newest] = await world.store.snapshots.list(id);
    expect(world.warden.requests.findLast(({ op }) => op === 'restore-machine')).toMatchObject({
      snapshot: newest?.id,
    });
    const machine = await world.machines.find('web');
    expect(machine).toMatchObject({ spec: { running: true }, status: { phase: 'running', trust: 'unknown' } });
    expect(machine.status.reasons.join()).toContain('proves itself at its next start');
    expect((await world.machines.detail('web')).proven).toEqual([]);
    await world.restart();
    expect((await world.phase('web', 'running')).status.trust).toBe('unknown');
    await world.ended(await world.machines.stop('web'));
    await world.ended(await world.machines.start('web'));
    expect((await world.machines.find('web')).status.trust).toBe('attested');
  });

  test('that the broker or the warden refuses leaves it stopped, with the reason', async () => {
    await using world = await World.open();
    await world.running('web');
    await take(world, 'web');
    await world.ended(await world.machines.stop('web'));
    world.warden.onRequest = async ({ op }) => {
      if (op === 'restore-machine') throw new RingwallError('proof-invalid', 'the snapshot is not what was sealed');
    };
    const ended = await world.ended(await world.machines.restore('web', {}));
    expect(ended).toMatchObject({ state: 'failed', error: { code: 'proof-invalid' } });
    expect(await world.machines.find('web')).toMatchObject({
      spec: { running: false },
      status: { phase: 'stopped', reasons: ['it was not put back: the snapshot is not what was sealed'] },
    });
    expect(await errorOf(world.machines.restore('web', { sequence: 7 }))).toMatchObject({ code: 'not-found' });
  });

  test('that a restart of the daemon broke off ends with what the warden made of it', async () => {
    await using world = await World.open();
    const { id } = await world.running('web');
    await take(world, 'web');
    await world.ended(await world.machines.stop('web'));
    const asked = Promise.withResolvers<void>();
    world.warden.onRequest = async ({ op }) => {
      if (op !== 'restore-machine') return;
      asked.resolve();
      await new Promise((resolve) => setTimeout(resolve, 20));
    };
    const operation = await world.machines.restore('web', {});
    await asked.promise;
    await world.restart();
    world.warden.onRequest = async () => undefined;
    await world.until(() => world.warden.isRunning(id) || undefined);
    expect(await world.ended(operation)).toMatchObject({ state: 'done' });
    expect((await world.phase('web', 'running')).status.trust).toBe('unknown');
  });
});

describe('Snapshots', () => {
  test('are checked and removed by machine and number', async () => {
    await using world = await World.open();
    await world.running('web');
    await take(world, 'web');
    const snapshots = new Snapshots(world);
    expect(await snapshots.check('web@1')).toMatchObject({ whole: true });
    for (const [name, code] of [
      ['web', 'bad-request'],
      ['web@', 'bad-request'],
      ['web@2', 'not-found'],
      ['nobody@1', 'not-found'],
      ['../x@1', 'name-invalid'],
    ] as const) {
      expect(await errorOf(snapshots.check(name)), name).toMatchObject({ code });
    }
    await snapshots.remove('web@1');
    expect(await known(world)).toEqual([0, 0, 0]);
  });

  test('go with their machine', async () => {
    await using world = await World.open();
    await world.running('web');
    await take(world, 'web');
    await world.ended(await world.machines.remove('web', { force: true }));
    expect(await world.store.snapshots.list()).toEqual([]);
  });

  test('that continue one another are put back, checked and removed as that', async () => {
    await using world = await World.open();
    await world.running('web');
    world.warden.continues = true;
    for (let count = 0; count < 3; count += 1) await take(world, 'web');
    const [three, two, one] = await world.store.snapshots.list();
    expect([three?.parent, two?.parent, one?.parent]).toEqual([two?.id, one?.id, undefined]);
    expect(world.broker.requests.filter(({ op }) => op === 'finish-snapshot')).toMatchObject([
      { snapshot: one?.id },
      { snapshot: two?.id, parent: one?.id },
      { snapshot: three?.id, parent: two?.id },
    ]);
    const snapshots = new Snapshots(world);
    expect(await errorOf(snapshots.remove('web@1'))).toMatchObject({
      code: 'conflict',
      message: 'web@1 is needed: @2 continues it',
    });
    expect(await snapshots.check('web@3')).toMatchObject({ whole: true, records: 9 });
    world.warden.snapshots.delete(two?.id ?? '');
    expect(await snapshots.check('web@3')).toMatchObject({
      whole: false,
      reason: expect.stringMatching(/^@2, which it continues/),
    });

    await world.ended(await world.machines.stop('web'));
    await world.ended(await world.machines.restore('web', { sequence: 3 }));
    expect(world.warden.requests.findLast(({ op }) => op === 'restore-machine')).toMatchObject({
      snapshot: three?.id,
      ancestors: [{ snapshot: one?.id }, { snapshot: two?.id }],
    });
    const asked = world.broker.requests.filter((request) => request.op === 'release-snapshot-key');
    expect(asked.map(({ request }) => request.use)).toEqual(['base', 'base', 'restore']);
    await snapshots.remove('web@3');
    await snapshots.remove('web@2');
    await snapshots.remove('web@1');
    expect(await known(world)).toEqual([0, 0, 0]);
  });

  test('are whole where somebody asks for that, and after so many that continue one another', async () => {
    await using world = await World.open();
    await world.running('web');
    world.warden.continues = true;
    for (let count = 0; count < MAX_SNAPSHOT_CHAIN + 1; count += 1) await take(world, 'web');
    expect(await world.ended(await world.machines.snapshot('web', { full: true }))).toMatchObject({ state: 'done' });
    const all = await world.store.snapshots.list();
    const whole = all.filter(({ parent }) => parent === undefined).map(({ sequence }) => sequence);
    expect(whole).toEqual([MAX_SNAPSHOT_CHAIN + 2, MAX_SNAPSHOT_CHAIN + 1, 1]);
  });
});
