// A real warden with networks in real namespaces, and machines with cards in their jails. Their firmware runs and finds nothing to
// boot: what is looked at is the host's side. Real guests are in tests/whole.
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { newBootId, newMachineId, newNetworkId, type MachineId, type NetworkId } from '@ringwall/api';
import { networkLayout } from '@ringwall/control/warden';
import { run, runChecked } from '@ringwall/host/exec';
import { inNamespace, tapName } from '@ringwall/host/network';
import { QmpClient } from '@ringwall/host/qemu';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { NETWORK_COMPONENTS, SWITCH_COMPONENTS } from './components.ts';
import { BROKER_KEY, lacksForWarden, SPEC, TestWarden } from './testing/warden-process.ts';

const missing = NETWORK_COMPONENTS.filter(({ path }) => !existsSync(path)).map((component) => component.package);
const lacks = lacksForWarden() ?? (missing.length === 0 ? undefined : `skipped: needs ${missing.join(', ')}`);
const lacksSwitch = SWITCH_COMPONENTS.some(({ path }) => !existsSync(path));
const SLOWLY = { interval: 100 } as const;

describe.skipIf(lacks !== undefined)(`networks of a warden${lacks === undefined ? '' : ` (${lacks})`}`, () => {
  let warden: TestWarden;
  const network: NetworkId = newNetworkId();
  const machine: MachineId = newMachineId();
  let boot = newBootId();
  beforeAll(async () => {
    warden = await TestWarden.start();
  });
  afterAll(async () => {
    await warden.stopMachine(machine).catch(() => undefined);
    await warden.client.call({ op: 'remove-network', network });
    await warden[Symbol.asyncDispose]();
  });

  const rule = { name: 'web', action: 'allow', from: { labels: {} }, to: { labels: {} }, services: ['tcp/80'] };
  const definition = { name: 'app', addresses: ['10.20.0.0/24', 'fd00:20::/64'], rules: [rule] };
  const card = { network, mac: '02:00:5e:00:00:01' };
  const member = { machine, name: 'web1', labels: {}, addresses: ['10.20.0.1', 'fd00:20::1'], mac: card.mac };
  const apply = (policy: Record<string, unknown> = definition, admitted?: string) =>
    warden.client.call({
      op: 'apply-network',
      network,
      definition: policy,
      machines: [{ ...member, ...(admitted === undefined ? {} : { admitted }) }],
    });
  const inside = async (...argv: readonly string[]): Promise<string> => {
    const { stdout } = await runChecked(inNamespace(run, pin()), argv);
    return stdout.toString();
  };
  const pin = (): string => networkLayout(warden.layout, network).pin;
  /** Without what the kernel itself writes into them; the order of tables is nobody's. */
  const rules = async (): Promise<string> => {
    const standing = await inside('/usr/sbin/nft', '-s', '-t', 'list', 'ruleset');
    const senders = await inside('/usr/sbin/nft', 'list', 'set', 'inet', 'ringwall', 'senders4').catch(() => '');
    return [...standing.split('\n').toSorted(), senders].join('\n');
  };
  const link = (): Promise<string> => inside('/usr/sbin/ip', 'link', 'show', 'dev', tapName(machine));
  const listed = async () => (await warden.client.call({ op: 'list-networks' })).networks;
  const log = (): string => readFileSync(warden.layout.log, 'utf8');
  const start = () => {
    boot = newBootId();
    return warden.client.call({ op: 'start-machine', machine, boot, brokerKey: BROKER_KEY, card });
  };
  const admit = () => warden.client.call({ op: 'admit-machine', network, machine, boot });
  const hasCard = async (): Promise<boolean> => {
    await using qmp = await QmpClient.connect(warden.paths(machine).qmpSocket);
    return JSON.stringify(await qmp.execute('qom-list', { path: '/machine/peripheral' })).includes('virtio-net-pci');
  };

  it('gives a machine that starts a cable that leads nowhere, and no card', async () => {
    expect(await apply()).toEqual({ made: true, walls: 'raised', admitted: [], dismissed: [] });
    expect(await apply()).toEqual({ made: false, walls: 'kept', admitted: [], dismissed: [] });
    await warden.client.call({ op: 'create-machine', machine, spec: { ...SPEC, network } });
    await start();
    expect(await link()).toContain('state DOWN');
    expect(await hasCard()).toBe(false);
    const { protections } = await warden.client.call({ op: 'read-protections', machine });
    expect(protections.filter(({ state }) => state === 'unknown')).toEqual([]);
    for (const id of ['vmm.descriptors', 'vmm.network', 'vmm.namespaces']) {
      expect(protections.find((protection) => protection.id === id)).toMatchObject({ id, state: 'holds' });
    }
  });

  it('connects a machine that is admitted, and cuts off one that is dismissed', async () => {
    await admit();
    expect(await link()).toContain('LOWER_UP');
    expect(await rules()).toContain(tapName(machine));
    expect(await hasCard()).toBe(true);
    expect(await listed()).toEqual([{ network, walls: 'standing', connected: [machine] }]);

    // A VMM that answers nothing any more is not waited for: it goes on only when its machine is off.
    const [running] = await warden.machines();
    process.kill(running?.vmmPid ?? 0, 'SIGSTOP');
    const began = performance.now();
    await warden.client.call({ op: 'dismiss-machine', network, machine });
    const tookMs = performance.now() - began;
    expect(await link()).toContain('state DOWN');
    expect(await rules()).not.toContain(tapName(machine));
    process.kill(running?.vmmPid ?? 0, 'SIGCONT');
    console.log(`a machine whose VMM stands still is off its network after ${Math.round(tookMs)} ms`);
    // Nor is the firmware, which lets go of no card.
    expect(await apply(definition, boot)).toMatchObject({ walls: 'changed', admitted: [machine] });
    expect(await link()).toContain('LOWER_UP');
  });

  it('mirrors its cable while root allows it, and leaves nothing of that', async () => {
    const set = (machines: 'all' | []) => warden.client.call({ op: 'set-mirror', network, machines });
    const filters = (): Promise<string> => inside('/usr/sbin/tc', 'filter', 'show', 'dev', tapName(machine), 'egress');
    await expect(set('all')).rejects.toMatchObject({ code: 'unauthorized' });
    writeFileSync(warden.layout.mirrorConsent, '');
    const { namespace, mirrored } = await set('all');
    expect(mirrored).toEqual([machine]);
    expect(await filters()).toContain('Egress Mirror to device mirror');
    const port = await runChecked(inNamespace(run, namespace), ['/usr/sbin/ip', 'link', 'show', 'dev', 'ids0', 'up']);
    expect(port.stdout.toString()).toContain('LOWER_UP');
    await inside('/usr/sbin/tc', 'qdisc', 'delete', 'dev', tapName(machine), 'clsact');
    await expect.poll(filters, SLOWLY).toContain('Egress Mirror to device mirror');
    rmSync(warden.layout.mirrorConsent);
    await expect.poll(() => existsSync(namespace), SLOWLY).toBe(false);
    expect(await filters()).toBe('');
    for (const said of ['mirrored no more', 'root allows no mirrors any more']) expect(log()).toContain(said);
  });

  it('keeps its walls when nobody looks after them, and takes them up again when it is back', async () => {
    const before = await rules();
    await warden.end('SIGKILL');
    expect(await rules()).toBe(before);
    await warden.revive();
    expect(await rules()).toBe(before);
    expect(await listed()).toEqual([{ network, walls: 'standing', connected: [machine] }]);
    expect(await apply(definition, boot)).toEqual({ made: false, walls: 'kept', admitted: [], dismissed: [] });
  });

  it('puts back within seconds what somebody does by hand, and says so in its log', async () => {
    const before = await rules();
    await inside('/usr/sbin/nft', 'flush', 'ruleset');
    await expect.poll(rules, SLOWLY).toBe(before);
    const queue = (): Promise<string> => inside('/usr/sbin/tc', 'qdisc', 'show', 'dev', tapName(machine));
    await inside('/usr/sbin/tc', 'qdisc', 'delete', 'dev', tapName(machine), 'root');
    await expect.poll(queue, SLOWLY).toContain('rate 1Gbit');
    await inside('/usr/sbin/ip', 'link', 'set', 'dev', tapName(machine), 'down');
    await inside('/usr/sbin/ip', 'neighbour', 'flush', 'dev', tapName(machine), 'nud', 'permanent');
    await expect.poll(link, SLOWLY).toContain('LOWER_UP');
    await expect.poll(() => inside('/usr/sbin/ip', 'neighbour'), SLOWLY).toContain('10.20.0.1 ');
    await expect
      .poll(log, SLOWLY)
      .toMatch(/: the rules of the network were changed by somebody else \(nft, process \d+\); they are put back/);
    await expect
      .poll(log, SLOWLY)
      .toContain(`${network}: cables were changed by somebody else; they are put back: ${machine}`);
  });

  it('keeps the rules that stand where others are refused', async () => {
    const before = await rules();
    await expect(apply({ ...definition, addresses: ['127.0.0.0/8'] }, boot)).rejects.toMatchObject({
      code: 'policy-invalid',
      message: expect.stringContaining('networks[0].addresses[0]'),
    });
    expect(await rules()).toBe(before);
  });

  it('has nobody on a network whose machine is killed, and nothing of its cable', async () => {
    const [running] = await warden.machines();
    process.kill(running?.vmmPid ?? 0, 'SIGKILL');
    await expect.poll(async () => (await listed())[0]?.connected, SLOWLY).toEqual([]);
    expect(await inside('/usr/sbin/ip', 'link')).not.toContain(tapName(machine));
    // Its cable is cut before the rules forget it, so these come a moment later.
    await expect.poll(rules, SLOWLY).not.toContain(tapName(machine));
  });

  it('serves addresses and names, and goes on when the warden is killed', async () => {
    const served = () => inside('/usr/bin/ss', '-lnHupO');
    const before = await served();
    expect(before).toMatch(/:67 .*dnsmasq/);
    await warden.end('SIGKILL');
    await warden.revive();
    expect(await served()).toBe(before);
  });

  it('raises its networks again after a reboot of the host, before a machine starts', async () => {
    await warden.end('SIGTERM');
    await runChecked(run, ['/usr/bin/umount', pin()]);
    await warden.revive();
    expect(await listed()).toEqual([{ network, walls: 'standing', connected: [] }]);
    await start();
    await admit();
    expect(await link()).toContain('LOWER_UP');
    expect(await inside('/usr/bin/ss', '-lnHup')).toContain('dnsmasq');
  });

  it('says that a cable is gone that somebody has removed, and the next start brings another', async () => {
    await inside('/usr/sbin/ip', 'link', 'delete', tapName(machine));
    const trouble = `no cable until the next start: ${machine}`;
    await expect.poll(async () => (await listed())[0]?.trouble, SLOWLY).toBe(trouble);
    await warden.stopMachine(machine);
    await start();
    await admit();
    expect(await listed()).toEqual([{ network, walls: 'standing', connected: [machine] }]);
  });

  it('removes no network below a running machine, and then leaves nothing of it', async () => {
    await expect(warden.client.call({ op: 'remove-network', network })).rejects.toMatchObject({ code: 'conflict' });
    await warden.stopMachine(machine);
    await warden.client.call({ op: 'remove-network', network });
    expect(existsSync(pin())).toBe(false);
    expect(await listed()).toEqual([]);
    expect(warden.leftovers()).toEqual([]);
  });

  it('may be a segment: a machine’s tap is a port that learns and floods nothing, until it is dismissed', async () => {
    const segment = { network: newNetworkId(), machine: newMachineId(), boot: newBootId() };
    const { network: net, machine: one } = segment;
    const own = { ...member, machine: one };
    const policy = { ...definition, mode: 'bridged' };
    const ports = async (): Promise<string> => {
      const argv = ['/usr/sbin/bridge', '-details', 'link', 'show', 'dev', tapName(one)];
      const { pin: file } = networkLayout(warden.layout, net);
      return (await runChecked(inNamespace(run, file), argv)).stdout.toString();
    };
    await warden.client.call({ op: 'create-machine', machine: one, spec: { ...SPEC, network: net } });
    await warden.client.call({ op: 'apply-network', network: net, definition: policy, machines: [own] });
    try {
      const order = { op: 'start-machine', machine: one, boot: segment.boot, brokerKey: BROKER_KEY } as const;
      await warden.client.call({ ...order, card: { network: net, mac: card.mac } });
      await warden.client.call({ op: 'admit-machine', ...segment });
      expect(await ports()).toMatch(/master segment state forwarding.*flood off mcast_flood on bcast_flood off/s);
      // Alone on it, it is kept from whoever comes next until a rule says otherwise.
      expect(await ports()).toMatch(/learning off.*isolated on/s);
      expect((await listed()).find((found) => found.network === net)).toMatchObject({
        walls: 'standing',
        connected: [one],
      });
      await warden.client.call({ op: 'dismiss-machine', network: net, machine: one });
      expect(await ports()).toMatch(/state disabled/);
    } finally {
      await warden.stopMachine(one);
      await warden.client.call({ op: 'remove-network', network: net });
    }
  });

  it.skipIf(lacksSwitch)('may be a segment on a switch of its own, which goes on without us', async () => {
    const segment = { network: newNetworkId(), machine: newMachineId(), boot: newBootId() };
    const { network: net, machine: one } = segment;
    const policy = { ...definition, mode: 'openvswitch' };
    const { pin: file } = networkLayout(warden.layout, net);
    const plugged = { network: net, mac: member.mac };
    const found = async () => (await listed()).find(({ network: id }) => id === net);
    const linkOf = async (): Promise<string> => {
      const argv = ['/usr/sbin/ip', 'link', 'show', 'dev', tapName(one)];
      return (await runChecked(inNamespace(run, file), argv)).stdout.toString();
    };
    await warden.client.call({ op: 'create-machine', machine: one, spec: { ...SPEC, network: net } });
    const machines = [{ ...member, machine: one }];
    await warden.client.call({ op: 'apply-network', network: net, definition: policy, machines });
    try {
      await warden.client.call({
        op: 'start-machine',
        machine: one,
        boot: segment.boot,
        brokerKey: BROKER_KEY,
        card: plugged,
      });
      expect(await linkOf()).not.toContain(',UP');
      await warden.client.call({ op: 'admit-machine', ...segment });
      expect(await linkOf()).toMatch(/PROMISC,UP/);
      expect(await found()).toMatchObject({ walls: 'standing', connected: [one] });
      await warden.end('SIGKILL');
      await warden.revive();
      expect(await found()).toMatchObject({ walls: 'standing', connected: [one] });
      await warden.client.call({ op: 'dismiss-machine', network: net, machine: one });
      expect(await linkOf()).not.toContain(',UP');
      expect(await found()).toMatchObject({ walls: 'standing', connected: [] });
    } finally {
      await warden.stopMachine(one).catch(() => undefined);
      await warden.client.call({ op: 'remove-network', network: net });
    }
    expect(warden.leftovers()).toEqual([]);
  });
});
