// Why packets are dropped, and what is done with one that is: it is counted, in all and by the interface that it came from, and of each
// interface some are logged. Nothing of this is done for a packet that passes.
import type { Chain, RuleSet, Statement } from './ruleset.ts';

/** Names of counters and chains, of sets that count by interface (`-from`), and what stands before a packet in the log. */
export const DROP_REASONS = [
  'denied', // a rule says so
  'refused', // no rule allows it
  'spoofed', // somebody else's address
  'rogue', // says what only routers and DHCP servers say
  'to-host', // to the gateway itself
  'invalid', // of no connection that is known
  'over-share', // more than its share
] as const;
export type DropReason = (typeof DROP_REASONS)[number];

/** nflog groups: connections that rules with `log` decided, and packets that were dropped, with the reason before them. */
export const LOG_GROUPS = { decided: 5, refused: 6 } as const;
/** Of all machines of a network together: a flood fills no log. */
export const LOGGED_PER_SECOND = 500;
/** Of one interface, so that a flood hides nothing of the others. */
const LOGGED_BELOW = { perSecond: 10, burst: 10 } as const;
/** How long it is kept that one has been logged: by then its burst has come back. */
const LOGGED_KEPT_SECONDS = 60;

export function drops(reason: DropReason): Statement {
  return { verdict: { goto: reason } };
}

/** The chains that `drops` leads to, and the sets that they count in. */
export function refusals(reasons: readonly DropReason[]): { readonly chains: Chain[]; readonly sets: RuleSet[] } {
  const counts = reasons.map((reason): RuleSet => ({ ...ofInterfaces(`${reason}-from`), metered: {} }));
  const logged = { ...ofInterfaces('logged'), metered: { forgottenAfterSeconds: LOGGED_KEPT_SECONDS } };
  return { chains: reasons.map((reason) => refusal(reason)), sets: [...counts, logged] };
}

function refusal(reason: DropReason): Chain {
  const log = { prefix: reason, group: LOG_GROUPS.refused, perSecond: LOGGED_PER_SECOND };
  return {
    name: reason,
    rules: [
      [{ count: reason }],
      [{ tally: `${reason}-from`, key: ['iifname'] }],
      [{ meter: 'logged', key: ['iifname'], below: LOGGED_BELOW }, { log }],
      [{ verdict: 'drop' }],
    ],
  };
}

function ofInterfaces(name: string): RuleSet {
  return { name, key: ['ifname'], interval: false, elements: [] };
}
