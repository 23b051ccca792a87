// Nothing is granted without evidence: when a machine's network opens, and when it closes.
import type { Machine } from '@ringwall/api';
import type { WatchReport } from '@ringwall/api/watch';
import { describe, expect, test } from 'vitest';
import { World } from '../machines/testing/index.ts';

async function openWorld(): Promise<World> {
  const world = await World.open();
  await world.worker.networks.create({ name: 'app', addresses: ['10.20.0.0/16'] });
  return world;
}

async function start(world: World, name: string, more: object = {}): Promise<Machine> {
  const request = { image: 'hello', name, network: 'app', labels: {}, start: true, ...more };
  const { operation } = await world.machines.create(request);
  await world.ended(operation);
  const machine = await world.store.findMachine(name);
  if (machine === undefined) throw new Error(`${name} is not there`);
  return machine;
}

function isOpen(world: World, { id }: Machine): boolean {
  return [...world.warden.networks.values()].some(({ open }) => open.has(id));
}

/** Once it is so. */
async function standing(world: World, machine: Machine, wanted: 'open' | 'shut'): Promise<string> {
  return world.until(() => (isOpen(world, machine) === (wanted === 'open') ? wanted : undefined));
}

function report(world: World, { status }: Machine, change: Partial<WatchReport>): void {
  const boot = status.bootId ?? '';
  const before = world.broker.watches.get(boot);
  if (before === undefined) throw new Error('its watch was not ordered');
  world.broker.watches.set(boot, { ...before, ...change });
}

describe('the network of a machine', () => {
  test('opens once its boot is attested, for that boot, and not before', async () => {
    await using world = await openWorld();
    let early = 0;
    world.warden.onRequest = ({ op }) => {
      if (op === 'open-attest-port')
        early += [...world.warden.networks.values()].filter(({ open }) => open.size > 0).length;
    };
    const machine = await start(world, 'web');
    expect(await standing(world, machine, 'open')).toBe('open');
    expect(early).toBe(0);
    const admit = world.warden.requests.filter(({ op }) => op === 'admit-machine');
    expect(admit).toEqual([
      { op: 'admit-machine', network: machine.spec.network, machine: machine.id, boot: machine.status.bootId },
    ]);
    expect(await world.eventKinds()).toContain('machine.network.opened');
  });

  test('stays shut where the evidence is refused', async () => {
    await using world = await openWorld();
    world.broker.outcome = 'refused';
    const machine = await start(world, 'web');
    await world.worker.networks.close();
    expect(isOpen(world, machine)).toBe(false);
    expect(world.warden.count('admit-machine')).toBe(0);
  });

  test('closes when the machine is quarantined, before anything of it is written down, and stays so', async () => {
    await using world = await openWorld();
    const machine = await start(world, 'web');
    expect(await standing(world, machine, 'open')).toBe('open');
    const trustThen: (string | undefined)[] = [];
    world.warden.onRequest = async ({ op }) => {
      if (op === 'dismiss-machine') trustThen.push((await world.store.findMachine('web'))?.status.trust);
    };
    report(world, machine, { state: 'quarantined', reasons: ['/tmp/evil ran'] });
    expect(await standing(world, machine, 'shut')).toBe('shut');
    expect(trustThen[0]).toBe('attested');
    await world.until(async () => ((await world.eventKinds()).includes('machine.network.closed') ? true : undefined));
    const events = await world.store.listEvents(0);
    expect(events.find(({ kind }) => kind === 'machine.network.closed')?.message).toBe(
      'web lost its network: /tmp/evil ran',
    );
    await world.restart();
    await world.until(() => (world.warden.requests.at(-1)?.op === 'apply-network' ? true : undefined));
    expect(isOpen(world, machine)).toBe(false);
  });

  test('closes when its verifier stalls for longer than its watch allows, and opens again when it is seen', async () => {
    await using world = await openWorld();
    const machine = await start(world, 'web');
    expect(await standing(world, machine, 'open')).toBe('open');
    report(world, machine, { state: 'expected', seenAgoMs: 43_000 });
    expect(await standing(world, machine, 'shut')).toBe('shut');
    report(world, machine, { seenAgoMs: 100 });
    expect(await standing(world, machine, 'open')).toBe('open');
  });

  test('is not opened by what was on its way when the machine was dismissed', async () => {
    await using world = await openWorld();
    const machine = await start(world, 'web');
    expect(await standing(world, machine, 'open')).toBe('open');
    let held: (() => void) | undefined;
    world.warden.onRequest = async ({ op }) => {
      if (op === 'apply-network' && held === undefined) await new Promise<void>((resolve) => (held = resolve));
    };
    void world.worker.networks.label('web', { set: { tier: '1' } });
    await world.until(() => (held === undefined ? undefined : true));
    report(world, machine, { state: 'quarantined', reasons: ['/tmp/evil ran'] });
    expect(await standing(world, machine, 'shut')).toBe('shut');
    held?.();
    await world.until(() => {
      const applied = world.warden.requests.findLast(({ op }) => op === 'apply-network');
      return JSON.stringify(applied).includes('admitted') ? undefined : true;
    });
    expect(await standing(world, machine, 'shut')).toBe('shut');
  });

  test('closes when the machine is stopped, when its TPM dies, and when it ends by itself', async () => {
    await using world = await openWorld();
    const [stopped, tpmless, dead] = [await start(world, 'a'), await start(world, 'b'), await start(world, 'c')];
    for (const machine of [stopped, tpmless, dead]) expect(await standing(world, machine, 'open')).toBe('open');
    await world.ended(await world.machines.stop('a'));
    world.warden.die(tpmless.id, 'tpm-dead');
    world.warden.die(dead.id, 'vmm-dead');
    for (const machine of [stopped, tpmless, dead]) expect(await standing(world, machine, 'shut')).toBe('shut');
  });

  test('stays open while the daemon is restarted and has not heard of its watch yet', async () => {
    await using world = await openWorld();
    const machine = await start(world, 'web');
    expect(await standing(world, machine, 'open')).toBe('open');
    await world.end();
    const before = world.warden.count('dismiss-machine');
    world.broker.away = true;
    await world.begin();
    await world.until(() => (world.warden.requests.at(-1)?.op === 'apply-network' ? true : undefined));
    await new Promise((resolve) => setTimeout(resolve, 5 * world.timing.networkLookMs));
    expect(isOpen(world, machine)).toBe(true);
    expect(world.warden.count('dismiss-machine')).toBe(before);
  });

  test('is asked to close again where the warden did not answer', async () => {
    await using world = await openWorld();
    const machine = await start(world, 'web');
    expect(await standing(world, machine, 'open')).toBe('open');
    world.warden.onRequest = ({ op }) => {
      if (op === 'dismiss-machine') throw new Error('it is being restarted');
    };
    report(world, machine, { state: 'quarantined', reasons: ['/tmp/evil ran'] });
    expect(await standing(world, machine, 'shut')).toBe('shut');
  });
});
