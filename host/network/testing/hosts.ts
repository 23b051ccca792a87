// Several hosts with machines of one network, to send real packets between: for each host a namespace with its way to the others (the
// underlay) and one of the network, all on one wire, which can be listened to.
import { join } from 'node:path';
import {
  compileNetwork,
  parseAddress,
  parseFarMachines,
  type AnyMachine,
  type FarMachine,
  type Machine,
  type Network,
} from '@ringwall/netpolicy';
import { run, runChecked } from '../../exec/index.ts';
import type { Bench } from '../../jail/testing/bench.ts';
import { closeNamespace, pinNamespace, Walls, type NamespaceRun } from '../index.ts';
import { newTunnelKey, tunnelInterface, tunnelPublicKey, Tunnels, type Tunnel } from '../tunnels/index.ts';
import { Testbed, type Station } from './testbed.ts';

const IP = '/usr/sbin/ip';
const FIRST_PORT = 51_820;

export interface TestHost {
  readonly name: string;
  readonly index: number;
  readonly bed: Testbed;
  /** Its underlay’s namespace, as a file. */
  readonly underlay: string;
  readonly onUnderlay: NamespaceRun;
  readonly tunnels: Tunnels;
  readonly walls: Walls;
}

export class TestHosts implements AsyncDisposable {
  readonly hosts: readonly TestHost[];
  readonly #bench: Bench;
  /** Private ones, by the host that has it and the one that it is for. */
  readonly #keys = new Map<string, Uint8Array>();

  private constructor(bench: Bench, hosts: readonly TestHost[]) {
    this.#bench = bench;
    this.hosts = hosts;
  }

  /** `machines`: those of each host. */
  static async open(bench: Bench, network: Network, machines: readonly (readonly Machine[])[]): Promise<TestHosts> {
    const wire = await pinNamespace(run, join(bench.dir, 'wire'));
    await runChecked(wire, [IP, '-batch', '-'], { input: 'link add wire type bridge\nlink set wire up\n' });
    const hosts: TestHost[] = [];
    for (const [index, own] of machines.entries()) hosts.push(await openHost(bench, index, network, own));
    return new TestHosts(bench, hosts);
  }

  get stations(): readonly Station[] {
    return this.hosts.flatMap(({ bed }) => bed.stations);
  }

  /** Which machines there are, and under which rules; each runs where its interface is. */
  async apply(network: Network, machines: readonly Machine[]): Promise<void> {
    await Promise.all(
      this.hosts.map(async (host) => {
        await host.walls.change(compileNetwork(network, this.seenFrom(host, network, machines)));
        await host.tunnels.set(this.tunnelsOf(host, machines));
      }),
    );
  }

  /** Those of this host with their cables, and those of others with the tunnels that lead there. */
  seenFrom(host: TestHost, network: Network, machines: readonly Machine[]): readonly AnyMachine[] {
    const near = machines.filter((machine) => isOn(host, machine));
    const far = this.#othersOf(host).flatMap((other) =>
      machines
        .filter((machine) => isOn(other, machine))
        .map(({ name, labels, addresses }) => ({
          name,
          labels,
          addresses: addresses.map(({ text }) => text),
          host: other.name,
          interface: this.interfaceOf(host, other),
        })),
    );
    return [...near, ...parseFarMachines(far, network, near)];
  }

  /** The third host speaks IPv6 on the underlay, the others IPv4. */
  tunnelsOf(host: TestHost, machines: readonly Machine[]): readonly Tunnel[] {
    return this.#othersOf(host).map((other) => ({
      host: other.name,
      generation: 1,
      interface: this.interfaceOf(host, other),
      privateKey: this.keyOf(host, other),
      presharedKey: new Uint8Array(32).fill(host.index + other.index),
      listenPort: FIRST_PORT + other.index,
      publicKey: tunnelPublicKey(this.keyOf(other, host)),
      endpoint: {
        address: parseAddress(
          [host, other].some(({ index }) => index === 2)
            ? `2001:db8::${other.index + 1}`
            : `192.0.2.${other.index + 1}`,
          '',
        ),
        port: FIRST_PORT + host.index,
      },
      addresses: machines.filter((machine) => isOn(other, machine)).flatMap(({ addresses }) => addresses),
    }));
  }

  interfaceOf(host: TestHost, other: TestHost, generation = 1): string {
    return tunnelInterface(`${this.#bench.name} ${host.name}`, other.name, generation);
  }

  /** The same tunnel with other keys, on another port. */
  again(host: TestHost, tunnel: Tunnel, generation: number): Tunnel {
    const other = this.hosts.find(({ name }) => name === tunnel.host);
    if (other === undefined || generation === tunnel.generation) return tunnel;
    const { address, port } = tunnel.endpoint;
    const step = (generation - 1) * this.hosts.length;
    return {
      ...tunnel,
      generation,
      interface: this.interfaceOf(host, other, generation),
      privateKey: this.keyOf(host, other, generation),
      presharedKey: tunnel.presharedKey.map((byte) => byte + generation),
      listenPort: tunnel.listenPort + step,
      publicKey: tunnelPublicKey(this.keyOf(other, host, generation)),
      endpoint: { address, port: port + step },
    };
  }

  /** A machine of another host, reached by the tunnel with these keys, and by the one before. */
  byWay(host: TestHost, machine: FarMachine, generation: number, older: number | undefined): FarMachine {
    const other = this.hosts.find(({ name }) => name === machine.host);
    if (other === undefined) return machine;
    const device = (each: number): string => this.interfaceOf(host, other, each);
    const way = { ...machine, interface: device(generation) };
    return older === undefined ? way : { ...way, olderInterface: device(older) };
  }

  keyOf(host: TestHost, other: TestHost, generation = 1): Uint8Array {
    const place = `${host.name} ${other.name} ${generation}`;
    const key = this.#keys.get(place) ?? newTunnelKey();
    this.#keys.set(place, key);
    return key;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { tunnels, bed, underlay } of this.hosts) {
      await tunnels.close();
      await bed[Symbol.asyncDispose]();
      await closeNamespace(run, underlay);
    }
    await closeNamespace(run, join(this.#bench.dir, 'wire'));
  }

  #othersOf(host: TestHost): readonly TestHost[] {
    return this.hosts.filter((other) => other !== host);
  }
}

async function openHost(
  bench: Bench,
  index: number,
  network: Network,
  machines: readonly Machine[],
): Promise<TestHost> {
  const name = ['alpha', 'beta', 'gamma'][index] ?? `host${index}`;
  const underlay = join(bench.dir, `${name}-underlay`);
  const onUnderlay = await pinNamespace(run, underlay);
  await runChecked(onUnderlay, [
    IP,
    'link',
    'add',
    'eth0',
    'type',
    'veth',
    'peer',
    'name',
    name,
    'netns',
    join(bench.dir, 'wire'),
  ]);
  await runChecked(await pinNamespace(run, join(bench.dir, 'wire')), [IP, 'link', 'set', name, 'master', 'wire', 'up']);
  const lines = [
    'link set lo up',
    'link set eth0 up',
    `address add 192.0.2.${index + 1}/24 dev eth0`,
    `address add 2001:db8::${index + 1}/64 dev eth0 nodad`,
  ];
  await runChecked(onUnderlay, [IP, '-batch', '-'], { input: `${lines.join('\n')}\n` });
  const bed = await Testbed.open(machines);
  const tunnels = await Tunnels.open({
    underlay,
    network: bed.file,
    ranges: network.addresses,
    dir: join(bench.dir, `${name}-tunnels`),
    label: `${bench.name}-${name}`,
    leases: bench.leases,
  });
  return { name, index, bed, underlay, onUnderlay, tunnels, walls: new Walls(bed.inside) };
}

function isOn({ bed }: TestHost, { name }: Machine): boolean {
  return bed.stations.some((station) => station.machine.name === name);
}
