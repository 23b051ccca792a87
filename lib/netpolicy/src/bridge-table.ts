// The table of a bridge: what it looks up, and the way of a packet through its chains. Who sends what is held to cables, who gets it to
// addresses, and what passes between to the ways that one group has to another.
import { type DropReason, drops, refusals } from './drop-reasons.ts';
import { GROUP_REPORTS } from './gateway.ts';
import type { Chain, RuleSet, Selector, SetElement, Statement, Table, TablePart } from './ruleset.ts';
import { OPENING } from './share.ts';
import { SENDS } from './shares-table.ts';
import { hooked, TABLE } from './tables.ts';

const RAW_PRIORITY = -300;
const FILTER_PRIORITY = 0;
const ACCEPT: Statement = { verdict: 'accept' };
const DROP: Statement = { verdict: 'drop' };
const METERED: Statement = { verdict: { goto: SENDS } };
const REASONS: readonly DropReason[] = ['refused', 'rogue', 'spoofed', 'to-host', 'over-share'];

/** RFC 4861, 4: words of neighbour discovery. Routers there are none. */
const ROUTER_WORDS = { anyOf: [133, 134, 137] } as const;
const [SOLICITATION, ADVERTISEMENT] = [135, 136];
const DISCOVERY: Statement = { match: ['icmpv6 type'], op: '==', to: { anyOf: [SOLICITATION, ADVERTISEMENT] } };
/** A question goes to all ports, and is taken from it at all but one: a card asks for its neighbours a few times a minute. */
const SOLICITATIONS_BELOW = { perSecond: 20, burst: 60 } as const;
const RATE_KEPT_SECONDS = 60;
const DHCP_SERVER_PORTS = { anyOf: [67, 547] } as const;
const LINK_LOCAL = { first: 'fe80::', last: 'febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff' };

export interface Ways {
  readonly elements: Readonly<Record<string, SetElement[]>>;
  readonly chains: readonly Chain[];
}

/** Each packet comes by `guard`, where it begins, and by `forward`, where it goes. */
export function bridgeTable(
  members: Readonly<Record<string, readonly SetElement[]>>,
  { elements, chains }: Ways,
  shares: TablePart,
): Table {
  const take = (name: string): readonly SetElement[] => members[name] ?? elements[name] ?? [];
  const plain = (name: string, ...key: RuleSet['key']): RuleSet => ({
    name,
    key,
    interval: false,
    elements: take(name),
  });
  const marks = (name: string, ...key: RuleSet['key']): RuleSet => ({ ...plain(name, ...key), value: 'mark' });
  const verdicts = (name: string, ...key: RuleSet['key']): RuleSet => ({
    ...plain(name, 'mark', ...key),
    value: 'verdict',
    interval: true,
  });
  const refused = refusals(REASONS);
  return {
    family: 'bridge',
    name: TABLE,
    counters: REASONS,
    sets: [
      ...refused.sets,
      ...shares.sets,
      plain('senders4', 'ifname', 'ether_addr', 'ipv4_addr'),
      plain('senders6', 'ifname', 'ether_addr', 'ipv6_addr'),
      plain('receivers4', 'ifname', 'ipv4_addr'),
      plain('receivers6', 'ifname', 'ipv6_addr'),
      plain('asked6', 'ifname', 'ipv6_addr'),
      { ...plain('claims', 'ifname'), value: 'verdict' },
      { ...plain('asking', 'ifname'), metered: { forgottenAfterSeconds: RATE_KEPT_SECONDS } },
      plain('cables', 'ifname', 'ether_addr'),
      marks('groups4', 'ipv4_addr'),
      marks('groups6', 'ipv6_addr'),
      marks('ways4', 'mark', 'ipv4_addr'),
      marks('ways6', 'mark', 'ipv6_addr'),
      ...['asks', 'answers'].flatMap((word) => [
        verdicts(`${word}-ports`, 'inet_proto', 'inet_service'),
        verdicts(`${word}-icmp`, 'icmp_type'),
        verdicts(`${word}-icmpv6`, 'icmpv6_type'),
        verdicts(`${word}-protocols`, 'inet_proto'),
      ]),
    ],
    chains: [
      ...refused.chains,
      ...shares.chains,
      ...chains,
      { name: 'asks', rules: deciding('asks', 'th dport') },
      {
        name: 'begins',
        rules: [[{ verdict: { jump: OPENING } }], [{ verdict: { jump: 'asks' } }], [drops('refused')]],
      },
      { name: 'judge', rules: judging() },
      hooked('guard', 'prerouting', RAW_PRIORITY, 'drop', guarding()),
      // Questions for neighbours come to the bridge as to all ports: it is asked by nobody.
      hooked('input', 'input', FILTER_PRIORITY, 'drop', [[DISCOVERY, DROP], [drops('to-host')]]),
      hooked('forward', 'forward', FILTER_PRIORITY, 'drop', forwarding()),
    ],
  };
}

/** Whoever sends is who is on that cable, and no more than its share. Frames of other protocols match nothing here. */
function guarding(): (readonly Statement[])[] {
  const is = (to: string, ...key: Selector[]): Statement => ({ match: key, op: '==', to: { set: to } });
  const type = (number: number): Statement => ({ match: ['icmpv6 type'], op: '==', to: number });
  const linkLocal: Statement = { match: ['ip6 saddr'], op: '==', to: { anyOf: ['::', LINK_LOCAL] } };
  const seldom: Statement = { meter: 'asking', key: ['iifname'], below: [SOLICITATIONS_BELOW] };
  const isSender6 = is('senders6', 'iifname', 'ether saddr', 'ip6 saddr');
  const isCard = is('cables', 'iifname', 'ether saddr');
  return [
    // A tag stands before what the other rules look at, and they would look behind it.
    [{ match: ['ether type'], op: '==', to: { anyOf: ['8021q', '8021ad'] } }, drops('rogue')],
    [is('senders4', 'iifname', 'ether saddr', 'ip saddr'), METERED],
    [{ match: ['icmpv6 type'], op: '==', to: ROUTER_WORDS }, drops('rogue')],
    [{ match: ['icmpv6 type'], op: '==', to: GROUP_REPORTS }, DROP],
    [type(ADVERTISEMENT), isSender6, { decide: { map: 'claims', key: ['iifname'] } }],
    [type(SOLICITATION), isSender6, seldom, ACCEPT],
    [type(SOLICITATION), linkLocal, isCard, seldom, ACCEPT],
    [{ match: ['icmpv6 type'], op: '==', to: { anyOf: [SOLICITATION, ADVERTISEMENT] } }, drops('spoofed')],
    [isSender6, METERED],
    [
      { match: ['arp operation'], op: '==', to: 'request' },
      isCard,
      is('senders4', 'iifname', 'arp saddr ether', 'arp saddr ip'),
      METERED,
    ],
    [drops('spoofed')],
  ];
}

/** To whom it is delivered is whose address it has: a frame for one machine brings another no packet. */
function forwarding(): (readonly Statement[])[] {
  const reaches = (to: string, address: Selector): Statement => ({
    match: ['oifname', address],
    op: '==',
    to: { set: to },
  });
  return [
    // The bridge has answered, if anybody is there.
    [{ match: ['arp operation'], op: '==', to: { anyOf: ['request', 'reply'] } }, DROP],
    [DISCOVERY, reaches('asked6', 'ip6 daddr'), ACCEPT],
    [DISCOVERY, reaches('receivers6', 'ip6 daddr'), ACCEPT],
    [DISCOVERY, DROP],
    [reaches('receivers4', 'ip daddr'), { verdict: { goto: 'judge' } }],
    [reaches('receivers6', 'ip6 daddr'), { verdict: { goto: 'judge' } }],
    [drops('spoofed')],
  ];
}

function judging(): (readonly Statement[])[] {
  const look = (map: string, ...key: Selector[]): Statement[] => [{ assign: 'mark', from: { map, key } }];
  return [
    [{ match: ['udp sport'], op: '==', to: DHCP_SERVER_PORTS }, drops('rogue')],
    [{ assign: 'mark', from: 0 }],
    look('groups4', 'ip saddr'),
    look('groups6', 'ip6 saddr'),
    look('ways4', 'mark', 'ip daddr'),
    look('ways6', 'mark', 'ip6 daddr'),
    // A connection of TCP is begun by one kind of segment alone (RFC 9293, 3.5): no answer is of it.
    [{ match: ['tcp flags syn,ack'], op: '==', to: 'syn' }, { verdict: { goto: 'begins' } }],
    [{ verdict: { jump: 'asks' } }],
    ...deciding('answers', 'th sport'),
    [drops('refused')],
  ];
}

function deciding(word: 'asks' | 'answers', port: Selector): Statement[][] {
  return [
    [{ decide: { map: `${word}-ports`, key: ['mark', 'l4proto', port] } }],
    [{ decide: { map: `${word}-icmp`, key: ['mark', 'icmp type'] } }],
    [{ decide: { map: `${word}-icmpv6`, key: ['mark', 'icmpv6 type'] } }],
    [{ decide: { map: `${word}-protocols`, key: ['mark', 'l4proto'] } }],
  ];
}
