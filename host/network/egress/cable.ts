// The cable from one network to the edge: addresses, routes and neighbours on both ends are written down, and nothing is learned.
import { createHash } from 'node:crypto';
import {
  type AddressRange,
  EDGE_GATEWAY,
  edgeAddress,
  type EdgeCable,
  edgeMac,
  type Family,
  prefixesOf,
  UPLINK,
} from '@ringwall/netpolicy';
import { runChecked } from '../../exec/index.ts';
import { listIn } from '../cables.ts';
import type { NamespaceRun } from '../namespace.ts';
import { addressesOf, isUp } from './uplink.ts';

const IP = '/usr/sbin/ip';
/** IFNAMSIZ of Linux less its final zero, less the prefix. */
const NAME_DIGITS = 13;
/** All of one end in one look: a list a line. */
const LIST_END = [`address show dev ${UPLINK}`, '-4 route show default', '-6 route show default']
  .map((what) => `${IP} -json ${what}`)
  .join('; ');

/** A network that goes out. */
export interface NetworkOut {
  readonly id: string;
  /** The file that pins its namespace. */
  readonly pin: string;
  /** Addresses of its own that no machine has are nowhere, and no way leads there. */
  readonly ranges: readonly AddressRange[];
}

export interface CableWanted extends EdgeCable {
  readonly network: NetworkOut;
  readonly inNetwork: NamespaceRun;
  readonly families: readonly Family[];
  readonly mtuBytes: number;
}

export function edgeCableName(network: string): string {
  return `rw${createHash('sha256').update(network).digest('hex').slice(0, NAME_DIGITS)}`;
}

/** The number of a network, as the hardware address of its cable says it: what stands goes on standing. */
export function slotOf({ address }: Record<string, unknown>): number | undefined {
  const [, digits] = /^02:52:57:00:01:([0-9a-f]{2})$/.exec(String(address)) ?? [];
  return digits === undefined ? undefined : Number.parseInt(digits, 16);
}

/** Whether it is as makeCable() leaves it; `link` is its end in the edge, as `ip` says it. */
export async function isCableWhole(
  wanted: CableWanted,
  link: Record<string, unknown> | undefined,
  edgeRoutes: ReadonlySet<string>,
): Promise<boolean> {
  const { families, inNetwork } = wanted;
  if (link === undefined || !isUp(link) || link['ifalias'] !== signature(wanted)) return false;
  if (!families.every((family) => edgeRoutes.has(`${edgeAddress(wanted, family)} ${wanted.interface}`))) return false;
  const { stdout } = await inNetwork(['/bin/sh', '-c', LIST_END]);
  const [ends = [], ...routes] = stdout
    .toString()
    .split('\n')
    .map((line) => listIn(line));
  const [end] = ends;
  if (end === undefined || !isUp(end)) return false;
  const known = addressesOf(end);
  return families.every((family) => {
    const route = routes[family === 4 ? 0 : 1]?.find(({ dev }) => dev === UPLINK);
    const text = `${edgeAddress(wanted, family)}/${family === 4 ? 32 : 128}`;
    return route?.['gateway'] === EDGE_GATEWAY[family] && known.includes(text);
  });
}

/** Makes it anew. What went by it finds its way again, but for connections that the old one knew. */
export async function makeCable(inEdge: NamespaceRun, wanted: CableWanted): Promise<void> {
  const { interface: device, network, inNetwork, mtuBytes } = wanted;
  await removeCable(inEdge, device);
  // Somebody may have left one end behind.
  if ((await inNetwork([IP, 'link', 'show', 'dev', UPLINK])).code === 0) {
    await runChecked(inNetwork, [IP, 'link', 'delete', 'dev', UPLINK]);
  }
  const ends = (end: 'edge' | 'network'): string => `mtu ${mtuBytes} address ${edgeMac(wanted, end)}`;
  const made = `link add name ${device} ${ends('edge')} type veth peer name ${UPLINK} ${ends('network')} netns ${network.pin}`;
  await batch(inEdge, [made, ...edgeCommands(wanted)]);
  await batch(inNetwork, networkCommands(wanted));
  await runChecked(inEdge, [IP, 'link', 'set', 'dev', device, 'alias', signature(wanted)]);
}

export async function removeCable(inEdge: NamespaceRun, device: string): Promise<void> {
  if ((await inEdge([IP, 'link', 'show', 'dev', device])).code === 0) {
    await runChecked(inEdge, [IP, 'link', 'delete', 'dev', device]);
  }
}

function edgeCommands(cable: CableWanted): string[] {
  const { interface: device, families } = cable;
  return [
    `link set dev ${device} up`,
    `address replace ${EDGE_GATEWAY[4]}/32 dev ${device}`,
    `address replace ${EDGE_GATEWAY[6]}/64 dev ${device} nodad`,
    ...families.flatMap((family) => {
      const address = edgeAddress(cable, family);
      return [
        `route replace ${address} dev ${device}`,
        `neighbour replace ${address} lladdr ${edgeMac(cable, 'network')} dev ${device} nud permanent`,
      ];
    }),
  ];
}

function networkCommands(cable: CableWanted): string[] {
  const nowhere = cable.network.ranges.flatMap((range) => prefixesOf(range));
  return [
    ...nowhere.map((prefix) => `route replace unreachable ${prefix}`),
    `link set dev ${UPLINK} up`,
    ...cable.families.flatMap((family) => {
      const [address, gateway] = [edgeAddress(cable, family), EDGE_GATEWAY[family]];
      return [
        `address replace ${address}/${family === 4 ? 32 : 128} dev ${UPLINK}${family === 6 ? ' nodad' : ''}`,
        `neighbour replace ${gateway} lladdr ${edgeMac(cable, 'edge')} dev ${UPLINK} nud permanent`,
        `route replace default via ${gateway} dev ${UPLINK} src ${address} onlink`,
      ];
    }),
  ];
}

/** What of it does not show by itself: kept with the interface, so that whoever comes next knows it. */
function signature({ families, mtuBytes }: CableWanted): string {
  return `${families.join()} ${mtuBytes}`;
}

async function batch(inside: NamespaceRun, lines: readonly string[]): Promise<void> {
  await runChecked(inside, [IP, '-batch', '-'], { input: `${lines.join('\n')}\n` });
}
