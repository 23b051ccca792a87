// What dnsmasq (8) is told of one network, as three files: how it serves, who gets which address (DHCP, RFC 2131; DHCPv6, RFC 8415),
// and who is called what. The last two it reads anew when it is told to, so that machines come and go while it runs.
//
// Whoever asks is known by the interface that the question came by: a lease belongs to a card on its own cable, and is no other's.
// What a guest says of itself (its name, its client id) is not believed.
import {
  addressOf,
  GATEWAY_IPV4,
  GATEWAY_IPV6,
  gatewayOf,
  linkOf,
  UPLINK,
  type Address,
  type AddressRange,
  type Machine,
  type Network,
} from '@ringwall/netpolicy';

/** Where dnsmasq finds its files, and where it may write. */
export const NAMES_FILES = '/names';
export const NAMES_RUN = '/run';
/** Kept for private use by ICANN (2024): no name of the world ends so. */
const PRIVATE_DOMAIN = 'internal';
const LEASE_TIME = '1h';
/** Names may have another address soon: that of a machine made anew. */
const NAME_SECONDS = 10;
/** What the server calls itself (RFC 8415, 11.3), on each link: the enterprise of examples (RFC 5612), and our name. */
const SERVER_ID = '32473,52:69:6e:67:77:61:6c:6c';
const CACHED_NAMES = 1_000;
/** Questions to resolvers that wait for their answer. */
const FORWARDED_AT_ONCE = 150;
/** The size that passes every path in one piece (DNS Flag Day 2020). */
const DATAGRAM_BYTES = 1232;
const IPV4_BITS = 32;

export interface NamesWanted {
  readonly network: Network;
  readonly machines: readonly Machine[];
  /** Who is asked for names of the world; nobody where the network has no way out. */
  readonly resolvers: readonly Address[];
}

/** By the name of the file. Where `config` is another, dnsmasq is to be started anew; the others it reads again. */
export interface NamesFiles {
  readonly config: string;
  readonly leases: string;
  readonly names: string;
  readonly resolvers: string;
}

/** The domain of a network's machines: `web` of network `app` is `web.app.internal`. */
export function domainOf(network: Pick<Network, 'name'>): string {
  return `${network.name}.${PRIVATE_DOMAIN}`;
}

/** Pure. Every word in it was checked by lib/netpolicy: none has a comma, a space or a line's end. */
export function compileNames({ network, machines, resolvers }: NamesWanted): NamesFiles {
  const domain = domainOf(network);
  const isLink = network.mode !== 'routed';
  const named = machines.map(({ name, addresses }) => addresses.map(({ text }) => `${text} ${name}.${domain} ${name}`));
  return {
    config: lines([...SERVICE, ...serving(domain), ...(isLink ? ON_LINK : ALONE), ...rangesOf(network, machines)]),
    leases: lines(machines.map((machine) => leaseOf(machine, isLink))),
    names: lines([...named.flat(), `${GATEWAY_IPV4} gateway.${domain}`]),
    resolvers: lines(resolvers.map(({ text }) => `server=${text}`)),
  };
}

/** The same for every network. */
const SERVICE: readonly string[] = [
  'keep-in-foreground',
  'log-facility=-',
  'quiet-dhcp',
  'quiet-dhcp6',
  'quiet-ra',
  // It is its user already (host/jail).
  'user=',
  `pid-file=${NAMES_RUN}/pid`,
  `dhcp-leasefile=${NAMES_RUN}/leases`,
  // Of the host's own names and resolvers nothing is read.
  'no-hosts',
  'no-resolv',
  'no-poll',
  `addn-hosts=${NAMES_FILES}/names`,
  `dhcp-hostsfile=${NAMES_FILES}/leases`,
  `servers-file=${NAMES_FILES}/resolvers`,
  `except-interface=lo`,
  `except-interface=${UPLINK}`,
  // Addresses are the daemon's to allot: nobody is asked whether one is free, and whoever is not known hears nothing.
  'no-ping',
  'dhcp-authoritative',
  'dhcp-ignore=tag:!known',
  'dhcp-ignore-names',
  // An answer to an address that the client has not yet would need an entry among the neighbours: all of those are written down.
  'dhcp-broadcast',
  'enable-ra',
  // Of its own, it would make one of a card and the time: a new one at each start, and none where there is no card yet.
  `dhcp-duid=${SERVER_ID}`,
  // Names without a dot and the names of private addresses are not the world's; nor may it name private addresses to us.
  'domain-needed',
  'bogus-priv',
  'stop-dns-rebind',
  `cache-size=${CACHED_NAMES}`,
  `dns-forward-max=${FORWARDED_AT_ONCE}`,
  `edns-packet-max=${DATAGRAM_BYTES}`,
  `local-ttl=${NAME_SECONDS}`,
];

function serving(domain: string): string[] {
  return [
    `domain=${domain}`,
    `local=/${PRIVATE_DOMAIN}/`,
    `dhcp-option=option:dns-server,${GATEWAY_IPV4}`,
    `dhcp-option=option:domain-search,${domain}`,
    `dhcp-option=option6:dns-server,[${GATEWAY_IPV6}]`,
    `dhcp-option=option6:domain-search,${domain}`,
  ];
}

/** A machine alone in its prefix: all else is behind the gateway, which is on the link (RFC 3442). */
const ALONE: readonly string[] = [
  'dhcp-option=option:netmask,255.255.255.255',
  `dhcp-option=option:router,${GATEWAY_IPV4}`,
  `dhcp-option=option:classless-static-route,${GATEWAY_IPV4}/32,0.0.0.0,0.0.0.0/0,${GATEWAY_IPV4}`,
];

/**
 * On a switch its network is on the link, and so is the gateway, which leads nowhere. In IPv6 it has to call itself a router, though one
 * after all others (RFC 4191), for clients ask nobody for an address who says that he is none (a lifetime of 0).
 */
const ON_LINK: readonly string[] = [
  'dhcp-option=option:router',
  `dhcp-option=option:classless-static-route,${GATEWAY_IPV4}/32,0.0.0.0`,
  'ra-param=*,low,0',
];

/** From ranges nothing is given out but what is written down. IPv6 is served by link, of which the gateway has an address. */
function rangesOf({ addresses, mode }: Network, machines: readonly Machine[]): string[] {
  const ipv4 = addresses.filter(({ family }) => family === 4).map((range) => coverIpv4(range));
  const first = addresses.filter(({ family }) => family === 6).map((range) => addressOf(6, range.first));
  const links = [...first, ...machines.flatMap((machine) => machine.addresses.filter(({ family }) => family === 6))];
  return [
    ...[...new Map(ipv4.map((range) => [range.first, range])).values()].flatMap(({ first: start, mask }) => [
      `dhcp-range=${start},static,${mask},${LEASE_TIME}`,
      // The gateway's own address is not of the range.
      `shared-network=${GATEWAY_IPV4},${start}`,
    ]),
    ...new Set(
      links.map(
        (address) =>
          `dhcp-range=${linkOf(address).gateway},static,${mode === 'routed' ? 'off-link,' : ''}64,${LEASE_TIME}`,
      ),
    ),
  ];
}

function leaseOf({ mac, interface: device, addresses, name }: Machine, isLink: boolean): string {
  const given = addresses.map(({ family, text }) => (family === 4 ? text : `[${text}]`));
  return [mac, `tag:${isLink ? gatewayOf(device) : device}`, ...given, name, LEASE_TIME].join(',');
}

/** The smallest prefix that has the whole range. */
function coverIpv4({ first, last }: AddressRange): { first: string; mask: string } {
  const hostBits = BigInt((first ^ last).toString(2).length) - (first === last ? 1n : 0n);
  const mask = ((1n << BigInt(IPV4_BITS)) - 1n) & ~((1n << hostBits) - 1n);
  return { first: addressOf(4, first & mask).text, mask: addressOf(4, mask).text };
}

function lines(list: readonly string[]): string {
  return list.map((line) => `${line}\n`).join('');
}
