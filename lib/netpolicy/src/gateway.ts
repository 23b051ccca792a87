// What the gateway of a network serves itself, and nothing else of it answers: addresses (RFC 2131, RFC 8415), router advertisements
// (RFC 4861) and names. Two steps: guards let through what a card says before it has an address, and from its own link-local ones;
// the chain of input takes the questions for these services, each card's counted by itself, so that one floods nobody else's.
import { type Address, addressOf, type Family, printRange } from './address.ts';
import { drops } from './drop-reasons.ts';
import type { RuleSet, Statement, TablePart } from './ruleset.ts';

/** The one address that a machine's ARP may ask for: its gateway on every cable (RFC 3927 addresses are never routed). */
export const GATEWAY_IPV4 = '169.254.1.1';
/** The same for neighbour discovery, on every cable (RFC 4291, 2.5.6). */
export const GATEWAY_IPV6 = 'fe80::1';

/** The interface that leads out of a network's namespace, where the network has one. */
export const UPLINK = 'uplink';

/** RFC 4291, 2.6.1: what routers on a link are called by, and no machine. Addresses are given out in links of this length. */
const LINK_HOST_BITS = 64n;

/** The link on which a machine with this IPv6 address is, of which its gateway has the first address. */
export function linkOf({ value }: Address): LinkPrefix {
  const first = (value >> LINK_HOST_BITS) << LINK_HOST_BITS;
  const text = printRange({ family: 6, first, last: first | ((1n << LINK_HOST_BITS) - 1n) });
  return { gateway: addressOf(6, first).text, text };
}

export interface LinkPrefix {
  readonly gateway: string;
  /** With its length. */
  readonly text: string;
}

/** RFC 4861, 4: types of neighbour discovery, and its hop limit, which no router lets through. */
const ROUTER_SOLICITATION = 133;
const NEIGHBOUR_WORDS = { anyOf: [135, 136] } as const;
const ROUTER_WORDS = { anyOf: [134, 137] } as const;
const ND_HOP_LIMIT = 255;
/** RFC 2710, RFC 3810: every system tells its groups as soon as its card is up. There is nobody to listen, and nothing in it. */
export const GROUP_REPORTS = { anyOf: [{ first: 130, last: 132 }, 143] } as const;

const DHCP_PORTS = { 4: { client: 68, server: 67 }, 6: { client: 546, server: 547 } } as const;
const DNS_PORT = 53;

/** A card asks for its neighbour twice a minute. */
const SOLICITATIONS_BELOW = { perSecond: 10, burst: 30 } as const;
/** A lease takes two questions and lasts an hour; an impatient client repeats itself each second. */
const LEASES_BELOW = { perSecond: 5, burst: 20 } as const;
/** A busy server's, whose resolver keeps nothing. */
const QUESTIONS_BELOW = { perSecond: 200, burst: 400 } as const;
/** dnsmasq has 20 processes for them in all: no card keeps more than a few busy. */
const CONNECTIONS_BELOW = { connections: 4 } as const;
/** How long a card's rate is kept when it is silent: by then its burst has come back. */
const RATE_KEPT_SECONDS = 60;

/**
 * A system has one link-local address for its card, and may take another. Of each that the gateway hears, the kernel may keep a neighbour, in
 * one table for all namespaces of the host (gc_thresh3: 1,024 unless somebody says otherwise): a card with thousands would leave others
 * without. So each has three at once and three more every five minutes, and is asked again for each after as long: six are known at most,
 * and whoever stays with three is never refused.
 */
const NEWCOMERS_BELOW = { perHour: 36, burst: 3 } as const;
const NEIGHBOUR_KEPT_SECONDS = 300;
/** By then the burst has come back. */
const NEWCOMERS_KEPT_SECONDS = 600;

const ACCEPT: Statement = { verdict: 'accept' };
const DROP: Statement = { verdict: 'drop' };
const FROM_ITS_CARD: Statement = { match: ['iifname', 'ether saddr'], op: '==', to: { set: 'cables' } };
const LINK_LOCAL = { first: 'fe80::', last: 'febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff' };

/**
 * For what a card sends that is not from an address of its machine: `then` what may be goes on. `dns`: the gateway serves addresses and
 * names.
 */
export function guardCards(family: Family, dns: boolean, then: Statement): Statement[][] {
  if (family === 4) return dns ? [firstQuestion(then)] : [];
  const fromLink: Statement = { match: ['ip6 saddr'], op: '==', to: { anyOf: ['::', LINK_LOCAL] } };
  const toGateway: Statement = {
    match: ['ip6 daddr'],
    op: '==',
    to: { anyOf: [GATEWAY_IPV6, 'ff02::2', 'ff02::1:2'] },
  };
  return [
    [{ match: ['icmpv6 type'], op: '==', to: NEIGHBOUR_WORDS }, fromLink, FROM_ITS_CARD, then],
    [{ match: ['icmpv6 type'], op: '==', to: ROUTER_WORDS }, drops('rogue')],
    [{ match: ['icmpv6 type'], op: '==', to: GROUP_REPORTS }, DROP],
    ...(dns ? [[fromLink, toGateway, FROM_ITS_CARD, then]] : []),
  ];
}

/** RFC 2131, 4.1: whoever has no address yet asks as 0.0.0.0, everybody. */
function firstQuestion(then: Statement): Statement[] {
  return [
    { match: ['ip saddr'], op: '==', to: '0.0.0.0' },
    { match: ['ip daddr'], op: '==', to: '255.255.255.255' },
    { match: ['udp dport'], op: '==', to: DHCP_PORTS[4].server },
    FROM_ITS_CARD,
    then,
  ];
}

const OWN_LINK_LOCAL = { name: 'neighbours', key: ['iifname', 'ip6 saddr'] } as const;
const NEWCOMERS = 'newcomers';

/** What a card says from a link-local address: it goes on from those that the card has, as far as they are few. */
export const NEIGHBOURS: TablePart = {
  sets: [
    {
      ...{ name: OWN_LINK_LOCAL.name, key: ['ifname', 'ipv6_addr'], interval: false, elements: [] },
      metered: { forgottenAfterSeconds: NEIGHBOUR_KEPT_SECONDS },
    },
    {
      ...{ name: NEWCOMERS, key: ['ifname'], interval: false, elements: [] },
      metered: { forgottenAfterSeconds: NEWCOMERS_KEPT_SECONDS },
    },
  ],
  chains: [
    {
      name: 'link-local',
      rules: [
        [{ match: OWN_LINK_LOCAL.key, op: '==', to: { set: OWN_LINK_LOCAL.name } }, { verdict: 'return' }],
        [
          { meter: NEWCOMERS, key: ['iifname'], below: [NEWCOMERS_BELOW] },
          { remember: OWN_LINK_LOCAL.name, key: OWN_LINK_LOCAL.key },
          { verdict: 'return' },
        ],
        [drops('crowding')],
      ],
    },
  ],
};

/** The rules of the input chain: what the gateway hears. What is above its measure falls through to the end of the chain. */
export function hearQuestions(internet: boolean, dns: boolean): Statement[][] {
  const solicitation = (type: number | typeof NEIGHBOUR_WORDS): Statement[] => [
    { match: ['icmpv6 type'], op: '==', to: type },
    { match: ['ip6 hoplimit'], op: '==', to: ND_HOP_LIMIT },
    { meter: 'solicitations', key: ['iifname'], below: [SOLICITATIONS_BELOW] },
    ACCEPT,
  ];
  const fromUplink: Statement = { match: ['iifname'], op: '==', to: UPLINK };
  const answers: Statement = { match: ['ct state'], op: 'in', to: { anyOf: ['established', 'related'] } };
  return [
    [{ match: ['ip6 saddr'], op: '==', to: { anyOf: [LINK_LOCAL] } }, { verdict: { jump: 'link-local' } }],
    solicitation(NEIGHBOUR_WORDS),
    // From outside comes what the gateway's own resolver has asked for, and no question.
    ...(internet
      ? [
          [fromUplink, answers, ACCEPT],
          [fromUplink, drops('to-host')],
        ]
      : []),
    ...(dns ? [solicitation(ROUTER_SOLICITATION), ...([4, 6] as const).map(askLease), ...askNames(answers)] : []),
  ];
}

function askLease(family: Family): Statement[] {
  const { client, server } = DHCP_PORTS[family];
  return [
    { match: ['udp sport'], op: '==', to: client },
    { match: ['udp dport'], op: '==', to: server },
    { meter: 'leases', key: ['iifname'], below: [LEASES_BELOW] },
    ACCEPT,
  ];
}

function askNames(answers: Statement): Statement[][] {
  const byTcp: Statement = { match: ['tcp dport'], op: '==', to: DNS_PORT };
  const meter = { meter: 'questions', key: ['iifname'], below: [QUESTIONS_BELOW] } as const;
  return [
    [{ match: ['udp dport'], op: '==', to: DNS_PORT }, meter, ACCEPT],
    [byTcp, answers, meter, ACCEPT],
    [byTcp, meter, { meter: 'name-connections', key: ['iifname'], below: [CONNECTIONS_BELOW] }, ACCEPT],
  ];
}

/** The sets that those rules count in. */
export function questionMeters(dns: boolean): RuleSet[] {
  const meter = (name: string, metered: RuleSet['metered'] & {}): RuleSet => ({
    name,
    key: ['ifname'],
    interval: false,
    metered,
    elements: [],
  });
  const rates = ['solicitations', ...(dns ? ['leases', 'questions'] : [])];
  return [
    ...rates.map((name) => meter(name, { forgottenAfterSeconds: RATE_KEPT_SECONDS })),
    ...(dns ? [meter('name-connections', {})] : []),
  ];
}
