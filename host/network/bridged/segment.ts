// A segment for those who need one: a Linux bridge in the network's namespace that learns nothing and floods nothing. Where each
// card is, is written down. Questions of ARP are answered by the bridge from what is written down, those of neighbour discovery
// (RFC 4861), which it cannot answer, reach the one port where the address is.
import type { BridgedNetwork, Machine } from '@ringwall/netpolicy';
import { runChecked } from '../../exec/index.ts';
import type { NamespaceRun } from '../namespace.ts';

const IP = '/usr/sbin/ip';
const BRIDGE = '/usr/sbin/bridge';
/** The bridge itself. It has no address: the host is nobody on it. */
const SEGMENT = 'segment';
/** Its own and fixed: by itself a bridge takes a port's, and forgets all neighbours when that changes. No machine's begins so. */
const ITS_ADDRESS = 'fe:ff:ff:ff:ff:ff';
const BATCH_TIMEOUT_MS = 60_000;

/** Connects machines whose interfaces are in the namespace. Doing it again changes what differs. */
export async function connectSegment(
  inside: NamespaceRun,
  machines: readonly Machine[],
  isolated: BridgedNetwork['isolated'],
): Promise<void> {
  const apart = new Set(isolated.map((machine) => machine.interface));
  const commands = machines.flatMap((machine) => portCommands(machine, apart.has(machine.interface)));
  // Where bridges hand packets on to the rules of routed ones as well (br_netfilter), connections would be tracked after all.
  const alone = 'for file in /proc/sys/net/bridge/bridge-nf-call-*; do [ ! -e "$file" ] || echo 0 > "$file"; done';
  await runChecked(inside, ['/bin/sh', '-e', '-c', alone]);
  const made = (await inside([IP, 'link', 'show', 'dev', SEGMENT])).code === 0;
  const make = made
    ? ''
    : `link add ${SEGMENT} address ${ITS_ADDRESS} type bridge stp_state 0 mcast_snooping 0\nlink set dev ${SEGMENT} up\n`;
  await runChecked(inside, [IP, '-batch', '-'], { input: `${make}${commands.join('')}`, timeoutMs: BATCH_TIMEOUT_MS });
  const places = machines.map((machine) => `fdb replace ${machine.mac} dev ${machine.interface} master static\n`);
  await runChecked(inside, [BRIDGE, '-batch', '-'], { input: places.join(''), timeoutMs: BATCH_TIMEOUT_MS });
}

/** Lines for `ip -batch`; every word in them was checked by parseMachines(). */
export function portCommands({ interface: device, mac, addresses }: Machine, isIsolated: boolean): string[] {
  // Groups are flooded for the sake of neighbour discovery alone: rules leave of it what is for each port. `proxy_arp` without
  // `wifi` would have the bridge answer as well, but flood nothing at all.
  const closed = 'learning off flood off bcast_flood off mcast_flood on proxy_arp_wifi on';
  const apart = isIsolated ? 'on' : 'off';
  return [
    `link set dev ${device} master ${SEGMENT}\n`,
    `link set dev ${device} type bridge_slave ${closed} isolated ${apart}\n`,
    `link set dev ${device} up\n`,
    ...addresses.map(({ text }) => `neighbour replace ${text} lladdr ${mac} dev ${SEGMENT} nud permanent\n`),
  ];
}
