import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { newMachineId, newNetworkId, type NetworkId } from '@ringwall/api';
import type { ExportedPeer } from '@ringwall/api/network-peers';
import { tunnelInterface, tunnelPublicKey } from '@ringwall/host/network/tunnels';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
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
  const apply = ({ warden, network }: Host, ...machines: ReturnType<typeof machineOf>[]) =>
    ask<'apply-network'>(warden, {
      op: 'apply-network',
      network,
      definition: { name: 'app', addresses: ['10.20.0.0/24'], rules: [] },
      machines,
    });
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
    const tunnel = tunnelInterface(alpha.network, 'beta');
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

  test('have another key on demand, on the same port', async () => {
    await join2();
    const before = standing(beta).tunnels[0]?.publicKey;
    const fresh = await exportTo(alpha, beta, { newKey: true });
    expect(fresh.listenPort).toBe(51_820);
    await importAt(beta, fresh);
    expect(standing(beta).tunnels[0]?.publicKey).not.toEqual(before);
  });

  test('listen on a port of its own for each tunnel', async () => {
    const second: Host = { ...alpha, network: newNetworkId() };
    await apply(second, machineOf('other', 9));
    expect((await exportTo(alpha, beta)).listenPort).toBe(51_820);
    expect((await exportTo(second, beta)).listenPort).toBe(51_821);
    expect((await exportTo(alpha, { ...beta, name: 'gamma' })).listenPort).toBe(51_822);
  });

  test('are as they were after the warden was killed, and forget a host whole', async () => {
    await join2();
    await alpha.warden.close();
    standing(alpha).tunnels = [];
    alpha.warden = await alpha.scene.openWarden();
    expect(standing(alpha).tunnels).toMatchObject([{ host: 'beta' }]);
    expect(standing(alpha).ruled).toContain(tunnelInterface(alpha.network, 'beta'));

    await ask<'remove-peer'>(alpha.warden, { op: 'remove-peer', network: alpha.network, host: 'beta' });
    await ask<'remove-peer'>(alpha.warden, { op: 'remove-peer', network: alpha.network, host: 'beta' });
    expect(standing(alpha).tunnels).toEqual([]);
    expect(standing(alpha).ruled).not.toContain(tunnelInterface(alpha.network, 'beta'));
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
    await exportTo(alpha, beta);
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
