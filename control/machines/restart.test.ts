// kill -9 of the daemon at any moment: what its next life makes of what it finds.
import { newMachineId, newOperationId, RingwallError } from '@ringwall/api';
import { describe, expect, test } from 'vitest';
import { QUICK_TIMING } from './testing/quick-timing.ts';
import { World } from './testing/world.ts';

describe('after a restart of the daemon', () => {
  test('the import of a disk is broken off, and not one that was begun before all machines are adopted', async () => {
    await using world = await World.open();
    const { operation: earlier } = await world.worker.operations.begin({ kind: 'disk.import' }, 'waiting', {});
    await world.end();
    world.warden.away = true;
    await world.begin();
    const { operation } = await world.worker.operations.begin({ kind: 'disk.import' }, 'waiting', {});
    world.warden.away = false;
    expect(await world.ended(earlier)).toMatchObject({ state: 'failed', error: { code: 'conflict' } });
    await world.running('web');
    expect(await world.worker.operations.find(operation.id)).toMatchObject({ state: 'running' });
  });

  test('a machine that runs goes on, attested, under the same boot id', async () => {
    await using world = await World.open();
    await world.running('web');
    const before = await world.machines.find('web');
    await world.restart();
    expect((await world.machines.find('web')).status.trust).toBe('unknown');
    await world.until(async () => (await world.machines.find('web')).status.trust === 'attested' || undefined);
    expect(await world.machines.find('web')).toEqual(before);
    expect(world.warden.count('start-machine')).toBe(1);
  });

  test('a machine that died meanwhile is failed, and what is left of it is ended', async () => {
    await using world = await World.open();
    const { id } = await world.running('web');
    await world.end();
    world.warden.die(id, 'vmm-dead');
    await world.begin();
    expect(await world.phase('web', 'failed')).toMatchObject({ status: { trust: 'unknown', diskUnlocked: false } });
    await world.until(() => world.warden.deeds.at(-1) === 'stop-machine' || undefined);
  });

  test('after a restart of the host, what should run is started again', async () => {
    await using world = await World.open();
    const { id } = await world.running('web');
    await world.ended((await world.machines.create({ image: 'hello', name: 'idle' })).operation);
    await world.end();
    world.warden.machines.set(id, { running: undefined });
    world.hostBootId = 'second';
    await world.begin();
    await world.until(() => world.warden.isRunning(id) || undefined);
    await world.phase('web', 'running');
    expect(await world.machines.find('idle')).toMatchObject({ status: { phase: 'stopped' } });
  });

  test('a boot that was under way is gone on with: same VMM, same boot id, same operation', async () => {
    await using world = await World.open();
    const { operation: creation } = await world.machines.create({ image: 'hello', name: 'web' });
    await world.ended(creation);
    world.warden.guestWords = '';
    const operation = await world.machines.start('web');
    const { status } = await world.phase('web', 'attesting');
    await world.end();
    world.warden.guestWords = 'hello 1\n';
    await world.begin();
    expect(await world.ended(operation)).toMatchObject({ state: 'done' });
    expect((await world.machines.find('web')).status.bootId).toBe(status.bootId);
    expect(new Set(world.warden.requests.flatMap((r) => (r.op === 'start-machine' ? r.boot : [])))).toHaveProperty(
      'size',
      1,
    );
  });

  test('a guest whose word that it unlocked its disk was lost with its session goes on, and that is said', async () => {
    await using world = await World.open();
    const { machine, operation: creation } = await world.machines.create({ image: 'hello', name: 'web' });
    await world.ended(creation);
    world.broker.outcome = 'accepted';
    const operation = await world.machines.start('web');
    await world.until(() => world.broker.verdicts.size > 0 || undefined);
    world.warden.guestWords = '';
    await world.restart();
    expect(await world.ended(operation)).toMatchObject({ state: 'done' });
    expect(await world.phase('web', 'running')).toMatchObject({
      status: { trust: 'attested', diskUnlocked: false, reasons: [expect.stringContaining('was lost')] },
    });
    expect(world.warden.isRunning(machine.id)).toBe(true);
  });

  test('a boot whose VMM died meanwhile is begun anew, under another boot id', async () => {
    await using world = await World.open();
    const { machine, operation: creation } = await world.machines.create({ image: 'hello', name: 'web' });
    await world.ended(creation);
    world.warden.guestWords = '';
    const operation = await world.machines.start('web');
    const { status } = await world.phase('web', 'attesting');
    await world.end();
    world.warden.die(machine.id, 'vmm-dead');
    world.warden.guestWords = 'hello 1\n';
    await world.begin();
    expect(await world.ended(operation)).toMatchObject({ state: 'done' });
    expect((await world.machines.find('web')).status.bootId).not.toBe(status.bootId);
  });

  test('a VMM that the warden has started anew under a boot id that was judged already is not believed', async () => {
    await using world = await World.open();
    const { machine, operation: creation } = await world.machines.create({ image: 'hello', name: 'web' });
    await world.ended(creation);
    world.warden.guestWords = '';
    const operation = await world.machines.start('web');
    const { status } = await world.phase('web', 'attesting');
    await world.end();
    world.broker.verdicts.set(status.bootId ?? '', 'unlocked');
    world.warden.onRequest = async ({ op }) => {
      if (op !== 'start-machine') return;
      await new Promise((resolve) => setTimeout(resolve, 5));
      const record = world.warden.machines.get(machine.id);
      if (record !== undefined) record.running = undefined;
    };
    await world.begin();
    expect(await world.ended(operation)).toMatchObject({ state: 'failed', error: { code: 'vmm-failed' } });
    expect(world.warden.isRunning(machine.id)).toBe(false);
  });

  test.each(['machine.stop', 'machine.remove'] as const)('a %s that was under way is done', async (kind) => {
    await using world = await World.open();
    const { id } = await world.running('web');
    world.warden.away = true;
    const operation =
      kind === 'machine.stop' ? await world.machines.stop('web') : await world.machines.remove('web', { force: true });
    await world.end();
    world.warden.away = false;
    await world.begin();
    expect(await world.ended(operation)).toMatchObject({ state: 'done' });
    expect(world.warden.isRunning(id)).toBe(false);
    expect(await world.machines.list()).toHaveLength(kind === 'machine.stop' ? 1 : 0);
  });

  test('an image that was being built is built', async () => {
    await using world = await World.open();
    let building = (): void => {};
    const began = new Promise<void>((resolve) => (building = resolve));
    world.warden.onRequest = async ({ op }) => {
      if (op !== 'build-image') return;
      building();
      await new Promise((resolve) => setTimeout(resolve, 20));
      throw new RingwallError('warden-unavailable', 'the warden closed the connection before it answered');
    };
    const operation = await world.machines.buildImage('debian', false);
    await began;
    await world.end();
    world.warden.onRequest = () => {};
    await world.begin();
    expect(await world.ended(operation)).toMatchObject({ state: 'done', kind: 'image.build' });
  });

  test('operations of a machine that is gone are ended, and of two the earlier is overtaken', async () => {
    await using world = await World.open();
    await world.running('web');
    const machine = await world.machines.find('web');
    const at = '2020-01-01T00:00:00.000Z';
    const left = { state: 'running', step: '', createdAt: at, updatedAt: at } as const;
    const orphan = { ...left, id: newOperationId(), kind: 'machine.remove', machine: newMachineId() } as const;
    const earlier = { ...left, id: newOperationId(), kind: 'machine.start', machine: machine.id } as const;
    const later = {
      ...earlier,
      id: newOperationId(),
      kind: 'machine.stop',
      createdAt: '2020-01-02T00:00:00.000Z',
    } as const;
    for (const operation of [orphan, later, earlier]) await world.store.insertOperation(operation, { graceMs: 0 });
    await world.restart();
    expect(await world.ended(orphan)).toMatchObject({ state: 'done' });
    expect(await world.ended(earlier)).toMatchObject({ state: 'failed', error: { code: 'conflict' } });
    expect(await world.ended(later)).toMatchObject({ state: 'done' });
    await world.phase('web', 'stopped');
  });

  test('a machine that only the warden knows is left alone, and told of', async () => {
    await using world = await World.open();
    await world.end();
    const stranger = newMachineId();
    world.warden.machines.set(stranger, { running: undefined });
    await world.begin();
    const events = await world.until(async () => {
      const all = await world.store.listEvents(0);
      return all.length > 0 ? all : undefined;
    });
    expect(events).toMatchObject([{ kind: 'machine.unknown', machine: stranger }]);
    expect(world.warden.deeds).toEqual([]);
  });

  test('while the warden is away machines can be read, and changes say why they cannot be made', async () => {
    await using world = await World.open();
    await world.running('web');
    await world.end();
    world.warden.away = true;
    await world.begin();
    expect(await world.machines.find('web')).toMatchObject({ status: { phase: 'running', trust: 'unknown' } });
    await expect(world.machines.stop('web')).rejects.toMatchObject({ code: 'warden-unavailable' });
    world.warden.away = false;
    expect(await world.ended(await world.machines.stop('web'))).toMatchObject({ state: 'done' });
  });

  test.each([
    ['says nothing', new RingwallError('timeout', 'what listens there said nothing', { hint: 'see who it is' })],
    ['talks nonsense', new RingwallError('internal', 'the warden answered with a line', { hint: 'see who it is' })],
  ])('somebody in the place of the warden who %s is told of at once, not after patience', async (_, trouble) => {
    await using world = await World.open((made) => {
      made.timing = { ...QUICK_TIMING, patienceMs: 60_000 };
      made.warden.onRequest = ({ op }) => {
        if (op === 'list-machines') throw trouble;
      };
    });
    await expect(world.machines.create({ image: 'hello' })).rejects.toMatchObject({
      code: 'conflict',
      message: trouble.message,
      hint: 'see who it is',
    });
  });

  test('killed again and again at random moments, a machine is made, started, and ends attested', async () => {
    const moments = Array.from({ length: 25 }, (_, index) => (index * 7) % 37);
    await using world = await World.open();
    const { operation } = await world.machines.create({ image: 'debian', name: 'web', start: true });
    for (const moment of moments) {
      await new Promise((resolve) => setTimeout(resolve, moment / 2));
      await world.restart();
    }
    expect(await world.ended(operation)).toMatchObject({ state: 'done' });
    await world.phase('web', 'running');
    expect(world.warden.machines.size).toBe(1);
    expect(world.broker.registered.size).toBe(1);
  });
});
