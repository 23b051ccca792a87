// What a decision does on a switch: lets a connection begin and be known, or drops. A switch has no clock: of a decision that time
// chooses, the flow is what holds now, and it is said until when.
import { DENIED_LOGGED, type DropReason } from './drop-reasons.ts';
import { cookieOf, elementsOf, type Flow, flow } from './openflow-flow.ts';
import { OPENING } from './share.ts';
import type { Chain, Ruleset, SetElement, Statement } from './ruleset.ts';
import { denialIn, loggedDenials, refuse } from './switch-log.ts';

/** Of connection tracking: a switch is of one network alone, and so are its zones. */
export const SWITCH_ZONE = 1;
/** Of pings of IPv6, which Open vSwitch 3.1 cannot be told to end but by their zone. */
export const PING6_ZONE = 2;
/** Of connections that a decision has let begin: until they are answered, Open vSwitch calls them new. */
export const BEGUN_MARK = 1;

export interface Decisions {
  readonly flows: readonly Flow[];
  /** Unix time in seconds. */
  readonly until: number | undefined;
}

export function compileDecisions(ruleset: Ruleset, atSeconds: number): Decisions {
  const chains = new Map(ruleset.tables.flatMap((table) => table.chains.map((chain) => [chain.name, chain])));
  const times = new Set<number>();
  const denials = loggedDenials(ruleset);
  const flows = elementsOf(ruleset, 'decisions').flatMap(({ key, value }) => {
    const id = Number(key[0]);
    const { verdict, said } = decide(value, chains, atSeconds, times);
    const match = [`reg5=${id}`];
    if (verdict !== 'accept') {
      const told = denials.get(said ?? '');
      return [refuse('decision', 1, match, verdict, { decision: id, ...(told === undefined ? {} : { told }) })];
    }
    return ['ip', 'ipv6'].map((protocol) => ({
      ...flow(
        'decision',
        1,
        [protocol, ...match],
        `ct(commit,zone=NXM_NX_CT_ZONE[],exec(set_field:${BEGUN_MARK}->ct_mark))`,
        'output:NXM_NX_REG2[]',
      ),
      cookie: cookieOf(undefined, id),
    }));
  });
  const coming = [...times].filter((time) => time > atSeconds);
  return { flows, until: coming.length === 0 ? undefined : Math.min(...coming) };
}

interface Decision {
  readonly verdict: 'accept' | DropReason;
  /** In the log, where the rule that denies has `log`. */
  readonly said?: string | undefined;
}

function decide(
  value: SetElement['value'],
  chains: ReadonlyMap<string, Chain>,
  atSeconds: number,
  times: Set<number>,
): Decision {
  if (isAllowing(value)) return { verdict: 'accept' };
  if (isDenial(value)) return { verdict: 'denied' };
  let said: string | undefined;
  for (const rule of chains.get(String(chainOf(value)))?.rules ?? []) {
    const held = rule.map((statement) => holds(statement, atSeconds, times));
    if (held.includes(false)) continue;
    const verdict = rule.find((statement) => 'verdict' in statement)?.verdict;
    if (verdict === undefined) {
      said = rule.flatMap(denialIn)[0] ?? said;
      continue;
    }
    if (isAllowing(verdict)) return { verdict: 'accept' };
    return isDenial(verdict) ? { verdict: 'denied', said } : { verdict: 'refused' };
  }
  return { verdict: 'refused' };
}

/** What it opens is metered before it is asked about. */
function isAllowing(verdict: unknown): boolean {
  return verdict === 'accept' || chainOf(verdict) === OPENING;
}

/** With or without a word in the log, which stands before it. */
function isDenial(verdict: unknown): boolean {
  const chain = chainOf(verdict);
  return chain === 'denied' || chain === DENIED_LOGGED;
}

function chainOf(verdict: unknown): unknown {
  return Object(verdict).goto;
}

/** Of conditions, chains of decisions have times alone. */
function holds(statement: Statement, atSeconds: number, times: Set<number>): boolean {
  if (!('match' in statement)) return true;
  const to = Number(statement.to);
  times.add(to);
  return statement.op === '<' ? atSeconds < to : atSeconds >= to;
}
