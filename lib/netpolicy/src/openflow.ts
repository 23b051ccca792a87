// The rules of a network for a switch that speaks OpenFlow 1.5 with the extensions of Open vSwitch (ovs-actions(7), ovs-fields(7)): made
// of the elements of the routed network's tree (compile.ts). A machine is a fixed number of flows, and so is a rule, whatever the
// number of the others: what one table finds, it leaves in a register for the next, as the sets of nftables do.
import { type Address, parseAddress } from './address.ts';
import { type CompiledNetwork, compileNetwork } from './compile.ts';
import type { DropReason } from './drop-reasons.ts';
import type { Machine } from './machine.ts';
import { NetPolicyError } from './netpolicy-error.ts';
import { BEGUN_MARK, compileDecisions, PING6_ZONE, SWITCH_ZONE } from './openflow-decisions.ts';
import { elementsOf, type Flow, flow, type FlowTable, goes, printFlow, sets, tableNumber } from './openflow-flow.ts';
import { compileMeters, type Meter, meterOf } from './openflow-meters.ts';
import { compileServices } from './openflow-services.ts';
import type { Network } from './policy.ts';
import { GATEWAY_IPV4 } from './gateway.ts';
import type { Ruleset } from './ruleset.ts';
import { compileGateways, compileSilence, GATEWAY_MAC } from './segment-gateway.ts';
import { logFlows, loggedDenials, refuse } from './switch-log.ts';

/** The user-space datapath asks each port in turn whether something has come: with more, each packet pays for all of them. */
export const MAX_SWITCH_MACHINES = 1_024;
/** RFC 4861, 4. */
const [SOLICITATION, ADVERTISEMENT] = [135, 136];
const ND_HOP_LIMIT = 255;
/** Of an advertisement, flags: asked for, and in place of what was known. */
const ANSWERED = '0x60000000';
/** RFC 4861, 4.6.1, of an option: the address of whoever answers. */
const TARGET_ADDRESS_OPTION = 2;
const ROUTER_WORDS = [134, 137];
/** RFC 4443, 3. */
const ICMPV6_ERRORS = [1, 2, 3, 4];
/** What each system says of itself as soon as its card is up; there is nobody to hear it. */
const UNHEARD_WORDS = [130, 131, 132, 133, 143];

/** By its address, as everybody's, and as all servers' (RFC 2131, 4.1; RFC 8415, 7.1). Questions for its card in IPv6 find nobody here. */
const TO_GATEWAY: readonly (readonly string[])[] = [
  [`dl_dst=${GATEWAY_MAC}`],
  ['arp', `arp_tpa=${GATEWAY_IPV4}`],
  ['udp', 'nw_dst=255.255.255.255', 'tp_dst=67'],
  ['udp6', 'ipv6_dst=ff02::1:2', 'tp_dst=547'],
];

/** The first match by priority is the one. */
const PRIORITY = { attack: 400, gateway: 350, word: 300, sender: 200, miss: 0 } as const;
const STATE = { elsewhere: 50, invalid: 40, reported: 35, known: 30, begun: 20, begins: 10 } as const;

export interface OpenFlowRules {
  /** Lines for `ovs-ofctl add-flows`, by what they match: two that match the same in a table are one. */
  readonly flows: ReadonlyMap<string, string>;
  /** Of machines, in the words of `ovs-ofctl add-meter`; they are there before the flows. */
  readonly meters: readonly Meter[];
  /** Unix time in seconds when rules with times say something else; a switch has no clock. */
  readonly until: number | undefined;
}

export interface SwitchState {
  /** The number of the port that an interface has, or will have. */
  readonly portOf: (device: string) => number;
  readonly atSeconds: number;
}

export interface SwitchedNetwork extends CompiledNetwork {
  /** What nftables is told where the switch is. */
  readonly gateways: CompiledNetwork;
}

/** The tree for a switch. Throws NetPolicyError where it has more machines than a switch shall have. */
export function compileSwitched(network: Network, machines: readonly Machine[]): SwitchedNetwork {
  if (machines.length > MAX_SWITCH_MACHINES) {
    throw new NetPolicyError('too-many', 'machines', `are more than the ${MAX_SWITCH_MACHINES} of an Open vSwitch`);
  }
  const compiled = compileNetwork(network, machines);
  const gateways = compileGateways(network, machines);
  const silence = compileSilence(loggedDenials(compiled.ruleset));
  const ruleset = { tables: [...silence.tables, ...gateways.ruleset.tables] };
  return { ...compiled, gateways: { ...gateways, ruleset } };
}

/** Pure, and the same for the same tree, ports and time. */
export function renderOpenFlow(
  { ruleset }: Pick<CompiledNetwork, 'ruleset'>,
  { portOf, atSeconds }: SwitchState,
): OpenFlowRules {
  const decisions = compileDecisions(ruleset, atSeconds);
  const members = membersOf(ruleset, portOf);
  const devices = new Map(members.map(({ device, port }) => [device, port]));
  const ports = [...devices.values()];
  const flows: readonly Flow[] = [
    ...ports.map((port) => flow('shares', 1, [`in_port=${port}`], meterOf(port, 'packets'), goes('guard'))),
    // What the kernel says of itself where the log is.
    flow('shares', 1, ['in_port=LOCAL']),
    ...guards(),
    ...members.flatMap((member) => memberFlows(member)),
    ...tracking(),
    ...states(),
    ...ports.map((port) => flow('opening', 1, [`in_port=${port}`], meterOf(port, 'openings'), goes('pair'))),
    ...elementsOf(ruleset, 'pairs').map(({ key: [source, target], value }) =>
      flow('pair', 1, [`reg0=${Number(source)}`, `reg1=${Number(target)}`], sets('reg3', value), goes('service')),
    ),
    ...compileServices(ruleset),
    ...elementsOf(ruleset, 'cells').map(({ key: [pair, service], value }) =>
      flow('cell', 1, [`reg3=${Number(pair)}`, `reg4=${Number(service)}`], sets('reg5', value), goes('decision')),
    ),
    ...decisions.flows,
    ...misses(),
    ...logFlows(ports),
  ];
  const printed = flows.map((each) => printFlow(each));
  return {
    flows: new Map(printed.map(({ match, text }) => [match, text])),
    meters: compileMeters(ruleset, devices),
    until: decisions.until,
  };
}

/** A machine's address, and where on the switch it is. */
interface Member {
  readonly device: string;
  readonly address: Address;
  readonly mac: string;
  readonly port: number;
  readonly group: number;
}

function membersOf({ tables }: Ruleset, portOf: SwitchState['portOf']): Member[] {
  const groups = new Map(
    ['groups4', 'groups6'].flatMap((name) => elementsOf({ tables }, name)).map(({ key, value }) => [key[0], value]),
  );
  return ['senders4', 'others4', 'senders6', 'others6']
    .flatMap((name) => elementsOf({ tables }, name))
    .map(({ key }) => {
      const [device = '', mac = '', text = ''] = key.map((part) => (typeof part === 'string' ? part : ''));
      return { device, mac, address: parseAddress(text, ''), port: portOf(device), group: Number(groups.get(text)) };
    });
}

/** What is asked and told before anybody is anybody: of no machine, and so the same for all. */
function guards(): Flow[] {
  return [
    // A tag stands before what other flows look at.
    refuse('guard', PRIORITY.attack, ['vlan_tci=0x1000/0x1000'], 'rogue'),
    refuse('guard', PRIORITY.attack, ['udp', 'tp_src=67'], 'rogue'),
    refuse('guard', PRIORITY.attack, ['udp6', 'tp_src=547'], 'rogue'),
    ...ROUTER_WORDS.map((type) => refuse('guard', PRIORITY.attack, ['icmp6', `icmp_type=${type}`], 'rogue')),
    ...UNHEARD_WORDS.map((type) => flow('guard', PRIORITY.attack, ['icmp6', `icmp_type=${type}`])),
    // In user space there is a copy of what was led to the gateway, and is judged there.
    ...TO_GATEWAY.map((match) => flow('guard', PRIORITY.gateway, match)),
  ];
}

/** Where the address is that it is for. */
const OUTPUT = 'output:NXM_NX_REG2[]';

/** Whoever sends is who is on that port; questions for a machine's card are answered here, and what is for it goes to its port alone. */
function memberFlows(member: Member): Flow[] {
  const { address, mac, port, group } = member;
  const from = [`in_port=${port}`, `dl_src=${mac}`];
  const [protocol, source, target] =
    address.family === 4 ? ['ip', 'nw_src', 'nw_dst'] : ['ipv6', 'ipv6_src', 'ipv6_dst'];
  return [
    flow(
      'guard',
      PRIORITY.sender,
      [...from, protocol, `${source}=${address.text}`],
      meterOf(port, 'bytes'),
      sets('reg0', group),
      goes('target'),
    ),
    ...(address.family === 4 ? arpFlows(member, from) : neighbourFlows(member, from)),
    ...reportFlows(member),
    flow(
      'target',
      1,
      [protocol, `dl_dst=${mac}`, `${target}=${address.text}`],
      sets('reg1', group),
      sets('reg2', port),
      goes('tracking'),
    ),
  ];
}

/**
 * An error that is reported of a connection (RFC 792, RFC 4443) passes where one of its two ends reports it, as it began: what the error
 * quotes is all that connection tracking asks for, and whoever guesses ports can quote a packet of others.
 */
function reportFlows({ address: { family, text }, port }: Member): Flow[] {
  const [protocol, field] = family === 4 ? ['ip', 'ct_nw'] : ['ipv6', 'ct_ipv6'];
  return ['src', 'dst'].map((end) =>
    flow('report', 1, [`in_port=${port}`, protocol, 'ct_state=+trk+rel', `${field}_${end}=${text}`], OUTPUT),
  );
}

/** RFC 826. Gratuitous questions, by which a system says who it is, are for its own address: nobody answers those. */
function arpFlows({ address: { text }, mac }: Member, from: readonly string[]): Flow[] {
  return [
    flow('guard', PRIORITY.word, [...from, 'arp', 'arp_op=1', `arp_spa=${text}`, `arp_sha=${mac}`], goes('arp')),
    flow(
      'arp',
      1,
      ['arp', `arp_tpa=${text}`],
      'move:NXM_OF_ETH_SRC[]->NXM_OF_ETH_DST[]',
      `set_field:${mac}->eth_src`,
      'set_field:2->arp_op',
      'move:NXM_NX_ARP_SHA[]->NXM_NX_ARP_THA[]',
      `set_field:${mac}->arp_sha`,
      'move:NXM_OF_ARP_SPA[]->NXM_OF_ARP_TPA[]',
      `set_field:${text}->arp_spa`,
      'in_port',
    ),
  ];
}

/** RFC 4861, 7.2.4. Only what is an advertisement has an option to write the answer into: the question becomes one first. */
function neighbourFlows({ address: { text }, mac }: Member, from: readonly string[]): Flow[] {
  const word = (type: number): string[] => ['icmp6', `icmp_type=${type}`, 'icmp_code=0'];
  return [
    flow(
      'guard',
      PRIORITY.word,
      [...from, ...word(SOLICITATION), `nw_ttl=${ND_HOP_LIMIT}`],
      `set_field:${ADVERTISEMENT}->icmpv6_type`,
      `set_field:${TARGET_ADDRESS_OPTION}->nd_options_type`,
      goes('neighbour'),
    ),
    // What it says of itself is true, and known.
    flow('guard', PRIORITY.word, [...from, ...word(ADVERTISEMENT), `nd_target=${text}`]),
    flow(
      'neighbour',
      1,
      [...word(ADVERTISEMENT), `nd_target=${text}`],
      'move:NXM_OF_ETH_SRC[]->NXM_OF_ETH_DST[]',
      `set_field:${mac}->eth_src`,
      'move:NXM_NX_IPV6_SRC[]->NXM_NX_IPV6_DST[]',
      `set_field:${text}->ipv6_src`,
      `set_field:${mac}->nd_tll`,
      `set_field:${ANSWERED}->nd_reserved`,
      'in_port',
    ),
  ];
}

function looksIn(zone: number): string {
  return `ct(table=${tableNumber('state')},zone=${zone})`;
}

/** All of ICMPv6 looks among pings first, so that fragments of one stay together; errors that are of none, among the others. */
function tracking(): Flow[] {
  return [
    flow('tracking', 2, ['icmp6'], looksIn(PING6_ZONE)),
    ...['ip', 'ipv6'].map((family) => flow('tracking', 1, [family], looksIn(SWITCH_ZONE))),
    ...ICMPV6_ERRORS.map((type) =>
      flow(
        'state',
        STATE.elsewhere,
        ['icmp6', `icmp_type=${type}`, `ct_zone=${PING6_ZONE}`, 'ct_state=+trk-rel'],
        looksIn(SWITCH_ZONE),
      ),
    ),
  ];
}

/** ovs-fields(7): what connection tracking knows of a packet. */
function states(): Flow[] {
  return [
    refuse('state', STATE.invalid, ['ct_state=+trk+inv'], 'invalid'),
    flow('state', STATE.reported, ['ct_state=+trk+rel'], goes('report')),
    flow('state', STATE.known, ['ct_state=+trk+est'], OUTPUT),
    flow('state', STATE.begun, ['ct_state=+trk+new', `ct_mark=${BEGUN_MARK}`], goes('pair')),
    flow('state', STATE.begins, ['ct_state=+trk+new'], goes('opening')),
  ];
}

/** What no other flow of a table matches. */
function misses(): Flow[] {
  const reasons: readonly (readonly [FlowTable, DropReason])[] = [
    ['shares', 'spoofed'],
    // Advertisements of what is not its own, and neighbour discovery from further away than a link.
    ['guard', 'spoofed'],
    ['target', 'refused'],
    ['state', 'invalid'],
    ['report', 'invalid'],
    ['opening', 'refused'],
    ['pair', 'refused'],
    ['service', 'refused'],
    ['cell', 'refused'],
    ['decision', 'refused'],
  ];
  return [
    ...reasons.map(([table, reason]) => refuse(table, PRIORITY.miss, [], reason)),
    // Asked for somebody who is not there: as on any link, nobody answers.
    flow('arp', PRIORITY.miss, []),
    flow('neighbour', PRIORITY.miss, []),
  ];
}
