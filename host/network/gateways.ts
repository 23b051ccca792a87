// Gateways of machines on a switch, one for each beside its cable: one end of a pair of interfaces has the gateway's addresses, as cables of
// routed networks have them, and what a machine says to its gateway is led to the other end by filters on its cable (tc-u32(8),
// tc-mirred(8)) before the switch sees it. Answers go the same way back. A frame that no filter knows is the switch's.
import { GATEWAY_MAC, atGateway, gatewayOf, gatewayPortOf, type Machine } from '@ringwall/netpolicy';
import { runChecked } from '../exec/index.ts';
import { brokenCables, type BrokenCable, connectCables, listIn } from './cables.ts';
import type { NamespaceRun } from './namespace.ts';

const IP = '/usr/sbin/ip';
const TC = '/usr/sbin/tc';
/** Of 1,024 machines. */
const TIMEOUT_MS = 60_000;
const MAX_LISTING_BYTES: number = 64 * 1024 * 1024;

/** Behind those of a mirror, which sees them all. u32 looks from the network header on; its card's address stands before that. */
const TO_GATEWAY: readonly string[] = [
  `protocol all pref 10 u32 match u16 0x${GATEWAY_MAC.slice(0, 5).replace(':', '')} 0xffff at -14 match u32 0x${GATEWAY_MAC.slice(6).replaceAll(':', '')} 0xffffffff at -12`,
  // RFC 826: who has 169.254.1.1?
  'protocol arp pref 11 u32 match u32 0xa9fe0101 0xffffffff at 24',
  // RFC 2131, 4.1: whoever has no address asks everybody. With options of IP it is no such question.
  'protocol ip pref 12 u32 match u8 0x45 0xff at 0 match ip dst 255.255.255.255/32 match ip protocol 17 0xff match u16 67 0xffff at 22',
  // All routers (RFC 4861, 6.3.7), all servers of DHCPv6 (RFC 8415, 7.1).
  'protocol ipv6 pref 13 u32 match ip6 dst ff02::2/128',
  'protocol ipv6 pref 13 u32 match ip6 dst ff02::1:2/128',
  // Who has fe80::1? The same group hears questions for others, of which the target tells it (RFC 4861, 4.3).
  'protocol ipv6 pref 13 u32 match ip6 dst ff02::1:ff00:1/128 match u8 58 0xff at 6 match u32 0xfe800000 0xffffffff at 48 match u32 0 0xffffffff at 52 match u32 0 0xffffffff at 56 match u32 1 0xffffffff at 60',
];
const PREFERENCES = ['all pref 10', 'arp pref 11', 'ip pref 12', 'ipv6 pref 13'] as const;
const FROM_GATEWAY = 'protocol all pref 10 u32 match u32 0 0';

/**
 * Gives machines whose cables are in the namespace their gateways, and takes away those whose cables are gone. Doing it again changes
 * nothing.
 */
export async function connectGateways(inside: NamespaceRun, machines: readonly Machine[]): Promise<void> {
  const { stdout } = await runChecked(inside, [IP, '-json', 'link'], { maxOutputBytes: MAX_LISTING_BYTES });
  const devices = new Set(listIn(stdout.toString()).map(({ ifname }) => String(ifname)));
  const options = { timeoutMs: TIMEOUT_MS };
  const strays = strayGateways(devices);
  if (machines.length + strays.length === 0) return;
  const links = [
    ...strays.map((device) => `link delete dev ${device}\n`),
    ...machines.flatMap(({ interface: device }) => [
      ...(devices.has(gatewayOf(device)) ? [] : [pairCommand(device)]),
      `link set dev ${gatewayPortOf(device)} up\n`,
    ]),
  ];
  await runChecked(inside, [IP, '-batch', '-'], { input: links.join(''), ...options });
  await connectCables(
    inside,
    machines.map((machine) => atGateway(machine)),
  );
  // Those of before, where there are any: what is not there cannot be taken away.
  const old = machines.flatMap(({ interface: device }) => oldFilters(device));
  await inside([TC, '-force', '-batch', '-'], { input: old.join(''), ...options });
  const filters = machines.flatMap(({ interface: device }) => filterCommands(device));
  await runChecked(inside, [TC, '-batch', '-'], { input: filters.join(''), ...options });
}

/** Looks at the gateways of machines that are connected. */
export async function brokenGateways(inside: NamespaceRun, machines: readonly Machine[]): Promise<BrokenCable[]> {
  if (machines.length === 0) return [];
  const gateways = new Map(machines.map((machine) => [machine, atGateway(machine)]));
  const changed = new Set((await brokenCables(inside, [...gateways.values()])).map(({ machine }) => machine));
  const lines = machines.flatMap(({ interface: device }) =>
    [device, gatewayPortOf(device)].map((end) => `filter show dev ${end} ingress\n`),
  );
  const options = { input: lines.join(''), timeoutMs: TIMEOUT_MS, maxOutputBytes: MAX_LISTING_BYTES };
  // One list a line, in the order of the questions; of an interface that is gone there is none, and the others are asked.
  const { stdout } = await inside([TC, '-force', '-json', '-batch', '-'], options);
  const leads = new Map<string, number>();
  for (const [, to = ''] of stdout.toString().matchAll(/"to_dev":"([a-z0-9]+)"/g))
    leads.set(to, (leads.get(to) ?? 0) + 1);
  return [...gateways].flatMap(([machine, gateway]): BrokenCable[] => {
    const { interface: device } = machine;
    const isLed = leads.get(gatewayPortOf(device)) === TO_GATEWAY.length && leads.get(device) === 1;
    return isLed && !changed.has(gateway) ? [] : [{ machine, how: 'changed' }];
  });
}

/** Pure: those beside which there is no cable any more. */
export function strayGateways(devices: ReadonlySet<string>): string[] {
  const isEnd = (device: string): boolean => [gatewayOf(device), gatewayPortOf(device)].includes(device);
  const kept = new Set([...devices].filter((device) => !isEnd(device)).map((device) => gatewayOf(device)));
  return [...devices].filter((device) => device === gatewayOf(device) && !kept.has(device));
}

/** Lines for `tc -batch`; the interface was checked by parseMachines(). */
export function filterCommands(device: string): string[] {
  const port = gatewayPortOf(device);
  return [
    // What is there already stays, with its filters.
    ...[device, port].map((end) => `qdisc replace dev ${end} clsact\n`),
    ...TO_GATEWAY.map(
      (match) => `filter add dev ${device} ingress ${match} action mirred egress redirect dev ${port}\n`,
    ),
    `filter add dev ${port} ingress ${FROM_GATEWAY} action mirred egress redirect dev ${device}\n`,
  ];
}

function oldFilters(device: string): string[] {
  return [
    ...PREFERENCES.map((which) => `filter delete dev ${device} ingress protocol ${which}\n`),
    `filter delete dev ${gatewayPortOf(device)} ingress protocol all pref 10\n`,
  ];
}

function pairCommand(device: string): string {
  return `link add ${gatewayOf(device)} address ${GATEWAY_MAC} type veth peer name ${gatewayPortOf(device)}\n`;
}
