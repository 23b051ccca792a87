// A segment for those who need one: a Linux bridge in the network's namespace that learns nothing and floods nothing. Where each
// card is, is written down. Questions of ARP are answered by the bridge from what is written down, those of neighbour discovery
// (RFC 4861), which it cannot answer, reach the one port where the address is.
import type { BridgedNetwork, Machine } from '@ringwall/netpolicy';
import { runChecked } from '../../exec/index.ts';
import { type BrokenCable, listIn, plain } from '../cables.ts';
import type { NamespaceRun } from '../namespace.ts';

const IP = '/usr/sbin/ip';
const BRIDGE = '/usr/sbin/bridge';
/** The bridge itself. It has no address: the host is nobody on it. */
const SEGMENT = 'segment';
/** Its own and fixed: by itself a bridge takes a port's, and forgets all neighbours when that changes. No machine's begins so. */
const ITS_ADDRESS = 'fe:ff:ff:ff:ff:ff';
/**
 * Groups are flooded for the sake of neighbour discovery alone: rules leave of it what is for each port. `proxy_arp` without `wifi`
 * would have the bridge answer as well, but flood nothing at all.
 */
const PORT = { learning: false, flood: false, bcast_flood: false, mcast_flood: true, proxy_arp_wifi: true } as const;
const BATCH_TIMEOUT_MS = 60_000;
/** Of 1,023 ports, some hundred bytes each. */
const MAX_LISTING_BYTES: number = 8 * 1024 * 1024;
/** All of them in one look: a list a line. */
const LIST_PORTS = [
  `${IP} -json -details link`,
  `${IP} -json neighbour show nud permanent`,
  `${BRIDGE} -json fdb`,
].join('; ');

/** Connects machines whose interfaces are in the namespace. Doing it again changes nothing. */
export async function connectSegment(inside: NamespaceRun, machines: readonly Machine[]): Promise<void> {
  const options = { timeoutMs: BATCH_TIMEOUT_MS };
  if ((await inside([IP, 'link', 'show', 'dev', SEGMENT])).code !== 0) {
    // Where bridges hand packets on to the rules of routed ones as well (br_netfilter), connections would be tracked after all.
    const alone = 'for file in /proc/sys/net/bridge/bridge-nf-call-*; do [ ! -e "$file" ] || echo 0 > "$file"; done';
    await runChecked(inside, ['/bin/sh', '-e', '-c', alone]);
    const make = `link add ${SEGMENT} address ${ITS_ADDRESS} type bridge stp_state 0 mcast_snooping 0\n`;
    await runChecked(inside, [IP, '-batch', '-'], { input: `${make}link set dev ${SEGMENT} up\n` });
  }
  await runChecked(inside, [IP, '-batch', '-'], { input: machines.flatMap(portCommands).join(''), ...options });
  const places = machines.map(({ mac, interface: device }) => `fdb replace ${mac} dev ${device} master static\n`);
  await runChecked(inside, [BRIDGE, '-batch', '-'], { input: places.join(''), ...options });
}

/** Has the bridge itself keep those ports apart which no rule connects; of the others, the rules decide. */
export async function keepApart(
  inside: NamespaceRun,
  machines: readonly Machine[],
  isolated: BridgedNetwork['isolated'],
): Promise<void> {
  const apart = new Set(isolated.map((machine) => machine.interface));
  const input = machines.map(({ interface: device }) => {
    return `link set dev ${device} type bridge_slave isolated ${apart.has(device) ? 'on' : 'off'}\n`;
  });
  await runChecked(inside, [IP, '-batch', '-'], { input: input.join(''), timeoutMs: BATCH_TIMEOUT_MS });
}

/** Looks at the ports of machines that are connected. */
export async function brokenPorts(inside: NamespaceRun, machines: readonly Machine[]): Promise<BrokenCable[]> {
  if (machines.length === 0) return [];
  const options = { timeoutMs: BATCH_TIMEOUT_MS, maxOutputBytes: MAX_LISTING_BYTES };
  const { stdout } = await runChecked(inside, ['/bin/sh', '-c', LIST_PORTS], options);
  const [links = [], neighbours = [], places = []] = stdout
    .toString()
    .split('\n')
    .map((line) => listIn(line));
  const ports = new Map(links.map((link) => [String(link['ifname']), isWhole(link)]));
  const known = new Set([
    ...places.map(({ mac, ifname, state }) => `${String(mac)} ${String(ifname)} ${String(state)}`),
    ...neighbours.map(({ dst, dev, lladdr }) => `${plain(dst)} ${String(dev)} ${String(lladdr)}`),
  ]);
  return machines.flatMap((machine): BrokenCable[] => {
    const { interface: device, mac, addresses } = machine;
    const whole = ports.get(device);
    if (whole === undefined) return [{ machine, how: 'gone' }];
    const isKnown =
      known.has(`${mac} ${device} static`) && addresses.every(({ text }) => known.has(`${text} ${SEGMENT} ${mac}`));
    return whole && isKnown ? [] : [{ machine, how: 'changed' }];
  });
}

/** Lines for `ip -batch`; every word in them was checked by parseMachines(). */
export function portCommands({ interface: device, mac, addresses }: Machine): string[] {
  const settings = Object.entries(PORT).map(([name, on]) => `${name} ${on ? 'on' : 'off'}`);
  return [
    `link set dev ${device} master ${SEGMENT}\n`,
    `link set dev ${device} type bridge_slave ${settings.join(' ')}\n`,
    `link set dev ${device} up\n`,
    ...addresses.map(({ text }) => `neighbour replace ${text} lladdr ${mac} dev ${SEGMENT} nud permanent\n`),
  ];
}

/** As `ip -json -details link` says it. */
function isWhole({ flags, master, linkinfo }: Record<string, unknown>): boolean {
  const settings = Object(Object(linkinfo).info_slave_data);
  const isUp = Array.isArray(flags) && flags.includes('UP');
  return isUp && master === SEGMENT && Object.entries(PORT).every(([name, on]) => settings[name] === on);
}
