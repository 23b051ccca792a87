import { newBootId, newMachineId } from '@ringwall/api';
import { tapName } from '@ringwall/host/network';
import { DEFAULT_SHARE, parseAddress } from '@ringwall/netpolicy';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { machineLayout } from './layout.ts';
import { failing } from './testing/fake-parts.ts';
import { definition, MAC, member, NetworkScene } from './testing/network-scene.ts';
import { ask, BROKER_KEY, create, needsRoot, SPEC, start, stop } from './testing/scene.ts';

describe.skipIf(needsRoot)('networks of a warden', () => {
  let scene: NetworkScene;
  beforeEach(async () => {
    scene = await NetworkScene.open();
  });
  afterEach(async () => {
    await scene.end();
  });

  test('hold machines to the share that the policy has for them, and to another as soon as it says so', async () => {
    const { machine, boot } = await scene.admitted();
    const shareOfIt = (): unknown => scene.standing?.shares.get(tapName(machine));
    expect(shareOfIt()).toEqual(DEFAULT_SHARE);
    await scene.apply([member(machine, 1, boot)], { ...definition(), shares: [{ machine: 'm1', receiveMbit: 7 }] });
    expect(shareOfIt()).toEqual({ ...DEFAULT_SHARE, receiveMbit: 7 });
  });

  test('give nothing to a machine that runs, all to one that is admitted, and take it from one that is dismissed', async () => {
    const { machine, boot } = await scene.running();
    expect(scene.isOn(machine)).toBe(false);
    expect(scene.host.cards.size).toBe(0);

    await scene.admit({ machine, boot });
    await scene.admit({ machine, boot });
    expect(scene.isOn(machine)).toBe(true);
    expect(scene.host.cards.get(machine)).toBe(MAC);
    expect(await scene.networks()).toEqual([{ network: scene.network, walls: 'standing', connected: [machine] }]);

    await scene.dismiss(machine);
    await scene.dismiss(machine);
    expect(scene.isOn(machine)).toBe(false);
    await expect.poll(() => scene.host.cards.size).toBe(0);
  });

  test('may be bridged: machines are let in and out as on others, and kept apart where no rule connects them', async () => {
    const bridged = { ...definition(), mode: 'bridged' };
    const [one, two] = [await scene.running(bridged), await scene.running(bridged, 2)];
    const members = [member(one.machine), member(two.machine, 2)];
    await scene.apply(members, bridged);
    await scene.admit(one);
    expect([scene.isOn(one.machine), scene.isOn(two.machine), scene.standing?.isolated]).toEqual([true, false, ['m1']]);
    await scene.admit(two);
    expect([scene.isOn(two.machine), scene.standing?.isolated]).toEqual([true, []]);
    await scene.dismiss(one.machine);
    expect([scene.isOn(one.machine), scene.isOn(two.machine)]).toEqual([false, true]);
    const routed = [member(one.machine), member(two.machine, 2, two.boot)];
    await expect(scene.apply(routed)).rejects.toThrow('a bridged network cannot become routed');
    expect(scene.isOn(two.machine)).toBe(true);
  });

  test('are settled as a whole by apply-network: scene.network, and asked again, nothing changes', async () => {
    const { machine, boot } = await scene.running();
    const nothing = { made: false, walls: 'kept', admitted: [], dismissed: [] };
    expect(await scene.apply([member(machine)])).toEqual(nothing);
    expect(await scene.apply([member(machine, 1, boot)])).toEqual({
      ...nothing,
      walls: 'changed',
      admitted: [machine],
    });
    expect(await scene.apply([member(machine, 1, boot)])).toEqual(nothing);
    expect(await scene.apply([member(machine, 1, boot)], definition(['tcp/81']))).toEqual({
      ...nothing,
      walls: 'changed',
    });
    expect(scene.isOn(machine)).toBe(true);
    await expect.poll(() => scene.host.cards.get(machine)).toBe(MAC);
    // Another address is another cable.
    expect(await scene.apply([member(machine, 2, boot)])).toEqual({
      ...nothing,
      walls: 'changed',
      admitted: [machine],
    });
    expect(await scene.apply([])).toEqual({ ...nothing, walls: 'changed', dismissed: [machine] });
    expect(scene.isOn(machine)).toBe(false);
  });

  test('cut whoever is dismissed while something else of them takes its time, which connects nobody again', async () => {
    const { machine, boot } = await scene.admitted();
    const [stuck, goOn] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    let loads = 0;
    scene.host.before = async (effect) => {
      if (effect !== 'networks.load' || (loads += 1) > 1) return;
      stuck.resolve();
      await goOn.promise;
    };
    const applied = scene.apply([member(machine, 1, boot)], definition(['tcp/81']));
    await stuck.promise;
    const dismissed = scene.dismiss(machine);
    await expect.poll(() => scene.standing?.connected.has(tapName(machine))).toBe(false);
    const connected: boolean[] = [];
    scene.host.before = async (effect) => {
      // It comes when cables are connected.
      if (effect === 'networks.names') connected.push(scene.standing?.connected.has(tapName(machine)) === true);
    };
    goOn.resolve();
    await applied;
    await dismissed;
    expect(scene.isOn(machine)).toBe(false);
    expect(connected).toEqual(expect.not.arrayContaining([true]));
  });

  test('do not connect who is dismissed while it is being let in', async () => {
    const { machine, boot } = await scene.running();
    const [stuck, goOn] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const connects = vi.spyOn(scene.standing?.connected ?? new Set<string>(), 'add');
    scene.host.before = async (effect) => {
      if (effect !== 'networks.load') return;
      stuck.resolve();
      await goOn.promise;
    };
    const admitted = scene.admit({ machine, boot }).catch((error: unknown) => error);
    await stuck.promise;
    const dismissed = scene.dismiss(machine);
    await new Promise((resolve) => setTimeout(resolve, 20));
    goOn.resolve();
    await Promise.all([admitted, dismissed]);
    expect(connects).not.toHaveBeenCalled();
    expect(scene.isOn(machine)).toBe(false);
  });

  test('end what stands by a rule that is no more, once it is no more, and nothing else', async () => {
    const { machine, boot } = await scene.running();
    const members = [member(machine, 1, boot), { ...member(newMachineId(), 2), mac: '02:00:5e:00:00:02' }];
    await scene.apply(members);
    const stands = scene.standing;
    if (stands === undefined) throw new Error('it does not stand');
    const [one, two, elsewhere] = ['10.20.0.1', '10.20.0.2', '198.51.100.1'].map((text) => parseAddress(text, ''));
    if (one === undefined || two === undefined || elsewhere === undefined) throw new Error('no addresses');
    const [web, ssh] = [80, 22].map((number) => ({ from: one, to: two, protocol: 6, number }));
    const asked = { from: elsewhere, to: one, protocol: 17, number: 53 };
    stands.begun = [web, ssh, asked].flatMap((each) => each ?? []);
    await scene.apply(members);
    expect(stands.begun).toHaveLength(3);
    await scene.apply(members, definition(['tcp/80', 'tcp/81']));
    expect(stands.begun).toEqual([web, asked]);
    expect(scene.log()).toContain('connections that its rules do not allow any more are ended: 1');

    scene.host.before = failing('networks.end', new Error('no conntrack'));
    await expect(scene.apply(members, definition(['tcp/81']))).rejects.toThrow('no conntrack');
    expect(stands.begun).toEqual([web, asked]);
    // It is done as soon as it can be.
    scene.host.before = () => undefined;
    await scene.warden.sweep(false);
    expect(stands.begun).toEqual([asked]);
  });

  test('end what stands by a rule whose time is up, by themselves, and try it again where it fails', async () => {
    const { machine, boot } = await scene.running();
    const members = [member(machine, 1, boot), { ...member(newMachineId(), 2), mac: '02:00:5e:00:00:02' }];
    const before = new Date(Date.now() + 3_000).toISOString().replace(/\.\d+Z$/, 'Z');
    const { rules, ...others } = definition();
    await scene.apply(members, { ...others, rules: rules.map((rule) => ({ ...rule, before })) });
    const stands = scene.standing;
    const [from, to] = ['10.20.0.1', '10.20.0.2'].map((text) => parseAddress(text, ''));
    if (stands === undefined || from === undefined || to === undefined) throw new Error('it does not stand');
    stands.begun = [{ from, to, protocol: 6, number: 80 }];
    scene.host.before = failing('networks.end', new Error('no conntrack'));
    await expect.poll(() => scene.log()).toContain('no conntrack');
    expect(stands.begun).toHaveLength(1);
    scene.host.before = () => undefined;
    // It may be at it just now: then this look passes it by.
    const begun = async (): Promise<unknown> => {
      await scene.warden.sweep(false);
      return stands.begun;
    };
    await expect.poll(begun).toEqual([]);
  });

  test('admit no boot but the one that runs, and none without a card there', async () => {
    const { machine, boot } = await scene.running();
    const other = newBootId();
    await expect(scene.admit({ machine, boot: other })).rejects.toMatchObject({ code: 'conflict' });
    await expect(scene.admit({ machine: newMachineId(), boot })).rejects.toMatchObject({ code: 'not-found' });
    expect(await scene.apply([member(machine, 1, other)])).toMatchObject({ admitted: [] });

    const plain = newMachineId();
    await create(scene.warden, plain);
    await start(scene.warden, plain, boot);
    await scene.apply([member(machine), member(plain, 2)]);
    await expect(scene.admit({ machine: plain, boot })).rejects.toMatchObject({ code: 'conflict' });
  });

  test('lose a machine that stops, and the next boot begins with nothing', async () => {
    const { machine } = await scene.admitted();
    await stop(scene.warden, machine);
    expect(scene.isOn(machine)).toBe(false);
    await scene.start(machine);
    expect(scene.isOn(machine)).toBe(false);
  });

  test('lose a machine whose VMM died', async () => {
    const { machine } = await scene.admitted();
    scene.host.processes.clear();
    await scene.warden.sweep(false);
    expect(scene.isOn(machine)).toBe(false);
  });

  test('dismiss a machine whose guest, monitor or stop hangs', async () => {
    const { machine } = await scene.admitted();
    const hangs = Promise.withResolvers<void>();
    scene.host.before = (effect) => (effect === 'vmm.powerDown' ? hangs.promise : undefined);
    const stopping = stop(scene.warden, machine);
    await scene.dismiss(machine);
    expect(scene.isOn(machine)).toBe(false);
    hangs.resolve();
    await stopping;
  });

  test('give addresses and names to all of their machines, and walls also where they cannot', async () => {
    const { machine, boot } = await scene.running();
    expect(scene.standing?.named).toEqual(['m1']);
    await scene.apply([member(machine)], { ...definition(), dns: false });
    expect(scene.standing?.named).toEqual([]);
    scene.host.before = failing('networks.names', new Error('no dnsmasq'));
    await scene.apply([member(machine, 1, boot)]);
    expect(scene.isOn(machine)).toBe(true);
    expect(await scene.networks()).toMatchObject([{ trouble: 'addresses and names are not served: no dnsmasq' }]);
    scene.host.before = () => undefined;
    await scene.warden.sweep(false);
    expect(scene.standing?.named).toEqual(['m1']);
  });

  test('start no machine into a network that is not there, or with a card that is not its own', async () => {
    const machine = newMachineId();
    await create(scene.warden, machine, { ...SPEC, network: scene.network });
    const order = { op: 'start-machine', machine, boot: newBootId(), brokerKey: BROKER_KEY } as const;
    await expect(ask<'start-machine'>(scene.warden, order)).rejects.toMatchObject({ code: 'bad-request' });
    const card = { network: scene.network, mac: MAC };
    await expect(ask<'start-machine'>(scene.warden, { ...order, card })).rejects.toMatchObject({ code: 'not-found' });
    const plain = newMachineId();
    await create(scene.warden, plain);
    await scene.apply([]);
    await expect(ask<'start-machine'>(scene.warden, { ...order, machine: plain, card })).rejects.toMatchObject({
      code: 'bad-request',
    });
  });

  test('are removed with all that is theirs, but not below a machine that runs', async () => {
    const { machine } = await scene.running();
    await expect(
      ask<'remove-network'>(scene.warden, { op: 'remove-network', network: scene.network }),
    ).rejects.toMatchObject({
      code: 'conflict',
    });
    await stop(scene.warden, machine);
    await ask<'remove-network'>(scene.warden, { op: 'remove-network', network: scene.network });
    await ask<'remove-network'>(scene.warden, { op: 'remove-network', network: scene.network });
    expect(scene.standing).toBeUndefined();
    await scene.warden.close();
    await scene.reopen();
    expect(await scene.networks()).toEqual([]);
    expect(machineLayout(scene.host.layout, machine).id).toBe(machine);
  });
});
