// The log of an Open vSwitch, which keeps none: some of what it refuses it hands to its own interface in the network's namespace, where the
// kernel logs it as it does what it drops in other modes, and then drops it. Whose it was and why stands in place of its hardware
// addresses, which nobody there asks for. It is addressed to a group of cards, so that the kernel forwards it nowhere, whatever its rules.
import { DROP_REASONS, type DropReason, LOG_GROUPS, LOGGED_PER_SECOND } from './drop-reasons.ts';
import { cookieOf, type Flow, flow, type FlowTable, goes, portCookie, sets } from './openflow-flow.ts';
import { LOG_METER, meterOf } from './openflow-meters.ts';
import type { Chain, Ruleset, RuleSet, Statement } from './ruleset.ts';
import { StableIds } from './stable-ids.ts';

/** Of Open vSwitch's own, to which nothing but the log goes; the switch is called the same. */
export const SWITCH_DEVICE = 'switch';

/** For which reasons a switch drops; other reasons are those of gateways. */
const SWITCH_REASONS: readonly DropReason[] = ['denied', 'invalid', 'refused', 'rogue', 'spoofed'];
/** With room for four bytes behind. The first bit makes it a group (IEEE 802, 8.2), the second says that no vendor gave it. */
const [GROUP_CARD, NO_CARD] = ['03:00', '02:00'];
const FIRST_INDEX: number = 2 ** 31;
const REFUSALS = 'refusals';
/** In the log before a reason: whose it is stands in place of the sender's card. */
export const AT_SWITCH = 'switch';

/** By which the log names the machine that is at this port, as it names others by the kernel's numbers of interfaces, which are lower. */
export function switchIndex(port: number): number {
  return FIRST_INDEX + port;
}

/** What the log says of packets that rules with `log` deny, each by a number of its own; the same for the same chains. */
export function loggedDenials({ tables }: Pick<Ruleset, 'tables'>): ReadonlyMap<string, number> {
  const prefixes = tables.flatMap(({ chains }) => chains.flatMap(({ rules }) => rules.flat().flatMap(denialIn)));
  const ids = new StableIds('logged');
  return new Map([...new Set(prefixes)].toSorted().map((prefix) => [prefix, ids.of(prefix)]));
}

/** What a statement says in the log of packets that a rule denies, by its name. */
export function denialIn(statement: Statement): string[] {
  if (!('log' in statement)) return [];
  const { group, prefix } = statement.log;
  return group === LOG_GROUPS.refused && prefix.startsWith('denied ') ? [prefix] : [];
}

/** Counts by port and reason, and hands on as much as is logged. */
export function logFlows(ports: readonly number[]): Flow[] {
  return [
    ...ports.flatMap((port) =>
      SWITCH_REASONS.map((reason) => ({
        ...flow(
          'refusal',
          1,
          [`in_port=${port}`, `reg6=${numberOf(reason)}`],
          meterOf(port, 'refusals'),
          `set_field:${card(NO_CARD, switchIndex(port))}->eth_src`,
          goes('log'),
        ),
        cookie: portCookie(port, reason),
      })),
    ),
    // What no machine has sent is told by nobody's name: not at all.
    flow('refusal', 0, []),
    flow(
      'log',
      0,
      [],
      LOG_METER,
      `set_field:${card(GROUP_CARD, 0)}->eth_dst`,
      'move:NXM_NX_REG7[]->NXM_OF_ETH_DST[0..31]',
      'output:LOCAL',
    ),
  ];
}

/** Counts what it drops under the reason, and drops it by way of the log, which calls it by the number `told`; without one, by the reason. */
export function refuse(
  table: FlowTable,
  priority: number,
  match: readonly string[],
  reason: DropReason,
  { decision = 0, told = numberOf(reason) }: { readonly decision?: number; readonly told?: number } = {},
): Flow {
  const said = [sets('reg6', numberOf(reason)), sets('reg7', told)];
  return { ...flow(table, priority, match, ...said, goes('refusal')), cookie: cookieOf(reason, decision) };
}

/** What the kernel is told of packets on that interface: to what is said, the reason leads; the log has the senders' cards by itself. */
export function logPart(denials: ReadonlyMap<string, number>): {
  readonly rule: readonly Statement[];
  readonly sets: readonly RuleSet[];
  readonly chains: readonly Chain[];
} {
  const said = [
    ...SWITCH_REASONS.map((reason) => ({ name: `log-${reason}`, prefix: reason, number: numberOf(reason) })),
    ...Array.from(denials, ([prefix, number]) => ({
      name: `log-${number.toString(16)}`,
      prefix,
      number,
    })),
  ];
  const elements = said.map(({ name, number }) => ({ key: [card(GROUP_CARD, number)], value: { goto: name } }));
  return {
    rule: [{ match: ['iifname'], op: '==', to: SWITCH_DEVICE }, { decide: { map: REFUSALS, key: ['ether daddr'] } }],
    sets: [{ name: REFUSALS, key: ['ether_addr'], value: 'verdict', interval: false, elements }],
    chains: said.map(({ name, prefix }) => ({
      name,
      rules: [
        [{ log: { prefix: `${AT_SWITCH} ${prefix}`, group: LOG_GROUPS.refused, perSecond: LOGGED_PER_SECOND } }],
        [{ verdict: 'drop' }],
      ],
    })),
  };
}

function numberOf(reason: DropReason): number {
  return DROP_REASONS.indexOf(reason) + 1;
}

function card(begin: string, number: number): string {
  return [begin, ...(number.toString(16).padStart(8, '0').match(/../g) ?? [])].join(':');
}
