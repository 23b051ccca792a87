import { rmSync, writeFileSync } from 'node:fs';
import { newBootId, newMachineId, newNetworkId, type MachineId, type NetworkId } from '@ringwall/api';
import { tapName } from '@ringwall/host/network';
import { DEFAULT_SHARE, parseAddress } from '@ringwall/netpolicy';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
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

  test('mirror the cables that were asked for, as long as root allows it, also after a restart', async () => {
    const { machine, boot } = await running();
    const other = newMachineId();
    await apply([member(machine), { ...member(other, 2), mac: '02:00:5e:00:00:02' }]);
    await admit(machine, boot);
    const { mirrorConsent } = scene.host.layout;
    const set = (machines: 'all' | MachineId[]) => ask<'set-mirror'>(warden, { op: 'set-mirror', network, machines });
    const show = () => ask<'show-mirror'>(warden, { op: 'show-mirror', network });
    await expect(set('all')).rejects.toMatchObject({
      code: 'unauthorized',
      hint: expect.stringContaining(mirrorConsent),
    });
    expect(standing()?.mirrored.size).toBe(0);

    writeFileSync(mirrorConsent, '');
    await expect(set([newMachineId()])).rejects.toMatchObject({ code: 'not-found' });
    // The other one is not connected: it is mirrored as soon as it is.
    expect(await set([machine, other])).toMatchObject({
      machines: [machine, other],
      mirrored: [machine],
      allowed: true,
    });
    expect([...(standing()?.mirrored ?? [])]).toEqual([tapName(machine)]);
    warden = await scene.openWarden();
    expect(await show()).toMatchObject({ machines: [machine, other], mirrored: [machine], interface: 'ids0' });

    rmSync(mirrorConsent);
    await warden.sweep(false);
    expect(standing()?.mirrored.size).toBe(0);
    expect(await show()).toMatchObject({ machines: [], mirrored: [], allowed: false });
    expect(scene.log()).toContain('root allows no mirrors any more');
    expect(await set([])).toMatchObject({ machines: [] });
  });

  test('connect machines although their mirror fails, and say so', async () => {
    const { machine, boot } = await running();
    await admit(machine, boot);
    writeFileSync(scene.host.layout.mirrorConsent, '');
    scene.host.before = failing('networks.mirror', new Error('no such filter'));
    await expect(ask<'set-mirror'>(warden, { op: 'set-mirror', network, machines: 'all' })).rejects.toThrow(
      'no such filter',
    );
    expect(isOn(machine)).toBe(true);
  });

  test('say what was counted by machine, and leave out interfaces that are nobody’s', async () => {
    const { machine } = await running();
    const network4 = standing();
    if (network4 === undefined) throw new Error('it does not stand');
    const count = { packets: 2, bytes: 120 };
    network4.counts = {
      refused: new Map([['spoofed', count]]),
      refusedFrom: new Map([['tnobody', new Map([['spoofed', count]])]]),
      putBack: 2,
      decisions: [
        { rules: [{ name: 'all', action: 'allow' }], connections: 1 },
        { rules: [{ name: 'none', action: 'deny' }], connections: 0 },
        { rules: [{ name: 'most', action: 'allow' }], connections: 9 },
      ],
      cables: new Map([
        [tapName(machine), { sent: count, received: count, late: 3 }],
        ['lo', { sent: count, received: count, late: 0 }],
      ]),
    };
    expect(await ask<'count-network'>(warden, { op: 'count-network', network })).toEqual({
      refused: [{ reason: 'spoofed', ...count }],
      rules: [
        { rules: [{ name: 'most', action: 'allow' }], connections: 9 },
        { rules: [{ name: 'all', action: 'allow' }], connections: 1 },
      ],
      putBack: 2,
      machines: [{ machine, sent: count, received: count, late: 3, refused: [] }],
    });
    await expect(ask<'count-network'>(warden, { op: 'count-network', network: newNetworkId() })).rejects.toMatchObject({
      code: 'not-found',
    });
  });

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

  test('cut whoever is dismissed while something else of them takes its time, which connects nobody again', async () => {
    const { machine, boot } = await running();
    await admit(machine, boot);
    const [stuck, goOn] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    let loads = 0;
    scene.host.before = async (effect) => {
      if (effect !== 'networks.load' || (loads += 1) > 1) return;
      stuck.resolve();
      await goOn.promise;
    };
    const applied = apply([member(machine, 1, boot)], definition(['tcp/81']));
    await stuck.promise;
    const dismissed = dismiss(machine);
    await expect.poll(() => standing()?.connected.has(tapName(machine))).toBe(false);
    const connected: boolean[] = [];
    scene.host.before = async (effect) => {
      // It comes when cables are connected.
      if (effect === 'networks.names') connected.push(standing()?.connected.has(tapName(machine)) === true);
    };
    goOn.resolve();
    await applied;
    await dismissed;
    expect(isOn(machine)).toBe(false);
    expect(connected).toEqual(expect.not.arrayContaining([true]));
  });

  test('do not connect who is dismissed while it is being let in', async () => {
    const { machine, boot } = await running();
    const [stuck, goOn] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const connects = vi.spyOn(standing()?.connected ?? new Set<string>(), 'add');
    scene.host.before = async (effect) => {
      if (effect !== 'networks.load') return;
      stuck.resolve();
      await goOn.promise;
    };
    const admitted = admit(machine, boot).catch((error: unknown) => error);
    await stuck.promise;
    const dismissed = dismiss(machine);
    await new Promise((resolve) => setTimeout(resolve, 20));
    goOn.resolve();
    await Promise.all([admitted, dismissed]);
    expect(connects).not.toHaveBeenCalled();
    expect(isOn(machine)).toBe(false);
  });

  test('end what stands by a rule that is no more, once it is no more, and nothing else', async () => {
    const { machine, boot } = await running();
    const members = [member(machine, 1, boot), { ...member(newMachineId(), 2), mac: '02:00:5e:00:00:02' }];
    await apply(members);
    const stands = standing();
    if (stands === undefined) throw new Error('it does not stand');
    const [one, two, elsewhere] = ['10.20.0.1', '10.20.0.2', '198.51.100.1'].map((text) => parseAddress(text, ''));
    if (one === undefined || two === undefined || elsewhere === undefined) throw new Error('no addresses');
    const [web, ssh] = [80, 22].map((number) => ({ from: one, to: two, protocol: 6, number }));
    const asked = { from: elsewhere, to: one, protocol: 17, number: 53 };
    stands.begun = [web, ssh, asked].flatMap((each) => each ?? []);
    await apply(members);
    expect(stands.begun).toHaveLength(3);
    await apply(members, definition(['tcp/80', 'tcp/81']));
    expect(stands.begun).toEqual([web, asked]);
    expect(scene.log()).toContain('connections that its rules do not allow any more are ended: 1');

    scene.host.before = failing('networks.end', new Error('no conntrack'));
    await expect(apply(members, definition(['tcp/81']))).rejects.toThrow('no conntrack');
    expect(stands.begun).toEqual([web, asked]);
    // It is done as soon as it can be.
    scene.host.before = () => undefined;
    await warden.sweep(false);
    expect(stands.begun).toEqual([asked]);
  });

  test('end what stands by a rule whose time is up, by themselves, and try it again where it fails', async () => {
    const { machine, boot } = await running();
    const members = [member(machine, 1, boot), { ...member(newMachineId(), 2), mac: '02:00:5e:00:00:02' }];
    const before = new Date(Date.now() + 3_000).toISOString().replace(/\.\d+Z$/, 'Z');
    const { rules, ...others } = definition();
    await apply(members, { ...others, rules: rules.map((rule) => ({ ...rule, before })) });
    const stands = standing();
    const [from, to] = ['10.20.0.1', '10.20.0.2'].map((text) => parseAddress(text, ''));
    if (stands === undefined || from === undefined || to === undefined) throw new Error('it does not stand');
    stands.begun = [{ from, to, protocol: 6, number: 80 }];
    scene.host.before = failing('networks.end', new Error('no conntrack'));
    await expect.poll(() => scene.log()).toContain('no conntrack');
    expect(stands.begun).toHaveLength(1);
    scene.host.before = () => undefined;
    // It may be at it just now: then this look passes it by.
    const begun = async (): Promise<unknown> => {
      await warden.sweep(false);
      return stands.begun;
    };
    await expect.poll(begun).toEqual([]);
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

  test('that could not be made whole are looked after by nobody, until they are', async () => {
    scene.host.before = failing('networks.connect', new Error('no bridges here'));
    await expect(apply([])).rejects.toThrow('no bridges here');
    expect(standing()?.lookedAfter).toBe(0);
    scene.host.before = () => undefined;
    await apply([]);
    expect(standing()?.lookedAfter).toBe(1);
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
    expect((await ask<'list-networks'>(warden, { op: 'list-networks' })).networks).toEqual([]);
    expect(machineLayout(scene.host.layout, machine).id).toBe(machine);
  });
});
