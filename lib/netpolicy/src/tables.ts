// The skeleton of every network's rules, the same for one machine and for ten thousand: what differs are the elements of its sets.
// Guards (one table for each family, before connection tracking) say who is behind which interface; `rules` says who may reach
// whom: from address to group, from two groups to a pair, from pair and service to a decision, each by one lookup.
import { addressOf, type AddressRange, type Family } from './address.ts';
import { type DropReason, drops, LOG_GROUPS, LOGGED_PER_SECOND, refusals } from './drop-reasons.ts';
import { GATEWAY_IPV4, guardCards, hearQuestions, questionMeters, UPLINK } from './gateway.ts';
import type { Chain, KeyPart, RuleSet, Selector, SetElement, Statement, Table } from './ruleset.ts';
import { ICMP_PROTOCOLS } from './service.ts';

export const TABLE = 'ringwall';

/** nft(8), table 6: before connection tracking, so that a spoofed packet leaves no trace in it. */
const RAW_PRIORITY = -300;
const FILTER_PRIORITY = 0;
const SOURCE_NAT_PRIORITY = 100;

/** Ports that servers of DHCP and DHCPv6 speak from. */
const DHCP_SERVER_PORTS = { anyOf: [67, 547] } as const;

const ACCEPT: Statement = { verdict: 'accept' };

/** What of a network decides which rules there are, and not only which elements. */
export interface Kind {
  /** Whether there is a way out. */
  readonly internet: boolean;
  /** Whether the gateway serves addresses and names. */
  readonly dns: boolean;
}

/** Elements by the name of their set. */
export type Elements<Name extends string> = Readonly<Record<Name, readonly SetElement[]>>;

export function guardTable(
  family: Family,
  elements: Elements<'senders' | 'far' | 'cables'>,
  ours: readonly AddressRange[],
  { internet, dns }: Kind,
): Table {
  const protocol = family === 4 ? 'ip' : 'ip6';
  const source: Selector = `${protocol} saddr`;
  const address = family === 4 ? 'ipv4_addr' : 'ipv6_addr';
  const rules: Statement[][] = [
    [{ match: ['iifname', 'ether saddr', source], op: '==', to: { set: 'senders' } }, ACCEPT],
  ];
  if (internet && ours.length > 0) {
    const fromUplink: Statement = { match: ['iifname'], op: '==', to: UPLINK };
    const claimsOurs: Statement = { match: [source], op: '==', to: { anyOf: ours.map((range) => rangeKey(range)) } };
    rules.push([fromUplink, claimsOurs, drops('spoofed')], [fromUplink, ACCEPT]);
  }
  // What a tunnel brings has no hardware address: the rule above does not look at it.
  rules.push([{ match: ['iifname', source], op: '==', to: { set: 'far' } }, ACCEPT]);
  rules.push(...guardCards(family, dns), [drops('spoofed')]);
  const reasons: DropReason[] = family === 6 ? ['rogue', 'spoofed'] : ['spoofed'];
  const refused = refusals(reasons);
  const sets = [
    set('senders', ['ifname', 'ether_addr', address], elements.senders),
    set('far', ['ifname', address], elements.far),
    set('cables', ['ifname', 'ether_addr'], elements.cables),
    ...refused.sets,
  ];
  return {
    family: protocol,
    name: TABLE,
    counters: reasons,
    sets,
    chains: [...refused.chains, hooked('guard', 'prerouting', RAW_PRIORITY, 'drop', rules)],
  };
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
  | 'pairs'
  | 'ports'
  | 'icmp'
  | 'icmpv6'
  | 'protocols'
  | 'cells'
  | 'decisions';

const RULE_REASONS: readonly DropReason[] = ['denied', 'invalid', 'refused', 'rogue', 'to-host'];

export function rulesTable(elements: Elements<RuleSetName>, decisions: readonly Chain[], kind: Kind): Table {
  const { internet, dns } = kind;
  const refused = refusals(RULE_REASONS);
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
    ...refused.sets,
    ...questionMeters(dns),
  ];
  if (internet) {
    sets.push({ ...map('outside4', ['ipv4_addr'], elements.outside4), interval: true });
    sets.push({ ...map('outside6', ['ipv6_addr'], elements.outside6), interval: true });
  }
  const chains = [...refused.chains, ...decisions, decidingChain(internet), ...hookedChains(kind)];
  return { family: 'inet', name: TABLE, counters: RULE_REASONS, sets, chains };
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
      [drops('refused')],
    ],
  };
}

function hookedChains({ internet, dns }: Kind): Chain[] {
  const chains = [
    hooked('input', 'input', FILTER_PRIORITY, 'drop', [...hearQuestions(internet, dns), [drops('to-host')]]),
    hooked('forward', 'forward', FILTER_PRIORITY, 'drop', [
      [{ match: ['ct state'], op: 'in', to: { anyOf: ['established', 'related'] } }, ACCEPT],
      [{ match: ['ct state'], op: 'in', to: { anyOf: ['invalid'] } }, drops('invalid')],
      [{ verdict: { goto: 'new' } }],
    ]),
  ];
  if (!internet) return chains;
  const masquerade: Statement[] = [{ match: ['oifname'], op: '==', to: UPLINK }, { verdict: 'masquerade' }];
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
