// Templates and machines that go on from them, as work of the daemon.
import { setTimeout as sleep } from 'node:timers/promises';
import { RingwallError, type Machine, type MachineId } from '@ringwall/api';
import { describe, expect, test } from 'vitest';
import { Snapshots } from './snapshots.ts';
import { Templates } from './templates.ts';
import { errorOf } from './testing/error-of.ts';
import { World } from './testing/world.ts';

/** `web` runs, and `web@1` and `web@2` are there. */
async function open(clones: 'deny' | 'allow' = 'allow'): Promise<World> {
  const world = await World.open();
  const { operation } = await world.machines.create({ image: 'hello', name: 'web', start: true, clones });
  expect(await world.ended(operation)).toMatchObject({ state: 'done' });
  for (let taken = 0; taken < 2; taken += 1) {
    expect(await world.ended(await world.machines.snapshot('web'))).toMatchObject({ state: 'done' });
  }
  return world;
}

const templatesOf = ({ store, warden }: World): Templates => new Templates({ store, warden });
const hold = async (world: World, name: string) => world.ended(await world.machines.holdTemplate(name));
const stored = async ({ store }: World, name: string): Promise<Machine | undefined> => store.findMachine(name);

describe('holdTemplate()', () => {
  test('holds it by the broker’s word, and says how much memory that takes', async () => {
    await using world = await open();
    expect(await hold(world, 'web@2')).toMatchObject({
      state: 'done',
      step: 'is held, in 91 MiB of this host’s memory, in clear; clones go on from it: ringwall clone web@2 --live',
    });
    expect(world.broker.requests.find(({ op }) => op === 'hold-template')).toMatchObject({
      request: { use: 'template', machine: (await world.machines.find('web')).id },
    });
    expect(await templatesOf(world).list()).toMatchObject([
      { machineName: 'web', sequence: 2, bytes: 512 * 2 ** 20, heldBytes: 90.5 * 2 ** 20, machines: [] },
    ]);
    expect(await world.eventKinds()).toContain('template.held');
  });

  test('asks nobody again for what is held already', async () => {
    await using world = await open();
    await hold(world, 'web@2');
    expect(await hold(world, 'web@2')).toMatchObject({ state: 'done', step: expect.stringContaining('held already') });
    expect(world.broker.count('hold-template')).toBe(1);
    expect(world.warden.count('hold-template')).toBe(1);
  });

  test('is refused for what is not there, may not be cloned, or is quarantined', async () => {
    await using world = await open('deny');
    expect(await errorOf(world.machines.holdTemplate('web'))).toMatchObject({ code: 'bad-request' });
    expect(await errorOf(world.machines.holdTemplate('web@7'))).toMatchObject({ code: 'not-found' });
    expect(await errorOf(world.machines.holdTemplate('web@1'))).toMatchObject({ code: 'conflict' });
    await using other = await open();
    const { id, version, status } = await other.machines.find('web');
    await hold(other, 'web@2');
    await other.store.updateMachine(id, version, {
      status: { ...status, trust: 'quarantined', reasons: ['a stranger'] },
    });
    expect(await errorOf(other.machines.holdTemplate('web@1'))).toMatchObject({ code: 'attestation-refused' });
    expect(await errorOf(other.machines.clone('web', { live: true }))).toMatchObject({ code: 'attestation-refused' });
  });

  test('that was under way when the daemon died is told as broken off, and its machine runs on', async () => {
    await using world = await open();
    const begun = Promise.withResolvers<void>();
    world.warden.onRequest = ({ op }) => (op === 'hold-template' ? (begun.resolve(), sleep(50)) : undefined);
    const operation = await world.machines.holdTemplate('web@1');
    await begun.promise;
    world.warden.onRequest = () => {};
    await world.restart();
    expect(await world.ended(operation)).toMatchObject({ state: 'failed', error: { code: 'conflict' } });
    await world.until(async () => (await world.machines.find('web')).status.trust === 'attested' || undefined);
  });
});

describe('clone() of a template', () => {
  test('makes a machine with a TPM and a registration of its own, that runs, and that nobody trusts', async () => {
    await using world = await open();
    await hold(world, 'web@2');
    const original = await world.machines.find('web');
    const { machine, operation } = await world.machines.clone('web', { live: true });
    expect(await world.ended(operation)).toMatchObject({
      state: 'done',
      step: 'goes on from the memory of web@2; it proves itself at its next start',
    });
    const clone = await stored(world, 'web-2');
    expect(clone?.id).toBe(machine.id);
    expect(clone?.id).not.toBe(original.id);
    expect(clone).toMatchObject({
      spec: { clonedFrom: 'web@2', running: true },
      status: { phase: 'running', trust: 'unknown', goesOnFrom: 'web@2', diskUnlocked: false },
    });
    expect(clone?.status.reasons).toEqual(['it goes on from the memory of web@2, and proves itself at its next start']);
    const { notProtected } = await world.machines.detail('web-2');
    expect(notProtected).toContain(
      'it goes on from the memory of web@2: whatever secret that held is known to all that go on from it',
    );
    // Known to the broker by itself before anything of the other comes to it; and no boot of it is expected.
    const { requests } = world.broker;
    const register = requests.findIndex((each) => each.op === 'register-machine' && each.machine === machine.id);
    expect(requests.findIndex(({ op }) => op === 'clone-live')).toBeGreaterThan(register);
    expect(requests.some((each) => each.op === 'expect-boot' && each.machine === machine.id)).toBe(false);
    const order = world.warden.requests.find(({ op }) => op === 'clone-live');
    expect(order).toMatchObject({ machine: machine.id, from: original.id, boot: clone?.status.bootId });
    expect(await templatesOf(world).list()).toMatchObject([{ machines: ['web-2'] }]);
  });

  test('is of the newest that is held where nobody names one, and of none that is not', async () => {
    await using world = await open();
    const refused = { code: 'conflict', hint: expect.stringContaining('a warden that was started anew has forgotten') };
    expect(await errorOf(world.machines.clone('web', { live: true }))).toMatchObject(refused);
    await hold(world, 'web@1');
    expect(await errorOf(world.machines.clone('web', { live: true, sequence: 2 }))).toMatchObject(refused);
    const { machine } = await world.machines.clone('web', { live: true });
    expect(machine.spec.clonedFrom).toBe('web@1');
    // The warden was killed.
    world.warden.templates.clear();
    expect(await errorOf(world.machines.clone('web', { live: true }))).toMatchObject(refused);
  });

  test('is a clone like any other from its next start on', async () => {
    await using world = await open();
    await hold(world, 'web@2');
    await world.ended((await world.machines.clone('web', { live: true })).operation);
    expect(await errorOf(world.machines.snapshot('web-2'))).toMatchObject({
      code: 'conflict',
      message: expect.stringContaining('cannot be saved'),
    });
    await world.ended(await world.machines.stop('web-2'));
    expect((await stored(world, 'web-2'))?.status.goesOnFrom).toBeUndefined();
    await world.ended(await world.machines.start('web-2'));
    expect((await stored(world, 'web-2'))?.status).toMatchObject({ phase: 'running', trust: 'attested' });
    expect((await stored(world, 'web-2'))?.status.goesOnFrom).toBeUndefined();
  });

  /** Stands still where `when` says, dies there, and lives again. */
  async function dieAt(world: World, when: string, between: (clone: MachineId) => void = () => {}) {
    await hold(world, 'web@2');
    const there = Promise.withResolvers<void>();
    world.warden.onRequest = ({ op }) => (op === when ? (there.resolve(), sleep(50)) : undefined);
    const { machine, operation } = await world.machines.clone('web', { live: true });
    await there.promise;
    world.warden.onRequest = () => {};
    between(machine.id);
    await world.restart();
    return { id: machine.id, ended: await world.ended(operation) };
  }

  test.each(['create-machine', 'ask-snapshot-key', 'clone-live'])(
    'that a restart of the daemon broke off at %s is gone on with, in one boot',
    async (when) => {
      await using world = await open();
      const { ended } = await dieAt(world, when);
      expect(ended).toMatchObject({ state: 'done' });
      expect((await stored(world, 'web-2'))?.status).toMatchObject({ phase: 'running', goesOnFrom: 'web@2' });
      const boots = world.warden.requests.flatMap((each) => (each.op === 'clone-live' ? [each.boot] : []));
      expect(new Set(boots).size).toBe(1);
      expect(world.warden.count('start-machine')).toBe(1); // that of web
    },
  );

  test.each(['ask-snapshot-key', 'clone-live'])(
    'that a restart of daemon and warden broke off at %s leaves nothing of the machine',
    async (when) => {
      await using world = await open();
      const { id, ended } = await dieAt(world, when, () => world.warden.templates.clear());
      expect(ended).toMatchObject({ state: 'failed', error: { code: 'conflict' } });
      expect(await stored(world, 'web-2')).toBeUndefined();
      expect([world.warden.machines.has(id), world.broker.registered.has(id)]).toEqual([false, false]);
    },
  );

  test('that fails once it runs is ended before it is removed', async () => {
    await using world = await open();
    await hold(world, 'web@2');
    world.warden.onRequest = async (request) => {
      if (request.op !== 'clone-live') return;
      world.warden.onRequest = () => {};
      await world.warden.call(request);
      throw new RingwallError('timeout', 'the answer was lost');
    };
    const { operation } = await world.machines.clone('web', { live: true });
    expect(await world.ended(operation)).toMatchObject({ state: 'failed', error: { code: 'timeout' } });
    expect(world.warden.deeds.slice(-2)).toEqual(['stop-machine', 'remove-machine']);
    expect([world.warden.machines.size, world.broker.registered.size]).toEqual([1, 1]);
    expect((await world.machines.list()).map(({ name }) => name)).toEqual(['web']);
  });

  test('runs on when the daemon is started anew, as unknown as before', async () => {
    await using world = await open();
    await hold(world, 'web@2');
    await world.ended((await world.machines.clone('web', { live: true })).operation);
    await world.restart();
    await world.until(() =>
      world.worker.observer.find(
        world.warden.requests.flatMap((r) => (r.op === 'clone-live' ? [r.machine] : []))[0] ??
          'mch_aaaaaaaaaaaaaaaaaaaa',
      ),
    );
    expect((await stored(world, 'web-2'))?.status).toMatchObject({ trust: 'unknown', goesOnFrom: 'web@2' });
  });
});

describe('a template', () => {
  test('is released by name, once', async () => {
    await using world = await open();
    await hold(world, 'web@2');
    const templates = templatesOf(world);
    await templates.release('web@2');
    expect(await templates.list()).toEqual([]);
    expect(await errorOf(templates.release('web@2'))).toMatchObject({ code: 'not-found' });
    expect(await world.eventKinds()).toContain('template.released');
  });

  test('goes before the key of its snapshot, and before that of its machine, is said to be destroyed', async () => {
    await using world = await open();
    await hold(world, 'web@2');
    await hold(world, 'web@1');
    const order: string[] = [];
    world.warden.onRequest = ({ op }) => void order.push(op);
    const { call } = world.broker;
    Object.assign(world.broker, {
      call: (request: Parameters<typeof call>[0]) => {
        order.push(request.op);
        return call(request);
      },
    });
    const { store, warden, broker } = world;
    await new Snapshots({ store, warden, broker }).remove('web@2');
    expect(order.filter((op) => /release|^forget|remove/.test(op))).toEqual([
      ...['release-template', 'forget-snapshot', 'remove-snapshot'],
    ]);
    order.length = 0;
    await world.ended(await world.machines.remove('web', { force: true }));
    expect(order.filter((op) => /release|^forget|remove/.test(op))).toEqual([
      ...['release-template', 'forget-machine', 'remove-machine'],
    ]);
    expect(world.warden.templates.size).toBe(0);
  });
});
