import { rmSync } from 'node:fs';
import { newBootId, newMachineId, newNetworkId, type MachineId, type NetworkId } from '@ringwall/api';
import { tapName } from '@ringwall/host/network';
import { DEFAULT_SHARE } from '@ringwall/netpolicy';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { machineLayout, networkLayout } from './layout.ts';
import { failing, Killed } from './testing/fake-parts.ts';
import { ask, buildHello, create, needsRoot, Scene, SPEC, start, stop } from './testing/scene.ts';
import type { Warden } from './warden.ts';

const MAC = '02:00:5e:00:00:01';
const BROKER_KEY = 'ab'.repeat(64);

describe.skipIf(needsRoot)('networks of a warden', () => {
  let scene: Scene;
  let warden: Warden;
  let network: NetworkId;

  beforeEach(async () => {
    scene = new Scene();
    warden = await scene.openWarden();
    network = newNetworkId();
    await buildHello(warden);
  });
  afterEach(async () => {
    await scene.end();
  });

  const definition = (services: readonly string[] = ['tcp/80']) => ({
    name: 'app',
    addresses: ['10.20.0.0/24'],
    rules: [{ name: 'all', action: 'allow', from: { labels: {} }, to: { labels: {} }, services }],
  });
  const member = (machine: MachineId, index = 1, admitted?: string) => ({
    machine,
    name: `m${index}`,
    labels: {},
    addresses: [`10.20.0.${index}`],
    mac: MAC,
    ...(admitted === undefined ? {} : { admitted }),
  });
  const apply = (machines: ReturnType<typeof member>[], policy: Record<string, unknown> = definition()) =>
    ask<'apply-network'>(warden, { op: 'apply-network', network, definition: policy, machines });
  const admit = (machine: MachineId, boot: string) =>
    ask<'admit-machine'>(warden, { op: 'admit-machine', network, machine, boot });
  const dismiss = (machine: MachineId) => ask<'dismiss-machine'>(warden, { op: 'dismiss-machine', network, machine });
  const standing = () => {
    const { pin } = networkLayout(scene.host.layout, network);
    return scene.host.networks.standing.get(pin);
  };
  const isOn = (machine: MachineId): boolean => {
    const tap = tapName(machine);
    const rules = standing()?.ruled.includes(tap) === true;
    expect(standing()?.connected.has(tap)).toBe(rules);
    return rules;
  };

  /** A machine of the network that runs, and its boot. */
  async function running(
    policy: Record<string, unknown> = definition(),
    index = 1,
  ): Promise<{ machine: MachineId; boot: string }> {
    const machine = newMachineId();
    const boot = newBootId();
    await create(warden, machine, { ...SPEC, network });
    await apply([member(machine, index)], policy);
    const card = { network, mac: MAC };
    await ask<'start-machine'>(warden, { op: 'start-machine', machine, boot, brokerKey: BROKER_KEY, card });
    return { machine, boot };
  }

  test('hold machines to the share that the policy has for them, and to another as soon as it says so', async () => {
    const { machine, boot } = await running();
    await admit(machine, boot);
    const shareOfIt = (): unknown => standing()?.shares.get(tapName(machine));
    expect(shareOfIt()).toEqual(DEFAULT_SHARE);
    await apply([member(machine, 1, boot)], { ...definition(), shares: [{ machine: 'm1', receiveMbit: 7 }] });
    expect(shareOfIt()).toEqual({ ...DEFAULT_SHARE, receiveMbit: 7 });
  });

  test('give nothing to a machine that runs, all to one that is admitted, and take it from one that is dismissed', async () => {
    const { machine, boot } = await running();
    expect(isOn(machine)).toBe(false);
    expect(scene.host.cards.size).toBe(0);

    await admit(machine, boot);
    await admit(machine, boot);
    expect(isOn(machine)).toBe(true);
    expect(scene.host.cards.get(machine)).toBe(MAC);
    expect((await ask<'list-networks'>(warden, { op: 'list-networks' })).networks).toEqual([
      { network, walls: 'standing', connected: [machine] },
    ]);

    await dismiss(machine);
    await dismiss(machine);
    expect(isOn(machine)).toBe(false);
    await expect.poll(() => scene.host.cards.size).toBe(0);
  });

  test('may be bridged: machines are let in and out as on others, and kept apart where no rule connects them', async () => {
    const bridged = { ...definition(), mode: 'bridged' };
    const [one, two] = [await running(bridged), await running(bridged, 2)];
    const members = [member(one.machine), member(two.machine, 2)];
    await apply(members, bridged);
    await admit(one.machine, one.boot);
    expect([isOn(one.machine), isOn(two.machine), standing()?.isolated]).toEqual([true, false, ['m1']]);
    await admit(two.machine, two.boot);
    expect([isOn(two.machine), standing()?.isolated]).toEqual([true, []]);
    await dismiss(one.machine);
    expect([isOn(one.machine), isOn(two.machine)]).toEqual([false, true]);
    const routed = [member(one.machine), member(two.machine, 2, two.boot)];
    await expect(apply(routed)).rejects.toThrow('a bridged network cannot become routed');
    expect(isOn(two.machine)).toBe(true);
  });

  test('are settled as a whole by apply-network, and asked again, nothing changes', async () => {
    const { machine, boot } = await running();
    const nothing = { made: false, walls: 'kept', admitted: [], dismissed: [] };
    expect(await apply([member(machine)])).toEqual(nothing);
    expect(await apply([member(machine, 1, boot)])).toEqual({ ...nothing, walls: 'changed', admitted: [machine] });
    expect(await apply([member(machine, 1, boot)])).toEqual(nothing);
    expect(await apply([member(machine, 1, boot)], definition(['tcp/81']))).toEqual({ ...nothing, walls: 'changed' });
    expect(isOn(machine)).toBe(true);
    await expect.poll(() => scene.host.cards.get(machine)).toBe(MAC);
    // Another address is another cable.
    expect(await apply([member(machine, 2, boot)])).toEqual({ ...nothing, walls: 'changed', admitted: [machine] });
    expect(await apply([])).toEqual({ ...nothing, walls: 'changed', dismissed: [machine] });
    expect(isOn(machine)).toBe(false);
  });

  test('admit no boot but the one that runs, and none without a card there', async () => {
    const { machine, boot } = await running();
    const other = newBootId();
    await expect(admit(machine, other)).rejects.toMatchObject({ code: 'conflict' });
    await expect(admit(newMachineId(), boot)).rejects.toMatchObject({ code: 'not-found' });
    expect(await apply([member(machine, 1, other)])).toMatchObject({ admitted: [] });

    const plain = newMachineId();
    await create(warden, plain);
    await start(warden, plain, boot);
    await apply([member(machine), member(plain, 2)]);
    await expect(admit(plain, boot)).rejects.toMatchObject({ code: 'conflict' });
  });

  test('lose a machine that stops, and the next boot begins with nothing', async () => {
    const { machine, boot } = await running();
    await admit(machine, boot);
    await stop(warden, machine);
    expect(isOn(machine)).toBe(false);
    const card = { network, mac: MAC };
    const again = { op: 'start-machine', machine, boot: newBootId(), brokerKey: BROKER_KEY, card } as const;
    await ask<'start-machine'>(warden, again);
    expect(isOn(machine)).toBe(false);
  });

  test('lose a machine whose VMM died', async () => {
    const { machine, boot } = await running();
    await admit(machine, boot);
    scene.host.processes.clear();
    await warden.sweep(false);
    expect(isOn(machine)).toBe(false);
  });

  test('dismiss a machine whose guest, monitor or stop hangs', async () => {
    const { machine, boot } = await running();
    await admit(machine, boot);
    const hangs = Promise.withResolvers<void>();
    scene.host.before = (effect) => (effect === 'vmm.powerDown' ? hangs.promise : undefined);
    const stopping = stop(warden, machine);
    await dismiss(machine);
    expect(isOn(machine)).toBe(false);
    hangs.resolve();
    await stopping;
  });

  test('are as they were when the warden was killed, for the machines that still run', async () => {
    const { machine, boot } = await running();
    await admit(machine, boot);
    await warden.close();
    warden = await scene.openWarden();
    expect(isOn(machine)).toBe(true);
    expect((await ask<'list-networks'>(warden, { op: 'list-networks' })).networks).toMatchObject([
      { connected: [machine] },
    ]);

    await warden.close();
    scene.host.processes.clear();
    warden = await scene.openWarden();
    expect(isOn(machine)).toBe(false);
  });

  test('stand again after a reboot of the host, with nobody on them', async () => {
    const { machine, boot } = await running();
    await admit(machine, boot);
    await warden.close();
    scene.host.networks.standing.clear();
    scene.host.processes.clear();
    scene.host.bootId = 'next-boot';
    rmSync(scene.host.layout.run, { recursive: true });
    warden = await scene.openWarden();
    expect(standing()).toMatchObject({ ruled: [] });
    expect(isOn(machine)).toBe(false);
    const card = { network, mac: MAC };
    await ask<'start-machine'>(warden, { op: 'start-machine', machine, boot, brokerKey: BROKER_KEY, card });
  });

  test('whose walls cannot be raised when the warden starts are raised as soon as they can be', async () => {
    const { machine, boot } = await running();
    await admit(machine, boot);
    await warden.close();
    scene.host.before = failing('networks.load', new Error('nft is killed'));
    warden = await scene.openWarden();
    expect((await ask<'list-networks'>(warden, { op: 'list-networks' })).networks).toMatchObject([
      { walls: 'missing', trouble: 'nft is killed' },
    ]);
    scene.host.before = () => undefined;
    await warden.sweep(false);
    expect(isOn(machine)).toBe(true);
  });

  test.each(['networks.cut', 'networks.load'])(
    'killed in %s, a dismissal is finished by the next warden',
    async (effect) => {
      const { machine, boot } = await running();
      await admit(machine, boot);
      scene.host.before = failing(effect, new Killed());
      await expect(dismiss(machine)).rejects.toThrow(Killed);
      scene.host.before = () => undefined;
      await warden.close();
      warden = await scene.openWarden();
      expect(isOn(machine)).toBe(false);
    },
  );

  test('cut a cable also where the walls cannot be changed, and change them when they can', async () => {
    const { machine, boot } = await running();
    await admit(machine, boot);
    scene.host.before = failing('networks.load', new Error('nft refuses'));
    await expect(dismiss(machine)).rejects.toThrow('nft refuses');
    expect(standing()?.connected.size).toBe(0);
    // Nor does whoever looks after cables bring it back.
    await warden.sweep(false);
    expect(standing()?.connected.size).toBe(0);
    expect((await ask<'list-networks'>(warden, { op: 'list-networks' })).networks).toMatchObject([
      { trouble: 'nft refuses' },
    ]);
    scene.host.before = () => undefined;
    await warden.sweep(false);
    expect(isOn(machine)).toBe(false);
  });

  test('dismiss a machine also with rules that are refused', async () => {
    const { machine, boot } = await running();
    await admit(machine, boot);
    const refused = { ...definition(), addresses: ['127.0.0.0/8'] };
    await expect(apply([member(machine)], refused)).rejects.toMatchObject({ code: 'policy-invalid' });
    expect(isOn(machine)).toBe(false);
  });

  test('keep the old rules, also on the disk, where new ones are refused', async () => {
    const { machine } = await running();
    scene.host.before = failing('networks.load', new Error('nft refuses'));
    await expect(apply([member(machine)], definition(['tcp/81']))).rejects.toThrow('nft refuses');
    scene.host.before = () => undefined;
    await expect(apply([member(machine)], { ...definition(), rules: [{ name: 'x' }] })).rejects.toMatchObject({
      code: 'policy-invalid',
      message: 'networks[0].rules[0].action: is missing',
    });
    expect(await apply([member(machine)])).toMatchObject({ walls: 'kept' });
  });

  test('give addresses and names to all of their machines, and walls also where they cannot', async () => {
    const { machine, boot } = await running();
    expect(standing()?.named).toEqual(['m1']);
    await apply([member(machine)], { ...definition(), dns: false });
    expect(standing()?.named).toEqual([]);
    scene.host.before = failing('networks.names', new Error('no dnsmasq'));
    await apply([member(machine, 1, boot)]);
    expect(isOn(machine)).toBe(true);
    expect((await ask<'list-networks'>(warden, { op: 'list-networks' })).networks).toMatchObject([
      { trouble: 'addresses and names are not served: no dnsmasq' },
    ]);
    scene.host.before = () => undefined;
    await warden.sweep(false);
    expect(standing()?.named).toEqual(['m1']);
  });

  test('put back what somebody did to cables and namespaces, and tell of a tap that is gone', async () => {
    const { machine, boot } = await running();
    await admit(machine, boot);
    standing()?.connected.clear();
    await warden.sweep(false);
    expect(isOn(machine)).toBe(true);

    standing()?.gone.add(tapName(machine));
    await warden.sweep(false);
    expect((await ask<'list-networks'>(warden, { op: 'list-networks' })).networks).toMatchObject([
      { connected: [], trouble: `no cable until the next start: ${machine}` },
    ]);

    scene.host.networks.standing.clear();
    await warden.sweep(false);
    expect(isOn(machine)).toBe(true);
  });

  test('start no machine into a network that is not there, or with a card that is not its own', async () => {
    const machine = newMachineId();
    await create(warden, machine, { ...SPEC, network });
    const order = { op: 'start-machine', machine, boot: newBootId(), brokerKey: BROKER_KEY } as const;
    await expect(ask<'start-machine'>(warden, order)).rejects.toMatchObject({ code: 'bad-request' });
    const card = { network, mac: MAC };
    await expect(ask<'start-machine'>(warden, { ...order, card })).rejects.toMatchObject({ code: 'not-found' });
    const plain = newMachineId();
    await create(warden, plain);
    await apply([]);
    await expect(ask<'start-machine'>(warden, { ...order, machine: plain, card })).rejects.toMatchObject({
      code: 'bad-request',
    });
  });

  test('are removed with all that is theirs, but not below a machine that runs', async () => {
    const { machine } = await running();
    await expect(ask<'remove-network'>(warden, { op: 'remove-network', network })).rejects.toMatchObject({
      code: 'conflict',
    });
    await stop(warden, machine);
    await ask<'remove-network'>(warden, { op: 'remove-network', network });
    await ask<'remove-network'>(warden, { op: 'remove-network', network });
    expect(standing()).toBeUndefined();
    await warden.close();
    warden = await scene.openWarden();
    expect(await ask<'list-networks'>(warden, { op: 'list-networks' })).toEqual({ networks: [] });
    expect(machineLayout(scene.host.layout, machine).id).toBe(machine);
  });
});
