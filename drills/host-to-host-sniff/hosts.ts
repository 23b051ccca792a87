// Two hosts on one wire, each with a machine, in drills about what lies between hosts: Alice's on the one, Bob's on the other, and
// Mallory's cable in the same switch, whose owner she has bribed.
import { join } from 'node:path';
import { run, runChecked } from '@ringwall/host/exec';
import { UidLeases } from '@ringwall/host/jail';
import {
  closeNamespace,
  connectCables,
  openNamespace,
  pinNamespace,
  Walls,
  type NamespaceRun,
} from '@ringwall/host/network';
import { newTunnelKey, tunnelInterface, tunnelPublicKey, Tunnels } from '@ringwall/host/network/tunnels';
import { compileNetwork, parseAddress, parseFarMachines, parseMachines } from '@ringwall/netpolicy';
import { ALICE, BOB, Guest, MALLORY, type Identity } from '../network/guest.ts';
import { deviceOf, ipIn, networkOf, PORTS, setUpRouted } from '../network/neighbourhood.ts';
import { FETCH, SERVE } from '../network/programs.ts';

const VXLAN_PORT = 4789;
const TUNNEL_PORT = 51_820;
/** Two greetings of WireGuard's, and some. */
const HANDSHAKE_SECONDS = 12;

interface Host {
  readonly name: string;
  readonly address: string;
  readonly machine: Identity;
}

const HOSTS: readonly [Host, Host] = [
  { name: 'alpha', address: '192.0.2.1', machine: ALICE },
  { name: 'beta', address: '192.0.2.2', machine: BOB },
];

export interface TwoHosts extends AsyncDisposable {
  readonly alice: Guest;
  readonly bob: Guest;
  /** With a card on the wire: no machine of either host. */
  readonly mallory: Guest;
  /** The switch between the hosts. */
  readonly wire: NamespaceRun;
  /** Where Bob's host listens for what other hosts send: address and port. */
  readonly door: readonly [string, number];
}

/** A network across hosts as handbooks have it: VXLAN (RFC 7348), as it is under most container networks. */
export async function openVxlan(directory: string): Promise<TwoHosts> {
  await using stack = new AsyncDisposableStack();
  const { wire, mallory } = await openWire(stack, directory);
  const guests = await forBoth(async (host, other) => {
    const inside = await plugHost(stack, directory, host, host.name);
    const tunnel = `type vxlan id 7 remote ${other.address} dstport ${String(VXLAN_PORT)} dev eth0`;
    await ipIn(inside, 'link add bridge0 type bridge', 'link set bridge0 up', `link add tunnel ${tunnel}`);
    const guest = stack.use(await Guest.open(host.machine, directory));
    await guest.plugIn(join(directory, host.name), deviceOf(guest.is));
    await ipIn(inside, 'link set tunnel master bridge0 up', `link set ${deviceOf(guest.is)} master bridge0 up`);
    await guest.ip(`address add ${guest.is.ipv4}/24 dev eth0`);
    return guest;
  });
  return { ...guests, mallory, wire, door: [HOSTS[1].address, VXLAN_PORT], ...kept(stack) };
}

/** The same with Ringwall: walls on either host, and a tunnel between them. */
export async function openTunnels(directory: string): Promise<TwoHosts> {
  await using stack = new AsyncDisposableStack();
  const { wire, mallory } = await openWire(stack, directory);
  const keys = new Map(HOSTS.map(({ name }) => [name, newTunnelKey()]));
  const keyOf = ({ name }: Host): Uint8Array => keys.get(name) ?? newTunnelKey();
  const presharedKey = crypto.getRandomValues(new Uint8Array(32));
  const network = networkOf({
    name: 'app',
    addresses: ['10.20.0.0/24'],
    rules: [
      {
        name: 'talk',
        action: 'allow',
        from: { machine: ALICE.name },
        to: { machine: BOB.name },
        services: [`udp/${String(PORTS.talk)}`, `tcp/${String(PORTS.serve)}`],
      },
    ],
  });
  const guests = await forBoth(async (host, other) => {
    await plugHost(stack, directory, host, `${host.name}-underlay`);
    const place = join(directory, host.name);
    stack.defer(() => closeNamespace(run, place));
    const inside = await openNamespace(run, place);
    const guest = stack.use(await Guest.open(host.machine, directory));
    await guest.plugIn(place, deviceOf(guest.is));
    await setUpRouted(guest);
    const own = { ...named(host.machine), mac: host.machine.mac, interface: deviceOf(host.machine) };
    const near = parseMachines([own], network);
    const device = tunnelInterface(place, other.name, 1);
    const far = parseFarMachines([{ ...named(other.machine), host: other.name, interface: device }], network, near);
    await connectCables(inside, near);
    await new Walls(inside).raise(compileNetwork(network, [...near, ...far]));
    const tunnels = await Tunnels.open({
      underlay: join(directory, `${host.name}-underlay`),
      network: place,
      ranges: network.addresses,
      dir: join(directory, `${host.name}-tunnels`),
      label: `drill-${String(process.pid)}-${host.name}`,
      leases: new UidLeases(),
    });
    stack.defer(() => tunnels.close());
    await tunnels.set([
      {
        host: other.name,
        generation: 1,
        interface: device,
        privateKey: keyOf(host),
        presharedKey,
        listenPort: TUNNEL_PORT,
        publicKey: tunnelPublicKey(keyOf(other)),
        endpoint: { address: parseAddress(other.address, ''), port: TUNNEL_PORT },
        addresses: far.flatMap(({ addresses }) => addresses),
      },
    ]);
    return guest;
  });
  await shakeHands(guests);
  return { ...guests, mallory, wire, door: [HOSTS[1].address, TUNNEL_PORT], ...kept(stack) };
}

/** Waits until something passes: a first greeting that came before the other host was there is said again after 5 s. */
async function shakeHands({ alice, bob }: { readonly alice: Guest; readonly bob: Guest }): Promise<void> {
  const serving = await bob.start(SERVE, { port: PORTS.serve, text: 'here' });
  await alice.run(FETCH, { targets: [[BOB.ipv4, PORTS.serve]], seconds: HANDSHAKE_SECONDS });
  await serving.stop();
}

async function openWire(
  stack: AsyncDisposableStack,
  directory: string,
): Promise<{ readonly wire: NamespaceRun; readonly mallory: Guest }> {
  const place = join(directory, 'wire');
  stack.defer(() => closeNamespace(run, place));
  const wire = await pinNamespace(run, place);
  await ipIn(wire, 'link add wire type bridge', 'link set wire up');
  const mallory = stack.use(await Guest.open(MALLORY, directory));
  await mallory.plugIn(place, deviceOf(MALLORY));
  await ipIn(wire, `link set ${deviceOf(MALLORY)} master wire up`);
  await mallory.ip('address add 192.0.2.66/24 dev eth0');
  return { wire, mallory };
}

/** A host's own namespace, with its cable in the switch. */
async function plugHost(
  stack: AsyncDisposableStack,
  directory: string,
  { name, address }: Host,
  place: string,
): Promise<NamespaceRun> {
  const file = join(directory, place);
  stack.defer(() => closeNamespace(run, file));
  const inside = await pinNamespace(run, file);
  const wire = join(directory, 'wire');
  await ipIn(inside, `link add eth0 type veth peer name ${name} netns ${wire}`, 'link set lo up', 'link set eth0 up');
  await ipIn(inside, `address add ${address}/24 dev eth0`);
  await runChecked(run, [
    '/usr/bin/nsenter',
    `--net=${wire}`,
    '--',
    '/usr/sbin/ip',
    'link',
    'set',
    name,
    'master',
    'wire',
    'up',
  ]);
  return inside;
}

async function forBoth(
  open: (host: Host, other: Host) => Promise<Guest>,
): Promise<{ readonly alice: Guest; readonly bob: Guest }> {
  const [alpha, beta] = HOSTS;
  return { alice: await open(alpha, beta), bob: await open(beta, alpha) };
}

function named({ name, ipv4 }: Identity): object {
  return { name, labels: {}, addresses: [ipv4] };
}

/** What was put up is taken away by whoever has it now. */
function kept(stack: AsyncDisposableStack): AsyncDisposable {
  const all = stack.move();
  return { [Symbol.asyncDispose]: () => all.disposeAsync() };
}
