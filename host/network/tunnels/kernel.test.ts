// What is said to the kernel's WireGuard, without a kernel that has it: which programs are run with what, and where keys pass.
import { parseAddress } from '@ringwall/netpolicy';
import { describe, expect, test } from 'vitest';
import { fakeRun, type FakeRun } from '../../exec/index.ts';
import type { NamespaceRun } from '../namespace.ts';
import { hasKernelWireGuard, KernelWireGuard } from './kernel.ts';
import type { Tunnel } from './tunnel.ts';

const TRIAL = '/usr/bin/unshare --net -- /usr/sbin/ip link add wg0 type wireguard';
const TUNNEL: Tunnel = {
  host: 'beta',
  generation: 1,
  interface: 'wg0123456789abc',
  privateKey: new Uint8Array(32).fill(1),
  listenPort: 51_820,
  publicKey: new Uint8Array(32).fill(2),
  presharedKey: new Uint8Array(32).fill(3),
  endpoint: { address: parseAddress('192.0.2.2', ''), port: 51_821 },
  addresses: [parseAddress('10.20.0.2', '')],
};
const SECRETS = [TUNNEL.privateKey, TUNNEL.presharedKey].map((key) => Buffer.from(key).toString('base64'));

test('hasKernelWireGuard() makes an interface, in a namespace that ends with it, and believes what comes of that', async () => {
  const has = fakeRun({ [TRIAL]: {} });
  expect(await hasKernelWireGuard(has.run)).toBe(true);
  const lacks = fakeRun({ [TRIAL]: { code: 2, stderr: 'Error: Unknown device type.' } });
  expect(await hasKernelWireGuard(lacks.run)).toBe(false);
});

describe('KernelWireGuard', () => {
  function open(answer: { code?: number; stderr?: string } = {}): {
    wireGuard: KernelWireGuard;
    inside: FakeRun;
    below: FakeRun;
  } {
    const [inside, below] = [
      fakeRun({ '/bin/sh': answer }),
      fakeRun({ '/usr/sbin/ip link add': {}, '/usr/sbin/ip link set': {} }),
    ];
    const wireGuard = new KernelWireGuard({
      underlay: '/run/underlay',
      onUnderlay: asNamespace(below),
      network: '/run/network',
      inside: asNamespace(inside),
    });
    return { wireGuard, inside, below };
  }

  test('makes the interface where its UDP socket is to be, then moves it into the network', async () => {
    const { wireGuard, below } = open();
    await wireGuard.open(TUNNEL.interface, 1_440);
    expect(below.calls.map(({ argv }) => argv.join(' ')).slice(-2)).toEqual([
      '/usr/sbin/ip link add dev wg0123456789abc mtu 1440 type wireguard',
      '/usr/sbin/ip link set dev wg0123456789abc netns /run/network',
    ]);
  });

  test('has keys pass by a pipe alone, and in no error', async () => {
    const { wireGuard, inside } = open();
    await wireGuard.write(TUNNEL);
    const [call] = inside.calls;
    expect(call?.argv.slice(-3)).toEqual(['/usr/bin/wg', 'syncconf', 'wg0123456789abc']);
    for (const secret of SECRETS) {
      expect(call?.argv.join(' ')).not.toContain(secret);
      expect(String(call?.options.input)).toContain(secret);
    }
    const refusing = open({ code: 1, stderr: `Key is not the correct length: \`${SECRETS[0] ?? ''}'` }).wireGuard;
    await expect(refusing.write(TUNNEL)).rejects.toThrow(
      "wg refuses the tunnel to beta: Key is not the correct length: `[key]'",
    );
  });
});

function asNamespace({ run }: FakeRun): NamespaceRun {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- nothing runs anywhere
  return run as NamespaceRun;
}
