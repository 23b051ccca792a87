import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { newMachineId, newNetworkId, type NetworkId } from '@ringwall/api';
import type { ExportedPeer } from '@ringwall/api/network-peers';
import { tunnelInterface, tunnelPublicKey } from '@ringwall/host/network/tunnels';
import { parseAddress, parseRange, rangeHas, signPeer, type Peer } from '@ringwall/netpolicy';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { networkLayout } from './layout.ts';
import { ask, needsRoot, Scene } from './testing/scene.ts';
import type { Warden } from './warden.ts';

const MAC = '02:00:5e:00:00:0';

/** One host: its warden, and the network as it has it. */
interface Host {
  readonly name: string;
  readonly address: string;
  readonly scene: Scene;
  warden: Warden;
  readonly network: NetworkId;
}

describe.skipIf(needsRoot)('networks of two wardens', () => {
  let alpha: Host;
  let beta: Host;

  beforeEach(async () => {
    alpha = await openHost('alpha', '192.0.2.1');
    beta = await openHost('beta', '192.0.2.2');
    await apply(alpha, machineOf('web', 1));
    await apply(beta, machineOf('db', 2));
  });
  afterEach(async () => {
    for (const { scene, warden } of [alpha, beta]) {
      await warden.close();
      await scene.end();
    }
  });

  async function openHost(name: string, address: string): Promise<Host> {
    const scene = new Scene();
    return { name, address, scene, warden: await scene.openWarden(), network: newNetworkId() };
  }
  const machineOf = (name: string, index: number, labels: Record<string, string> = {}) => ({
    machine: newMachineId(),
    name,
    labels,
    addresses: [`10.20.0.${index}`],
    mac: `${MAC}${index}`,
  });
  const DEFINITION = { name: 'app', addresses: ['10.20.0.0/24'], rules: [] };
  const apply = (host: Host, ...machines: ReturnType<typeof machineOf>[]) => applyAs(host, DEFINITION, machines);
  const applyAs = (
    { warden, network }: Pick<Host, 'warden' | 'network'>,
    definition: Record<string, unknown>,
    machines: ReturnType<typeof machineOf>[],
  ) => ask<'apply-network'>(warden, { op: 'apply-network', network, definition, machines });
  const exportTo = (from: Host, to: Host, more: { newKey?: boolean; address?: string } = {}): Promise<ExportedPeer> =>
    ask<'export-peer'>(from.warden, {
      op: 'export-peer',
      network: from.network,
      host: from.name,
      to: to.name,
      address: from.address,
      ...more,
    });
  const importAt = ({ warden, network }: Host, { file }: Pick<ExportedPeer, 'file'>) =>
    ask<'import-peer'>(warden, { op: 'import-peer', network, file });
  const peersOf = async ({ warden, network }: Host) =>
    (await ask<'list-peers'>(warden, { op: 'list-peers', network })).peers;
  const standing = ({ scene, network }: Host) => {
    const found = scene.host.networks.standing.get(networkLayout(scene.host.layout, network).pin);
    if (found === undefined) throw new Error('nothing stands');
    return found;
  };
  const recordsOf = ({ scene, network }: Host): string => networkLayout(scene.host.layout, network).peers;

  async function join2(): Promise<void> {
    await importAt(beta, await exportTo(alpha, beta));
    await importAt(alpha, await exportTo(beta, alpha));
  }

  test('know each other when each has what the other says of itself', async () => {
    await join2();
    const tunnel = tunnelInterface(alpha.network, 'beta', 1);
    expect(standing(alpha).ruled).toContain(tunnel);
    const [there] = standing(alpha).tunnels;
    const [back] = standing(beta).tunnels;
    if (there === undefined || back === undefined) throw new Error('no tunnel');
    expect(there).toMatchObject({
      host: 'beta',
      interface: tunnel,
      listenPort: 51_820,
      addresses: [{ text: '10.20.0.2' }],
    });
    expect(there.endpoint).toMatchObject({ address: { text: '192.0.2.2' }, port: 51_820 });
    expect(back.addresses).toMatchObject([{ text: '10.20.0.1' }]);
    expect(tunnelPublicKey(there.privateKey)).toEqual(back.publicKey);
    expect(tunnelPublicKey(back.privateKey)).toEqual(there.publicKey);
    expect(await peersOf(alpha)).toMatchObject([
      {
        host: 'beta',
        self: 'alpha',
        state: 'up',
        endpoint: '192.0.2.2:51820',
        machines: [{ name: 'db' }],
        receivedBytes: 2,
      },
    ]);
  });

  test('have nothing of a host that has not spoken yet', async () => {
    await exportTo(alpha, beta);
    expect(await peersOf(alpha)).toMatchObject([{ host: 'beta', state: 'waiting', machines: [] }]);
    expect(standing(alpha).tunnels).toEqual([]);
  });

  test('take a machine more by what the other host says next, and never what it said before', async () => {
    await join2();
    const old = await exportTo(beta, alpha);
    await new Promise((resolve) => setTimeout(resolve, 2));
    await apply(beta, machineOf('db', 2), machineOf('db3', 3));
    await importAt(alpha, await exportTo(beta, alpha));
    expect(standing(alpha).tunnels[0]?.addresses.map(({ text }) => text)).toEqual(['10.20.0.2', '10.20.0.3']);
    await expect(importAt(alpha, old)).rejects.toMatchObject({
      code: 'conflict',
      message: expect.stringContaining('older'),
    });
  });

  test('refuse a machine that has the address or name of one here, and name both', async () => {
    await apply(beta, machineOf('db', 1));
    await expect(importAt(alpha, await exportTo(beta, alpha))).rejects.toMatchObject({
      code: 'policy-invalid',
      message: expect.stringContaining('address 10.20.0.1 is web on this host’s and db on beta’s'),
    });
    expect(await peersOf(alpha)).toEqual([]);
  });

  test('leave out what a host has, where a machine here has come to have it, and say so', async () => {
    await join2();
    await apply(alpha, machineOf('web', 1), machineOf('new', 2));
    expect(standing(alpha).tunnels[0]?.addresses).toEqual([]);
    const { networks } = await ask<'list-networks'>(alpha.warden, { op: 'list-networks' });
    expect(networks[0]?.trouble).toContain('the machines of beta are left out');
  });

  test('believe nobody else who says that they are that host', async () => {
    await join2();
    const impostor = await openHost('beta', '203.0.113.9');
    try {
      await apply(impostor, machineOf('db', 2));
      await expect(importAt(alpha, await exportTo(impostor, alpha))).rejects.toMatchObject({
        code: 'conflict',
        message: expect.stringContaining('signed by another key'),
      });
      expect(standing(alpha).tunnels[0]?.endpoint.address.text).toBe('192.0.2.2');
    } finally {
      await impostor.warden.close();
      await impostor.scene.end();
    }
  });

  test('refuse what is for another host, and what was changed on the way', async () => {
    await exportTo(alpha, beta);
    const forGamma = await exportTo(beta, { ...alpha, name: 'gamma' });
    await expect(importAt(alpha, forGamma)).rejects.toMatchObject({ code: 'conflict' });
    const { file } = forGamma;
    await expect(importAt(alpha, { file: file.replace('192.0.2.2', '192.0.2.9') })).rejects.toMatchObject({
      code: 'policy-invalid',
      message: expect.stringContaining('signature'),
    });
  });

  const generations = (host: Host): number[] => standing(host).tunnels.map(({ generation }) => generation);
  /** What belongs together at both ends: keys, ports and the secret besides, and in no word of either. */
  const expectTunnels = (...wanted: number[]): void => {
    expect([generations(alpha), generations(beta)]).toEqual([wanted, wanted]);
    for (const [index, there] of standing(alpha).tunnels.entries()) {
      const back = standing(beta).tunnels[index];
      if (back === undefined) throw new Error('no tunnel');
      expect(tunnelPublicKey(there.privateKey)).toEqual(back.publicKey);
      expect(tunnelPublicKey(back.privateKey)).toEqual(there.publicKey);
      expect(there.presharedKey).toEqual(back.presharedKey);
      expect(new Set(there.presharedKey).size).toBeGreaterThan(1);
      expect([there.endpoint.port, back.endpoint.port]).toEqual([back.listenPort, there.listenPort]);
    }
  };

  test('agree on a secret that no word of theirs has, and that another pair has not', async () => {
    const offer = await exportTo(alpha, beta);
    await importAt(beta, offer);
    const answered = await exportTo(beta, alpha);
    await importAt(alpha, answered);
    expectTunnels(1);
    const [{ presharedKey, privateKey } = never()] = standing(alpha).tunnels;
    for (const secret of [presharedKey, privateKey]) {
      for (const text of [offer.file, answered.file]) {
        expect(text).not.toContain(Buffer.from(secret).toString('base64'));
        expect(text).not.toContain(Buffer.from(secret).toString('hex'));
      }
    }
  });

  test('come to the same keys when both have spoken before they heard, once the second has spoken again', async () => {
    const [first, second] = [await exportTo(alpha, beta), await exportTo(beta, alpha)];
    await importAt(alpha, second);
    await importAt(beta, first);
    expect(await peersOf(alpha)).toMatchObject([{ state: 'waiting' }]);
    expect(generations(alpha)).toEqual([]);
    await importAt(alpha, await exportTo(beta, alpha));
    expectTunnels(1);
  });

  test('come to keys again when one of them has forgotten the other', async () => {
    await join2();
    await ask<'remove-peer'>(beta.warden, { op: 'remove-peer', network: beta.network, host: 'alpha' });
    await importAt(beta, await exportTo(alpha, beta));
    await importAt(alpha, await exportTo(beta, alpha));
    expect([generations(alpha), generations(beta)]).toEqual([[1], [1]]);
    expectTunnels(1);
    await ask<'remove-peer'>(alpha.warden, { op: 'remove-peer', network: alpha.network, host: 'beta' });
    await importAt(alpha, await exportTo(beta, alpha));
    await importAt(beta, await exportTo(alpha, beta));
    await importAt(alpha, await exportTo(beta, alpha));
    expectTunnels(2);
  });

  test('change their keys with both in use, until the new ones have worked for three minutes', async () => {
    await join2();
    const [old = never()] = standing(alpha).tunnels;
    const offer = await exportTo(alpha, beta, { newKey: true });
    expect(offer.listenPorts).toEqual([51_820, 51_821]);
    // Asked again, it says the same; the old tunnel stands.
    expect((await exportTo(alpha, beta, { newKey: true })).listenPorts).toEqual([51_820, 51_821]);
    expect(generations(alpha)).toEqual([1]);
    await importAt(beta, offer);
    expect(generations(beta)).toEqual([1, 2]);
    await importAt(alpha, await exportTo(beta, alpha));
    expectTunnels(1, 2);
    expect(standing(alpha).ruled).toContain(tunnelInterface(alpha.network, 'beta', 1));
    expect(standing(alpha).ruled).toContain(tunnelInterface(alpha.network, 'beta', 2));
    expect(await peersOf(alpha)).toMatchObject([{ keys: 'changing' }]);
    await expect(exportTo(alpha, beta, { newKey: true })).rejects.toMatchObject({ code: 'conflict' });

    vi.useFakeTimers({ toFake: ['Date'] });
    try {
      for (const { warden } of [alpha, beta]) await warden.sweep(false);
      vi.setSystemTime(Date.now() + 179_000);
      for (const { warden } of [alpha, beta]) await warden.sweep(false);
      expectTunnels(1, 2);
      vi.setSystemTime(Date.now() + 2_000);
      for (const { warden } of [alpha, beta]) await warden.sweep(false);
    } finally {
      vi.useRealTimers();
    }
    expectTunnels(2);
    expect(standing(alpha).tunnels[0]?.presharedKey).not.toEqual(old.presharedKey);
    expect(standing(alpha).ruled).not.toContain(tunnelInterface(alpha.network, 'beta', 1));
    expect(await peersOf(alpha)).toMatchObject([{ keys: 'settled', listenPort: 51_821 }]);
    // What was said in between names the old key, too, and brings nothing back.
    await importAt(beta, await exportTo(alpha, beta));
    expectTunnels(2);
  });

  test('have no key for what is offered and is none', async () => {
    const { file } = await exportTo(alpha, beta);
    const said = JSON.parse(JSON.parse(file).said);
    const peer: Peer = {
      ...said,
      serial: Date.now() + 1,
      address: parseAddress('192.0.2.1', ''),
      keys: [
        {
          generation: 1,
          port: 51_820,
          publicKey: new Uint8Array(32).fill(9),
          agreement: { offer: new Uint8Array(1_184).fill(255) },
        },
      ],
      rules: new Uint8Array(32),
      machines: [],
    };
    const forged = await signPeer(peer, alpha.scene.host.parts.peers.signer);
    await expect(importAt(beta, { file: forged })).rejects.toMatchObject({
      code: 'policy-invalid',
      message: 'what it offers is no key of ML-KEM-768',
    });
    expect(await peersOf(beta)).toEqual([]);
  });

  test('listen on a port of its own for each tunnel', async () => {
    const second: Host = { ...alpha, network: newNetworkId() };
    await apply(second, machineOf('other', 9));
    expect((await exportTo(alpha, beta)).listenPorts).toEqual([51_820]);
    expect((await exportTo(second, beta)).listenPorts).toEqual([51_821]);
    expect((await exportTo(alpha, { ...beta, name: 'gamma' })).listenPorts).toEqual([51_822]);
  });

  test('lead nobody to where other hosts are, in whichever network, nor to this host and its links', async () => {
    const { networks } = alpha.scene.host;
    networks.own = [{ ...parseRange('203.0.113.0/24', ''), what: 'on the link eth0 of this host' }];
    const out = { name: 'out', action: 'allow', from: 'any', to: 'any', services: ['any'] };
    const underlay = { ...out, name: 'underlay', to: { addresses: ['192.0.2.2', '203.0.113.9'] } };
    const open = { ...DEFINITION, name: 'open', addresses: ['10.21.0.0/24'], internet: 'nat', rules: [out, underlay] };
    const second: Host = { ...alpha, network: newNetworkId() };
    await applyAs(second, open, []);
    const leadsTo = (text: string): boolean =>
      standing(second).outside.some((range) => rangeHas(parseRange(range, ''), parseAddress(text, '')));
    const reached = (): boolean[] => ['192.0.2.1', '192.0.2.2', '192.0.2.3', '203.0.113.9'].map(leadsTo);
    expect(reached()).toEqual([true, true, true, false]);
    await join2();
    expect(reached()).toEqual([true, false, true, false]);
    // The host has another address.
    networks.own = [{ ...parseRange('192.0.2.1', ''), what: 'this host itself' }];
    await alpha.warden.sweep(false);
    expect(reached()).toEqual([false, false, true, true]);
    const { protected: told } = await ask<'list-networks'>(alpha.warden, { op: 'list-networks' });
    expect(told).toEqual([
      { range: '192.0.2.2', what: 'where the host beta is' },
      { range: '192.0.2.1', what: 'this host itself' },
    ]);
    await alpha.warden.close();
    alpha.warden = await alpha.scene.openWarden();
    expect(reached()).toEqual([false, false, true, true]);
    await ask<'remove-peer'>(alpha.warden, { op: 'remove-peer', network: alpha.network, host: 'beta' });
    expect(reached()).toEqual([false, true, true, true]);
  });

  test('are as they were after the warden was killed, and forget a host whole', async () => {
    await join2();
    await alpha.warden.close();
    standing(alpha).tunnels = [];
    alpha.warden = await alpha.scene.openWarden();
    expect(standing(alpha).tunnels).toMatchObject([{ host: 'beta' }]);
    expect(standing(alpha).ruled).toContain(tunnelInterface(alpha.network, 'beta', 1));

    await ask<'remove-peer'>(alpha.warden, { op: 'remove-peer', network: alpha.network, host: 'beta' });
    await ask<'remove-peer'>(alpha.warden, { op: 'remove-peer', network: alpha.network, host: 'beta' });
    expect(standing(alpha).tunnels).toEqual([]);
    expect(standing(alpha).ruled).not.toContain(tunnelInterface(alpha.network, 'beta', 1));
    expect(readdirSync(recordsOf(alpha))).toEqual([]);
  });

  test('stand without a host whose file was damaged, and say so', async () => {
    await join2();
    await alpha.warden.close();
    const path = join(recordsOf(alpha), 'beta.json');
    writeFileSync(path, readFileSync(path, 'utf8').replace('10.20.0.2', '10.20.0.9'));
    alpha.warden = await alpha.scene.openWarden();
    expect(await peersOf(alpha)).toMatchObject([{ host: 'beta', state: 'waiting' }]);
    expect(standing(alpha).tunnels).toEqual([]);
    await apply(alpha, machineOf('web', 1));
  });

  test('say what is wrong with a tunnel, and keep the walls of their own machines', async () => {
    alpha.scene.host.before = (effect) => {
      if (effect === 'networks.tunnels') throw new Error('wireguard-go is not installed');
    };
    await importAt(beta, await exportTo(alpha, beta));
    const { file } = await exportTo(beta, alpha);
    await expect(importAt(alpha, { file })).rejects.toMatchObject({
      code: 'network-failed',
      message: 'its tunnels: wireguard-go is not installed',
    });
    await apply(alpha, machineOf('web', 1), machineOf('more', 3));
    const { networks } = await ask<'list-networks'>(alpha.warden, { op: 'list-networks' });
    expect(networks).toMatchObject([{ walls: 'standing', trouble: 'its tunnels: wireguard-go is not installed' }]);
  });
});

function never(): never {
  throw new Error('no tunnel');
}
