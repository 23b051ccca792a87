// One flow of a switch, and the only place where it becomes text (ovs-ofctl(8), "Flow Syntax").
import { DROP_REASONS, type DropReason } from './drop-reasons.ts';
import { NetPolicyError } from './netpolicy-error.ts';
import type { Ruleset, SetElement } from './ruleset.ts';

/** In the order in which a packet meets them, but for `arp` and `neighbour`, which answer. A number each, from 0. */
const TABLES = [
  'shares', // how many packets a second
  'guard', // who sends
  'arp',
  'neighbour',
  'target', // for whom, and where that is
  'tracking', // where its connection is looked for
  'state', // of which connection
  'report', // whose connection an error of ICMP is reported of
  'opening', // how many connections a second
  'pair', // what the rules say of both groups
  'service',
  'cell', // what they say of that service
  'decision',
  'refusal', // what is counted and logged of a machine
  'log', // what is logged of all
] as const;
export type FlowTable = (typeof TABLES)[number];

/** Whatever a flow is made of: numbers, addresses and words of ours. What would end a match or begin an action is none of it. */
const WORD = /^[\w=:./+>[\](),-]*$/;
/** Above a cookie's number of the reason for which it drops stands that of the decision. */
const DECISION_SHIFT = 32n;
/** And between them the port, of a flow that counts what a machine is refused. */
const PORT_SHIFT = 8n;
const PORT_BITS = 16;

export interface Flow {
  readonly table: FlowTable;
  readonly priority: number;
  readonly match: readonly string[];
  /** None: what matches is dropped. */
  readonly actions: readonly string[];
  readonly cookie: bigint;
}

export function flow(
  table: FlowTable,
  priority: number,
  match: readonly string[],
  ...actions: readonly string[]
): Flow {
  return { table, priority, match, actions, cookie: 0n };
}

/** Of a flow that counts again, by the port, what others have counted. */
export function portCookie(port: number, reason: DropReason): bigint {
  return (BigInt(port) << PORT_SHIFT) | cookieOf(reason, 0);
}

/** By which a flow's count is found: the decision that it carries out, and the reason where it drops. */
export function cookieOf(reason: DropReason | undefined, decision: number): bigint {
  return (BigInt(decision) << DECISION_SHIFT) | BigInt(reason === undefined ? 0 : DROP_REASONS.indexOf(reason) + 1);
}

/** The decision is 0 where the flow carries out none, and the port where it is of none. */
export function cookieParts(cookie: bigint): {
  readonly decision: number;
  readonly port: number;
  readonly reason: DropReason | undefined;
} {
  const reason = DROP_REASONS[Number(BigInt.asUintN(Number(PORT_SHIFT), cookie)) - 1];
  const port = Number(BigInt.asUintN(PORT_BITS, cookie >> PORT_SHIFT));
  return { decision: Number(cookie >> DECISION_SHIFT), port, reason };
}

export function tableNumber(table: FlowTable): number {
  return TABLES.indexOf(table);
}

export function goes(table: FlowTable): string {
  return `goto_table:${tableNumber(table)}`;
}

export function sets(register: string, value: SetElement['value']): string {
  return `set_field:${Number(value)}->${register}`;
}

export function elementsOf({ tables }: Pick<Ruleset, 'tables'>, name: string): readonly SetElement[] {
  return tables.flatMap(({ sets: all }) => all.filter((set) => set.name === name)).flatMap(({ elements }) => elements);
}

/** `match` is what makes it this flow and no other, in the words by which it is deleted, too. */
export function printFlow({ table, priority, match, actions, cookie }: Flow): {
  readonly match: string;
  readonly text: string;
} {
  const wrong = [...match, ...actions].find((word) => !WORD.test(word));
  if (wrong !== undefined) throw new NetPolicyError('malformed', 'flow', `${JSON.stringify(wrong)} is no word of one`);
  const where = [`table=${tableNumber(table)}`, `priority=${priority}`, ...match].join();
  const named = cookie === 0n ? '' : `cookie=0x${cookie.toString(16)},`;
  return { match: where, text: `${named}${where},actions=${actions.length === 0 ? 'drop' : actions.join()}` };
}
