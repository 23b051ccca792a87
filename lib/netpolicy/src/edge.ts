// The rules of the edge, by which networks of this host go out: a namespace between them and the world that is nobody's machine. It knows
// each network by the address of its cable and lets nothing come of it but what the network began; what the network's own walls keep
// from its machines is kept from them here once more.
import { type AddressRange, type Family } from './address.ts';
import { type DropReason, drops, refusals } from './drop-reasons.ts';
import { EDGE_LINKS, edgeAddress, type EdgeCable, edgePorts } from './edge-links.ts';
import { type Egress, neverReached } from './egress.ts';
import { PROTECTED, unionOf } from './protected.ts';
import type { Chain, CompiledRules, RuleSet, Statement, Table } from './ruleset.ts';
import { connectionsOver, FULL, FULL_SET, meterOf } from './shares-table.ts';
import { FILTER_PRIORITY, hooked, RAW_PRIORITY, rangeKey, SOURCE_NAT_PRIORITY, TABLE } from './tables.ts';

/** Of the kernel's 262,144 connections (nf_conntrack_max of a host with more than 4 GiB) a sixteenth for each network. */
const CONNECTIONS_EACH = 16_384;
const [TCP, UDP] = [6, 17];
const DNS_PORT = 53;
/** RFC 4861, 4: solicitations and advertisements of neighbours, and their hop limit, which no router lets through. */
const NEIGHBOUR_WORDS = { anyOf: [135, 136] } as const;
const ND_HOP_LIMIT = 255;
/** RFC 2710, RFC 3810: what a kernel says by itself on a cable whose other end does not listen. */
const GROUP_REPORTS = { anyOf: [{ first: 130, last: 132 }, 143] } as const;
const ACCEPT: Statement = { verdict: 'accept' };
const DROP: Statement = { verdict: 'drop' };
const REASONS: readonly DropReason[] = ['invalid', 'over-share', 'protected', 'refused', 'to-host'];

export interface EdgeOptions {
  readonly egress: Pick<Egress, 'ways' | 'resolvers' | 'never'>;
  /** What the uplink is called in the edge. */
  readonly uplink: string;
  readonly cables: readonly EdgeCable[];
  /** This host's, its other networks', other hosts'. */
  readonly protectedRanges: readonly AddressRange[];
}

export function compileEdge({ egress, uplink, cables, protectedRanges }: EdgeOptions): CompiledRules {
  const never = [...PROTECTED, ...neverReached(egress), ...protectedRanges];
  const families = egress.ways.map(({ address }) => address.family);
  const guards = ([4, 6] as const).map((family) => guard(family, uplink, families.includes(family) ? cables : []));
  return { ruleset: { tables: [...guards, arpGuard(uplink), rules({ egress, uplink, cables }, never)] } };
}

/** Who sends is who is on that cable; from outside nobody of ours comes. */
function guard(family: Family, uplink: string, cables: readonly EdgeCable[]): Table {
  const protocol = family === 4 ? 'ip' : 'ip6';
  const refused = refusals(['spoofed']);
  const ours = EDGE_LINKS.filter((range) => range.family === family).map((range) => rangeKey(range));
  const fromUplink: Statement = { match: ['iifname'], op: '==', to: uplink };
  const sets: RuleSet[] = [
    {
      name: 'cables',
      key: ['ifname', family === 4 ? 'ipv4_addr' : 'ipv6_addr'],
      interval: false,
      elements: cables.map((cable) => ({ key: [cable.interface, edgeAddress(cable, family)] })),
    },
    ...refused.sets,
  ];
  const source = family === 4 ? 'ip saddr' : 'ip6 saddr';
  const chain = hooked('guard', 'prerouting', RAW_PRIORITY, 'drop', [
    [{ match: ['iifname', source], op: '==', to: { set: 'cables' } }, ACCEPT],
    [fromUplink, { match: [source], op: '==', to: { anyOf: ours } }, drops('spoofed')],
    [fromUplink, ACCEPT],
    ...(family === 6 ? [[{ match: ['icmpv6 type'], op: '==', to: GROUP_REPORTS } as const, DROP]] : []),
    [drops('spoofed')],
  ]);
  return { family: protocol, name: TABLE, counters: ['spoofed'], sets, chains: [...refused.chains, chain] };
}

/** On cables both ends have written each other down; only outside are there neighbours to be found. */
function arpGuard(uplink: string): Table {
  const refused = refusals(['spoofed']);
  const chain = hooked('guard', 'input', FILTER_PRIORITY, 'drop', [
    [{ match: ['iifname'], op: '==', to: uplink }, ACCEPT],
    [drops('spoofed')],
  ]);
  return { family: 'arp', name: TABLE, counters: ['spoofed'], sets: refused.sets, chains: [...refused.chains, chain] };
}

function rules(
  { egress, uplink, cables }: Omit<EdgeOptions, 'protectedRanges'>,
  never: readonly AddressRange[],
): Table {
  const refused = refusals(REASONS);
  const families: readonly Family[] = [4, 6];
  const sets = families.flatMap((family): RuleSet[] => {
    const address = family === 4 ? 'ipv4_addr' : 'ipv6_addr';
    const resolvers = egress.resolvers.filter((resolver) => resolver.family === family);
    return [
      {
        name: `protected${family}`,
        key: [address],
        interval: true,
        elements: unionOf(never, family).map((range) => ({ key: [rangeKey(range)] })),
      },
      {
        name: `resolvers${family}`,
        key: [address, 'inet_proto', 'inet_service'],
        interval: false,
        elements: resolvers.flatMap(({ text }) => [UDP, TCP].map((protocol) => ({ key: [text, protocol, DNS_PORT] }))),
      },
      {
        name: `ports${family}`,
        key: [address],
        value: 'verdict',
        interval: false,
        elements: cables.map((cable) => ({ key: [edgeAddress(cable, family)], value: { goto: portsChain(cable) } })),
      },
    ];
  });
  return {
    family: 'inet',
    name: TABLE,
    counters: REASONS,
    sets: [...refused.sets, FULL_SET, meterOf('connections'), ...sets],
    chains: [
      ...refused.chains,
      FULL,
      ...cables.map((cable): Chain => ({ name: portsChain(cable), rules: translation(cable) })),
      { name: 'begin', rules: BEGIN },
      hooked('input', 'input', FILTER_PRIORITY, 'drop', toEdge(uplink)),
      hooked('forward', 'forward', FILTER_PRIORITY, 'drop', forward(uplink)),
      translate(uplink),
    ],
  };
}

/** Nobody is here. What is said to the uplink's address is an answer to a network, which has been led back to it by then. */
function toEdge(uplink: string): Statement[][] {
  return [
    [
      { match: ['iifname'], op: '==', to: uplink },
      { match: ['icmpv6 type'], op: '==', to: NEIGHBOUR_WORDS },
      { match: ['ip6 hoplimit'], op: '==', to: ND_HOP_LIMIT },
      ACCEPT,
    ],
    [drops('to-host')],
  ];
}

function forward(uplink: string): Statement[][] {
  const toResolver = (family: Family): Statement => ({
    match: [family === 4 ? 'ip daddr' : 'ip6 daddr', 'l4proto', 'th dport'],
    op: '==',
    to: { set: `resolvers${family}` },
  });
  const isNever = (family: Family): Statement => ({
    match: [family === 4 ? 'ip daddr' : 'ip6 daddr'],
    op: '==',
    to: { set: `protected${family}` },
  });
  return [
    // Segments that fit the way, in both directions: not every router on it says when a packet does not (RFC 2923, 2.1).
    [{ match: ['tcp flags syn'], op: '==', to: 'syn' }, { clamp: 'maxseg' }],
    [{ match: ['ct state'], op: 'in', to: { anyOf: ['established', 'related'] } }, ACCEPT],
    [{ match: ['ct state'], op: 'in', to: { anyOf: ['invalid'] } }, drops('invalid')],
    // Neither from the world to a network, nor from one to another.
    [{ match: ['iifname'], op: '==', to: uplink }, drops('refused')],
    [{ match: ['oifname'], op: '!=', to: uplink }, drops('refused')],
    // Of resolvers that are the operator's own, this service and nothing else.
    ...([4, 6] as const).map((family) => [toResolver(family), { verdict: { goto: 'begin' } } as const]),
    ...([4, 6] as const).map((family) => [isNever(family), drops('protected')]),
    [{ verdict: { goto: 'begin' } }],
  ];
}

/** A connection more of a network, where it has not too many. */
const BEGIN: readonly Statement[][] = [
  [{ match: ['iifname'], op: '==', to: { set: FULL_SET.name } }, drops('over-share')],
  [...connectionsOver('connections', CONNECTIONS_EACH), { verdict: { goto: FULL.name } }],
  [ACCEPT],
];

function translate(uplink: string): Chain {
  const chain = hooked('postrouting', 'postrouting', SOURCE_NAT_PRIORITY, 'accept', [
    [{ match: ['oifname'], op: '!=', to: uplink }, ACCEPT],
    [{ decide: { map: 'ports4', key: ['ip saddr'] } }],
    [{ decide: { map: 'ports6', key: ['ip6 saddr'] } }],
  ]);
  return { ...chain, hook: { ...chain.hook, type: 'nat' } };
}

/** The chain says all that its number does: see SAYS_ALL. */
function portsChain({ slot }: EdgeCable): string {
  return `ports-${slot.toString(16)}`;
}

function translation(cable: EdgeCable): Statement[][] {
  return [
    [{ match: ['l4proto'], op: '==', to: { anyOf: [TCP, UDP] } }, { masqueradeBy: edgePorts(cable) }],
    [{ verdict: 'masquerade' }],
  ];
}
