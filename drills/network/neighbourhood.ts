// Three machines beside each other, in drills about networks: on a bridge, as hosts of virtual machines commonly have them, and behind
// Ringwall's walls.
import { join } from 'node:path';
import { run, runChecked } from '@ringwall/host/exec';
import {
  closeNamespace,
  connectCables,
  listRules,
  openNamespace,
  pinNamespace,
  Walls,
  type NamespaceRun,
} from '@ringwall/host/network';
import {
  compileNetwork,
  GATEWAY_IPV4,
  GATEWAY_IPV6,
  parseMachines,
  parsePolicy,
  type CompileOptions,
  type Machine,
  type Network,
} from '@ringwall/netpolicy';
import { ALICE, BOB, Guest, MALLORY, type Identity } from './guest.ts';

const PLACE = 'network';
const EVERYBODY: readonly Identity[] = [ALICE, BOB, MALLORY];

export const deviceOf = ({ name }: Identity): string => `to${name}`;

/** Where Bob listens by UDP, and serves by TCP. */
export const PORTS = { talk: 5514, serve: 8080 } as const;

/** Alice may reach Bob; nobody has allowed Mallory anything. */
const NETWORK = {
  name: 'app',
  addresses: ['10.20.0.0/24', 'fd00:20::/64'],
  rules: [
    {
      name: 'talk',
      action: 'allow',
      from: { machine: ALICE.name },
      to: { machine: BOB.name },
      services: [`udp/${String(PORTS.talk)}`, `tcp/${String(PORTS.serve)}`],
    },
  ],
};

export interface Neighbourhood extends AsyncDisposable {
  readonly alice: Guest;
  readonly bob: Guest;
  readonly mallory: Guest;
}

/** One bridge, and all machines on it, as `virsh`, `docker network` and most handbooks make it. */
export async function openBridge(directory: string): Promise<Neighbourhood> {
  await using stack = new AsyncDisposableStack();
  stack.defer(() => closeNamespace(run, join(directory, PLACE)));
  const host = await pinNamespace(run, join(directory, PLACE));
  await ipIn(host, 'link add bridge0 type bridge', 'link set bridge0 up');
  const guests = await plugInAll(stack, directory, async (guest) => {
    await setUpOnLink(guest);
    await ipIn(host, `link set ${deviceOf(guest.is)} master bridge0 up`);
  });
  return { ...guests, ...kept(stack) };
}

export interface Segment extends Neighbourhood {
  readonly inside: NamespaceRun;
  /** The file that pins the namespace where their cables end. */
  readonly pin: string;
  readonly network: Network;
  readonly machines: readonly Machine[];
}

/** Machines that are to be on one link, by a switch that is not there yet. */
export async function openSegment(directory: string): Promise<Segment> {
  await using stack = new AsyncDisposableStack();
  const pin = join(directory, PLACE);
  stack.defer(() => closeNamespace(run, pin));
  const inside = await openNamespace(run, pin);
  const guests = await plugInAll(stack, directory, setUpOnLink);
  const network = networkOf({ ...NETWORK, mode: 'openvswitch' });
  return { ...guests, ...kept(stack), inside, pin, network, machines: machinesOf(network, EVERYBODY) };
}

async function setUpOnLink(guest: Guest): Promise<void> {
  const { ipv4, ipv6 } = guest.is;
  await guest.ip(`address add ${ipv4}/24 dev eth0`, `address add ${ipv6}/64 dev eth0 nodad`);
}

/** Machines behind a stateful firewall, as handbooks have it: what has begun passes, and what an allow list says may begin. */
export async function openFirewall(directory: string): Promise<Neighbourhood & { forbid(): Promise<void> }> {
  await using stack = new AsyncDisposableStack();
  stack.defer(() => closeNamespace(run, join(directory, PLACE)));
  const inside = await openNamespace(run, join(directory, PLACE));
  const guests = await plugInAll(stack, directory, setUpRouted);
  await connectCables(inside, machinesOf(networkOf({ ...NETWORK, rules: [] }), EVERYBODY));
  const allow = async (...rules: readonly string[]): Promise<void> => {
    const hook = 'type filter hook forward priority 0; policy drop;';
    const chain = [hook, 'ct state established,related accept', ...rules].join('\n');
    const input = `flush ruleset\ntable inet filter {\nchain forward {\n${chain}\n}\n}\n`;
    await runChecked(inside, ['/bin/sh', '-c', 'cat | /usr/sbin/nft -f -'], { input });
  };
  await allow(`ip saddr ${ALICE.ipv4} ip daddr ${BOB.ipv4} accept`);
  return { ...guests, ...kept(stack), forbid: () => allow() };
}

export interface WalledNeighbourhood extends Neighbourhood {
  readonly inside: NamespaceRun;
  readonly walls: Walls;
  readonly machines: readonly Machine[];
  /** How often something was dropped since the walls stand: `spoofed`, `rogue`, `refused`, `to-host`, in all families. */
  counted(name: string): Promise<number>;
}

/** The same machines behind walls. */
export async function openWalls(directory: string): Promise<WalledNeighbourhood> {
  await using stack = new AsyncDisposableStack();
  stack.defer(() => closeNamespace(run, join(directory, PLACE)));
  const inside = await openNamespace(run, join(directory, PLACE));
  const guests = await plugInAll(stack, directory, setUpRouted);
  const raised = await raiseWalls(inside, networkOf(NETWORK), EVERYBODY);
  return { ...guests, ...raised, ...kept(stack), inside, counted: (name) => countedIn(inside, name) };
}

/** What a machine is told of a routed network: its address alone in its prefix, and a gateway on the link. */
export async function setUpRouted(guest: Guest): Promise<void> {
  const { ipv4, ipv6 } = guest.is;
  await guest.ip(
    `address add ${ipv4}/32 dev eth0`,
    `address add ${ipv6}/128 dev eth0 nodad`,
    `route add ${GATEWAY_IPV4} dev eth0`,
    `route add default via ${GATEWAY_IPV4} src ${ipv4}`,
    `route add default via ${GATEWAY_IPV6} dev eth0 src ${ipv6}`,
  );
}

/** Connects machines whose cards are plugged in, and puts the walls between them up. */
export async function raiseWalls(
  inside: NamespaceRun,
  network: Network,
  members: readonly Identity[],
  options?: CompileOptions,
): Promise<{ walls: Walls; machines: readonly Machine[] }> {
  const machines = machinesOf(network, members);
  await connectCables(inside, machines);
  const walls = new Walls(inside);
  await walls.raise(compileNetwork(network, machines, options));
  return { walls, machines };
}

export function networkOf(json: unknown): Network {
  const [network] = parsePolicy({ version: 1, tenant: 'drill', networks: [json] }).networks;
  if (network === undefined) throw new Error('the policy has no network');
  return network;
}

export async function countedIn(inside: NamespaceRun, name: string): Promise<number> {
  const counters = (await listRules(inside, true)).map((object) => Object(Object(object).counter));
  return counters.filter((counter) => counter.name === name).reduce((sum, { packets }) => sum + Number(packets), 0);
}

export async function ipIn(inside: NamespaceRun, ...commands: readonly string[]): Promise<void> {
  await runChecked(inside, ['/usr/sbin/ip', '-batch', '-'], { input: `${commands.join('\n')}\n` });
}

async function plugInAll(
  stack: AsyncDisposableStack,
  directory: string,
  setUp: (guest: Guest) => Promise<void>,
): Promise<Record<'alice' | 'bob' | 'mallory', Guest>> {
  const plugIn = async (who: Identity): Promise<Guest> => {
    const guest = stack.use(await Guest.open(who, directory));
    await guest.plugIn(join(directory, PLACE), deviceOf(who));
    await setUp(guest);
    return guest;
  };
  return { alice: await plugIn(ALICE), bob: await plugIn(BOB), mallory: await plugIn(MALLORY) };
}

export function machinesOf(network: Network, members: readonly Identity[]): readonly Machine[] {
  const json = members.map((who) => ({
    name: who.name,
    labels: {},
    addresses: [who.ipv4, who.ipv6],
    mac: who.mac,
    interface: deviceOf(who),
  }));
  return parseMachines(json, network);
}

/** What was put up is taken away by whoever has it now. */
function kept(stack: AsyncDisposableStack): AsyncDisposable {
  const all = stack.move();
  return { [Symbol.asyncDispose]: () => all.disposeAsync() };
}
