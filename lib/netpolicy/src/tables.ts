// The skeleton of every network's rules, the same for one machine and for ten thousand: what differs are the elements of its sets.
// Before connection tracking, guards say who is behind which interface, and meters what they may take; behind it, rules say who may reach
// whom: from address to group, from two groups to a pair, from pair and service to a decision, each by one lookup. It is one table with
// one chain at each place, for each chain that a packet comes through costs as much as two of its rules.
import { addressOf, type AddressRange, type Family } from './address.ts';
import { type DropReason, drops, LOG_GROUPS, LOGGED_PER_SECOND, refusals } from './drop-reasons.ts';
import {
  GATEWAY_IPV4,
  GATEWAY_IPV6,
  guardCards,
  hearQuestions,
  NEIGHBOURS,
  questionMeters,
  UPLINK,
} from './gateway.ts';
import { COMMON_SHARE } from './share.ts';
import type { Chain, KeyPart, RuleSet, Selector, SetElement, Statement, Table, TablePart } from './ruleset.ts';
import { ICMP_PROTOCOLS } from './service.ts';

export const TABLE = 'ringwall';

/** nft(8), table 6: before connection tracking, so that a spoofed packet leaves no trace in it. */
export const RAW_PRIORITY = -300;
export const FILTER_PRIORITY = 0;
export const SOURCE_NAT_PRIORITY = 100;

/** Ports that servers of DHCP and DHCPv6 speak from. */
const DHCP_SERVER_PORTS = { anyOf: [67, 547] } as const;

const REPORT = 'report';

const ACCEPT: Statement = { verdict: 'accept' };
const METERED: Statement = { verdict: { goto: COMMON_SHARE } };
const TO_UPLINK: Statement = { match: ['oifname'], op: '==', to: UPLINK };

/** What of a network decides which rules there are, and not only which elements. */
export interface Kind {
  /** Whether there is a way out. */
  readonly internet: boolean;
  /** Whether the gateway serves addresses and names. */
  readonly dns: boolean;
}

/** Elements by the name of their set. */
export type Elements<Name extends string> = Readonly<Record<Name, readonly SetElement[]>>;

export type GuardSetName =
  | 'senders4'
  | 'senders6'
  | 'others4'
  | 'others6'
  | 'apart4'
  | 'apart6'
  | 'far4'
  | 'far6'
  | 'cables';

const FAMILIES: readonly Family[] = [4, 6];
const ADDRESS_TYPES = { 4: 'ipv4_addr', 6: 'ipv6_addr' } as const;
const SOURCES = { 4: 'ip saddr', 6: 'ip6 saddr' } as const;

/** Who is behind which interface; whoever is goes on to be metered. Machines with another share than most have a set of their own. */
function guardPart(
  elements: Elements<GuardSetName>,
  ours: readonly AddressRange[],
  { internet, dns }: Kind,
): TablePart {
  const sender = (family: Family): Selector[] => ['iifname', 'ether saddr', SOURCES[family]];
  // Said before anything is looked at, so that nft has nothing to add but the kind of link.
  const is = (family: Family): Statement => ({ match: ['nfproto'], op: '==', to: `ipv${family}` });
  const rules: Statement[][] = FAMILIES.flatMap((family): Statement[][] => [
    [is(family), { match: sender(family), op: '==', to: { set: `senders${family}` } }, METERED],
    [is(family), { decide: { map: `others${family}`, key: sender(family) } }],
  ]);
  if (internet) {
    const fromUplink: Statement = { match: ['iifname'], op: '==', to: UPLINK };
    for (const family of FAMILIES) {
      const own = ours.filter((range) => range.family === family).map((range) => rangeKey(range));
      if (own.length > 0)
        rules.push([fromUplink, { match: [SOURCES[family]], op: '==', to: { anyOf: own } }, drops('spoofed')]);
    }
    rules.push([fromUplink, ACCEPT]);
  }
  // What a tunnel brings has no hardware address, and has had its share where it comes from.
  for (const family of FAMILIES)
    rules.push([{ match: ['iifname', SOURCES[family]], op: '==', to: { set: `far${family}` } }, ACCEPT]);
  rules.push(...ownWords(), ...FAMILIES.flatMap((family) => guardCards(family, dns, METERED)), [drops('spoofed')]);
  return {
    sets: [
      ...FAMILIES.flatMap((family): RuleSet[] => {
        const key: RuleSet['key'] = ['ifname', 'ether_addr', ADDRESS_TYPES[family]];
        return [
          set(`senders${family}`, key, elements[`senders${family}`]),
          { ...set(`others${family}`, key, elements[`others${family}`]), value: 'verdict' },
          // The same ones, to be found without being led anywhere.
          set(`apart${family}`, key, elements[`apart${family}`]),
          set(`far${family}`, ['ifname', ADDRESS_TYPES[family]], elements[`far${family}`]),
        ];
      }),
      set('cables', ['ifname', 'ether_addr'], elements.cables),
    ],
    chains: [hooked('guard', 'prerouting', RAW_PRIORITY, 'drop', rules)],
  };
}

/**
 * What the gateway says to all on a link, the kernel has it hear itself, without a link's header: no machine has sent that. With one,
 * somebody else says it.
 */
function ownWords(): Statement[][] {
  return (
    [
      ['ip saddr', GATEWAY_IPV4],
      ['ip6 saddr', GATEWAY_IPV6],
    ] as const
  ).flatMap(([source, gateway]) => {
    const isIts: Statement = { match: [source], op: '==', to: gateway };
    return [
      [isIts, { match: ['ether saddr'], op: '!=', to: '00:00:00:00:00:00' }, drops('spoofed')],
      [isIts, { match: ['iiftype'], op: '==', to: 'ether' }, { verdict: 'drop' }],
    ];
  });
}

/** Of ARP, only the question for the gateway is heard, by whom it can come from: the kernel learns nothing else. */
export function arpTable(senders: readonly SetElement[], internet: boolean): Table {
  const refused = refusals(['spoofed']);
  const rules: Statement[][] = [
    [
      { match: ['arp operation'], op: '==', to: 'request' },
      { match: ['arp daddr ip'], op: '==', to: GATEWAY_IPV4 },
      { match: ['iifname', 'arp saddr ether', 'arp saddr ip'], op: '==', to: { set: 'senders' } },
      ACCEPT,
    ],
    // On the way out a router is a neighbour like others: there the host is, and no machine.
    ...(internet ? [[{ match: ['iifname'], op: '==', to: UPLINK } as const, ACCEPT]] : []),
    [drops('spoofed')],
  ];
  return {
    family: 'arp',
    name: TABLE,
    counters: ['spoofed'],
    sets: [set('senders', ['ifname', 'ether_addr', 'ipv4_addr'], senders), ...refused.sets],
    chains: [...refused.chains, hooked('guard', 'input', FILTER_PRIORITY, 'drop', rules)],
  };
}

export type RuleSetName =
  | 'groups4'
  | 'groups6'
  | 'outside4'
  | 'outside6'
  | 'protected4'
  | 'protected6'
  | 'pairs'
  | 'ports'
  | 'icmp'
  | 'icmpv6'
  | 'protocols'
  | 'cells'
  | 'decisions';

const REASONS: readonly DropReason[] = [
  'crowding',
  'denied',
  'invalid',
  'over-share',
  'protected',
  'refused',
  'rogue',
  'spoofed',
  'to-host',
];

/** All but what ARP says. `ours` are the network's addresses. */
export function networkTable(
  elements: Elements<GuardSetName | RuleSetName>,
  ours: readonly AddressRange[],
  decisions: readonly Chain[],
  shares: TablePart,
  kind: Kind,
): Table {
  const refused = refusals(REASONS);
  const parts = [refused, shares, guardPart(elements, ours, kind), rulesPart(elements, decisions, kind)];
  return {
    family: 'inet',
    name: TABLE,
    counters: REASONS,
    sets: parts.flatMap(({ sets }) => sets),
    chains: parts.flatMap(({ chains }) => chains),
  };
}

function rulesPart(elements: Elements<RuleSetName>, decisions: readonly Chain[], kind: Kind): TablePart {
  const { internet, dns } = kind;
  const sets: RuleSet[] = [
    map('groups4', ['ipv4_addr'], elements.groups4),
    map('groups6', ['ipv6_addr'], elements.groups6),
    map('pairs', ['mark', 'mark'], elements.pairs),
    { ...map('ports', ['inet_proto', 'inet_service'], elements.ports), interval: true },
    // Of 256 numbers each, one by one: Linux 6.18 does not replace an interval that ends with the last of them in one batch.
    map('icmp', ['icmp_type'], elements.icmp),
    map('icmpv6', ['icmpv6_type'], elements.icmpv6),
    map('protocols', ['inet_proto'], elements.protocols),
    map('cells', ['mark', 'mark'], elements.cells),
    // How often each has decided: once for a connection, so that it costs a packet nothing.
    { ...map('decisions', ['mark'], elements.decisions), value: 'verdict', counted: true },
    ...questionMeters(dns),
    ...NEIGHBOURS.sets,
  ];
  if (internet) {
    sets.push({ ...map('outside4', ['ipv4_addr'], elements.outside4), interval: true });
    sets.push({ ...map('outside6', ['ipv6_addr'], elements.outside6), interval: true });
    sets.push({ ...set('protected4', ['ipv4_addr'], elements.protected4), interval: true });
    sets.push({ ...set('protected6', ['ipv6_addr'], elements.protected6), interval: true });
  }
  const decides = [...decisions, decidingChain(internet), reportChain(internet)];
  return { sets, chains: [...decides, ...NEIGHBOURS.chains, ...hookedChains(kind)] };
}

/**
 * For the first packet of a connection alone. The two marks are the registers: each lookup leaves its answer in one of them, and one
 * that finds nothing leaves what was there, a number of another kind, which no later map has.
 */
function decidingChain(internet: boolean): Chain {
  const assign = (register: 'mark' | 'ct mark', name: RuleSetName, ...key: Selector[]): Statement[] => [
    { assign: register, from: { map: name, key } },
  ];
  return {
    name: 'new',
    rules: [
      [{ match: ['udp sport'], op: '==', to: DHCP_SERVER_PORTS }, drops('rogue')],
      [{ assign: 'mark', from: 0 }],
      assign('mark', 'groups4', 'ip saddr'),
      assign('mark', 'groups6', 'ip6 saddr'),
      ...(internet ? [assign('ct mark', 'outside4', 'ip daddr'), assign('ct mark', 'outside6', 'ip6 daddr')] : []),
      assign('ct mark', 'groups4', 'ip daddr'),
      assign('ct mark', 'groups6', 'ip6 daddr'),
      assign('mark', 'pairs', 'mark', 'ct mark'),
      assign('ct mark', 'protocols', 'l4proto'),
      assign('ct mark', 'ports', 'l4proto', 'th dport'),
      assign('ct mark', 'icmp', 'icmp type'),
      assign('ct mark', 'icmpv6', 'icmpv6 type'),
      assign('mark', 'cells', 'mark', 'ct mark'),
      // Kept with the connection: which decision it lives by.
      [{ assign: 'ct mark', from: 'mark' }],
      [{ decide: { map: 'decisions', key: ['mark'] } }],
      // What is protected is no group of any rule: here it is only called by its name.
      ...(internet ? ([4, 6] as const).map(isProtected) : []),
      [drops('refused')],
    ],
  };
}

/**
 * For an error that is reported of a connection (RFC 792, RFC 4443): it passes where one of the two ends reports it. The packet that it
 * quotes is all that connection tracking asks for, and whoever guesses ports can quote one of others.
 */
function reportChain(internet: boolean): Chain {
  const ends: readonly (readonly [Family, Selector])[] = [
    [4, 'ct original ip daddr'],
    [4, 'ct original ip saddr'],
    [6, 'ct original ip6 daddr'],
    [6, 'ct original ip6 saddr'],
  ];
  return {
    name: REPORT,
    rules: [
      ...ends.flatMap(([family, end]): Statement[][] => [
        [{ match: ['iifname', 'ether saddr', end], op: '==', to: { set: `senders${family}` } }, ACCEPT],
        [{ match: ['iifname', 'ether saddr', end], op: '==', to: { set: `apart${family}` } }, ACCEPT],
        [{ match: ['iifname', end], op: '==', to: { set: `far${family}` } }, ACCEPT],
      ]),
      // Out there, routers on the way report as well.
      ...(internet ? [[{ match: ['iifname'], op: '==', to: UPLINK } as const, ACCEPT]] : []),
      [drops('invalid')],
    ],
  };
}

function isProtected(family: Family): Statement[] {
  const match: Selector = family === 4 ? 'ip daddr' : 'ip6 daddr';
  return [{ match: [match], op: '==', to: { set: `protected${family}` } }, drops('protected')];
}

function hookedChains({ internet, dns }: Kind): Chain[] {
  const chains = [
    hooked('input', 'input', FILTER_PRIORITY, 'drop', [...hearQuestions(internet, dns), [drops('to-host')]]),
    hooked('forward', 'forward', FILTER_PRIORITY, 'drop', [
      [{ match: ['ct state'], op: 'in', to: { anyOf: ['established'] } }, ACCEPT],
      [{ match: ['ct state'], op: 'in', to: { anyOf: ['related'] } }, { verdict: { goto: REPORT } }],
      [{ match: ['ct state'], op: 'in', to: { anyOf: ['invalid'] } }, drops('invalid')],
      // Machines of other hosts go out by their own: what is no Ethernet came through a tunnel.
      ...(internet ? [[{ match: ['iiftype'], op: '!=', to: 'ether' } as const, TO_UPLINK, drops('refused')]] : []),
      [{ verdict: { goto: 'new' } }],
    ]),
  ];
  if (!internet) return chains;
  const masquerade: Statement[] = [TO_UPLINK, { verdict: 'masquerade' }];
  const nat = hooked('postrouting', 'postrouting', SOURCE_NAT_PRIORITY, 'accept', [masquerade]);
  return [...chains, { ...nat, hook: { ...nat.hook, type: 'nat' } }];
}

/** What a rule with `log` says of each connection that it decides. */
export function loggingStatement(prefix: string): Statement {
  return { log: { prefix, group: LOG_GROUPS.decided, perSecond: LOGGED_PER_SECOND } };
}

export function rangeKey({ family, first, last }: AddressRange): KeyPart {
  if (first === last) return addressOf(family, first).text;
  return { first: addressOf(family, first).text, last: addressOf(family, last).text };
}

/** Protocols that have a map of their own, by which a service of theirs is found. */
export const ICMP_MAPS: Readonly<Record<number, 'icmp' | 'icmpv6'>> = {
  [ICMP_PROTOCOLS.icmp]: 'icmp',
  [ICMP_PROTOCOLS.icmpv6]: 'icmpv6',
};

type Hook = NonNullable<Chain['hook']>;

export function hooked(
  name: string,
  at: Hook['at'],
  priority: number,
  policy: Hook['policy'],
  rules: Chain['rules'],
): Chain & { hook: Hook } {
  return { name, hook: { type: 'filter', at, priority, policy }, rules };
}

function set(name: string, key: RuleSet['key'], elements: readonly SetElement[]): RuleSet {
  return { name, key, interval: false, elements };
}

function map(name: RuleSetName, key: RuleSet['key'], elements: readonly SetElement[]): RuleSet {
  return { name, key, value: 'mark', interval: false, elements };
}
