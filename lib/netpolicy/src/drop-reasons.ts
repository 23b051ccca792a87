// Why packets are dropped, and what is done with one that is: it is counted, in all and by the interface that it came from, and of each
// interface some are logged. Nothing of this is done for a packet that passes.
import type { Chain, RuleSet, Statement } from './ruleset.ts';

/** Names of counters and chains, of sets that count by interface (`-from`), and what stands before a packet in the log. */
export const DROP_REASONS = [
  'denied', // a rule says so
  'protected', // an address that no rule can mean: the host, its operator's, other tenants'
  'refused', // no rule allows it
  'spoofed', // somebody else's address
  'rogue', // says what only routers and DHCP servers say
  'to-host', // to the gateway itself
  'invalid', // of no connection that is known, or an error of one that is another's
  'over-share', // more than its share
  'crowding', // from more link-local addresses than a card has
] as const;
export type DropReason = (typeof DROP_REASONS)[number];

/** nflog groups: connections that rules with `log` decided, and packets that were dropped, with the reason before them. */
export const LOG_GROUPS = { decided: 5, refused: 6 } as const;
/** Of all machines of a network together: a flood fills no log. */
export const LOGGED_PER_SECOND = 500;
/** Of one interface, so that a flood hides nothing of the others. */
export const LOGGED_BELOW = { perSecond: 10, burst: 10 } as const;
/** How long it is kept that one has been logged: by then its burst has come back. */
const LOGGED_KEPT_SECONDS = 60;

/**
 * What a packet leaves that a rule with `log` denies: the name of the rule, in the log of what is refused. It counts and drops as `drops`
 * does, by a chain of its own that logs nothing again.
 */
export const DENIED_LOGGED = 'denied-logged';

export function logsDenial(rule: string): Statement[] {
  return [{ meter: 'logged', key: ['iifname'], below: [LOGGED_BELOW] }, logged(`denied ${rule}`)];
}

export function drops(reason: DropReason): Statement {
  return { verdict: { goto: reason } };
}

/** The chains that `drops` leads to, and the sets that they count in. */
export function refusals(reasons: readonly DropReason[]): { readonly chains: Chain[]; readonly sets: RuleSet[] } {
  const counts = reasons.map((reason): RuleSet => ({ ...ofInterfaces(`${reason}-from`), metered: {} }));
  const known = { ...ofInterfaces('logged'), metered: { forgottenAfterSeconds: LOGGED_KEPT_SECONDS } };
  const silent = reasons.includes('denied') ? [{ name: DENIED_LOGGED, rules: [...counting('denied'), DROP] }] : [];
  return { chains: [...reasons.map((reason) => refusal(reason)), ...silent], sets: [...counts, known] };
}

const DROP: readonly Statement[] = [{ verdict: 'drop' }];

function refusal(reason: DropReason): Chain {
  const log: Statement[] = [{ meter: 'logged', key: ['iifname'], below: [LOGGED_BELOW] }, logged(reason)];
  return { name: reason, rules: [...counting(reason), log, DROP] };
}

function counting(reason: DropReason): Statement[][] {
  return [[{ count: reason }], [{ tally: `${reason}-from`, key: ['iifname'] }]];
}

function logged(prefix: string): Statement {
  return { log: { prefix, group: LOG_GROUPS.refused, perSecond: LOGGED_PER_SECOND } };
}

function ofInterfaces(name: string): RuleSet {
  return { name, key: ['ifname'], interval: false, elements: [] };
}
