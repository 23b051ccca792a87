// The one interface by which the edge reaches the world: given to it by the operator, or made beside one that the host goes on using
// (macvlan: the two do not hear each other). Whatever else is on the host stays as it is: its addresses, routes and firewall.
import { createHash } from 'node:crypto';
import { RingwallError } from '@ringwall/api/errors';
import { type Egress, isEdgeCable, SHARED_UPLINK, type Way } from '@ringwall/netpolicy';
import { runChecked } from '../../exec/index.ts';
import { listIn } from '../cables.ts';
import type { NamespaceRun } from '../namespace.ts';

const IP = '/usr/sbin/ip';
/** The least that IPv6 works with (RFC 8200, 5). */
const MIN_MTU_BYTES = 1_280;
const MAX_MTU_BYTES = 9_000;

export interface EdgeSides {
  /** Where the host's own interfaces are. */
  readonly onHost: NamespaceRun;
  readonly host: string;
  readonly inEdge: NamespaceRun;
  readonly edge: string;
}

export interface StandingUplink {
  readonly name: string;
  readonly mtuBytes: number;
  /** What was not as it should be. */
  readonly broken: string | undefined;
}

/** What it is called in the edge. */
export function uplinkName({ uplink }: Pick<Egress, 'uplink'>): string {
  return uplink.kind === 'given' ? uplink.interface : SHARED_UPLINK;
}

/** Has it in the edge, up, with its addresses and routes and no others. What is as it should be is left alone. */
export async function bringUplink(sides: EdgeSides, egress: Pick<Egress, 'uplink' | 'ways'>): Promise<StandingUplink> {
  const name = uplinkName(egress);
  let broken: string | undefined;
  let link = (await linksOf(sides.inEdge)).find(({ ifname }) => ifname === name);
  if (link !== undefined && egress.uplink.kind === 'shared' && link['ifalias'] !== egress.uplink.interface) {
    await runChecked(sides.inEdge, [IP, 'link', 'delete', 'dev', name]);
    link = undefined;
  }
  if (link === undefined) {
    await (egress.uplink.kind === 'given' ? take(sides, name) : share(sides, egress.uplink.interface));
    link = (await linksOf(sides.inEdge)).find(({ ifname }) => ifname === name) ?? {};
    broken = `${name} was not there`;
  }
  const commands = [...addressCommands(link, name, egress.ways), ...(await routeCommands(sides, name, egress.ways))];
  if (!isUp(link)) commands.unshift(`link set dev ${name} addrgenmode eui64`, `link set dev ${name} up`);
  if (commands.length > 0) {
    broken ??= `${name} was changed`;
    await runChecked(sides.inEdge, [IP, '-batch', '-'], { input: `${commands.join('\n')}\n` });
    // Routes go with the interface or its addresses: they are looked for once what they need is there.
    const routes = await routeCommands(sides, name, egress.ways);
    if (routes.length > 0) await runChecked(sides.inEdge, [IP, '-batch', '-'], { input: `${routes.join('\n')}\n` });
  }
  const mtuBytes = Math.min(Math.max(Number(link['mtu'] ?? 0), MIN_MTU_BYTES), MAX_MTU_BYTES);
  return { name, mtuBytes, broken };
}

/** Gives back what was given, and removes what was made: all that is in the edge but `kept`. Cables are not meant. */
export async function returnUplinks({ inEdge, host }: EdgeSides, kept: string | undefined): Promise<void> {
  for (const { ifname } of await linksOf(inEdge)) {
    const name = String(ifname);
    if (name === 'lo' || name === kept || isEdgeCable(name)) continue;
    const away = name === SHARED_UPLINK ? ['delete', 'dev', name] : ['set', 'dev', name, 'down', 'netns', host];
    await runChecked(inEdge, [IP, 'link', ...away]);
  }
}

/** What `ip` says of each link and its addresses. With those it does not say what an interface is called besides: that it says of links. */
export async function linksOf(inside: NamespaceRun): Promise<Record<string, unknown>[]> {
  const { stdout } = await runChecked(inside, ['/bin/sh', '-e', '-c', `${IP} -json link; ${IP} -json address`]);
  const [links = [], withAddresses = []] = stdout
    .toString()
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => listIn(line));
  const aliases = new Map(links.map(({ ifname, ifalias }) => [ifname, ifalias]));
  return withAddresses.map((link) => ({ ...link, ifalias: aliases.get(link['ifname']) }));
}

export function isUp({ flags }: Record<string, unknown>): boolean {
  return Array.isArray(flags) && flags.includes('UP');
}

/** Of a link as linksOf() has it: `192.0.2.10/24`. Those that the kernel makes by itself are not among them. */
export function addressesOf({ addr_info: list }: Record<string, unknown>): string[] {
  return (Array.isArray(list) ? list : []).flatMap((info: unknown) => {
    const { scope, local, prefixlen } = Object(info);
    return scope === 'global' ? [`${String(local)}/${String(prefixlen)}`] : [];
  });
}

/** An interface of the host; one that the host itself is reached by is not taken from it. */
async function take({ onHost, edge }: EdgeSides, name: string): Promise<void> {
  const { stdout } = await runChecked(onHost, [IP, '-json', '-details', 'address', 'show']);
  const links = listIn(stdout.toString().trim());
  const link = links.find(({ ifname }) => ifname === name);
  if (link === undefined) {
    throw new RingwallError('network-failed', `there is no interface ${name} on this host to go out by`);
  }
  const whyNot = whyNotTaken(link, links);
  if (whyNot !== undefined) {
    const [why, hint] = whyNot;
    throw new RingwallError('network-failed', `${name} is not taken: ${why}`, { hint });
  }
  await runChecked(onHost, [IP, 'link', 'set', 'dev', name, 'netns', edge]);
}

/** What the host has of it, which would go with it, and what can be done about that. */
function whyNotTaken(
  link: Record<string, unknown>,
  links: readonly Record<string, unknown>[],
): readonly [why: string, hint: string] | undefined {
  const name = String(link['ifname']);
  const [own] = addressesOf(link);
  if (own !== undefined) {
    return [
      `this host itself has the address ${own} on it`,
      `take the address away first, or share the interface: --on ${name}`,
    ];
  }
  const { master } = link;
  if (typeof master === 'string') {
    return [`it is a part of ${master}`, `take it out of ${master} first, or share that: --on ${master}`];
  }
  // Of a veth pair each end names the other.
  const upon = links.find((each) => each['link'] === name && Object(each['linkinfo']).info_kind !== 'veth');
  if (upon === undefined) return undefined;
  return [`this host has ${String(upon['ifname'])} on it`, `remove that first, or share the interface: --on ${name}`];
}

/** Private: it hears neither the host's own interface nor others that are made on it, and they do not hear it. */
async function share({ onHost, inEdge, edge }: EdgeSides, parent: string): Promise<void> {
  const link = (await linksOf(onHost)).find(({ ifname }) => ifname === parent);
  if (link === undefined) {
    throw new RingwallError('network-failed', `there is no interface ${parent} on this host to go out by`);
  }
  const mac = stationOf(String(link['address']));
  const kind = ['type', 'macvlan', 'mode', 'private'];
  const argv = [IP, 'link', 'add', 'link', parent, 'name', SHARED_UPLINK, 'address', mac, 'netns', edge, ...kind];
  await runChecked(onHost, argv);
  await runChecked(inEdge, [IP, 'link', 'set', 'dev', SHARED_UPLINK, 'alias', parent]);
}

/** The same after each reboot, so that switches and routers go on knowing it (IEEE 802, 8.4: locally administered). */
function stationOf(parent: string): string {
  const digest = createHash('sha256').update(`ringwall egress ${parent}`).digest('hex');
  return ['02', ...(digest.match(/../g) ?? []).slice(0, 5)].join(':');
}

function addressCommands(link: Record<string, unknown>, name: string, ways: readonly Way[]): string[] {
  const wanted = ways.map(({ address, prefixLength }) => `${address.text}/${prefixLength}`);
  const standing = addressesOf(link);
  return [
    ...standing.filter((text) => !wanted.includes(text)).map((text) => `address delete ${text} dev ${name}`),
    ...wanted
      .filter((text) => !standing.includes(text))
      .map((text) => `address replace ${text} dev ${name}${text.includes(':') ? ' nodad' : ''}`),
  ];
}

async function routeCommands({ inEdge }: EdgeSides, name: string, ways: readonly Way[]): Promise<string[]> {
  const lists = await Promise.all(
    ([4, 6] as const).map(async (family) => {
      const { stdout } = await runChecked(inEdge, [IP, '-json', `-${family}`, 'route', 'show', 'default']);
      const way = ways.find(({ address }) => address.family === family);
      return { way, routes: listIn(stdout.toString().trim()) };
    }),
  );
  return lists.flatMap(({ way, routes }): string[] => {
    const isOurs = ({ dev, gateway }: Record<string, unknown>): boolean =>
      dev === name && gateway === way?.gateway.text;
    const others = routes.filter((route) => !isOurs(route));
    return [
      ...others.map(({ dev, gateway }) => `route delete default via ${String(gateway)} dev ${String(dev)}`),
      ...(way === undefined || routes.some(isOurs)
        ? []
        : [`route replace default via ${way.gateway.text} dev ${name} onlink`]),
    ];
  });
}
