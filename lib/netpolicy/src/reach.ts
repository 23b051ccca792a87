// Who can reach whom, decided on the policy itself, rule by rule and without anything that the compiler does: what packets are
// compared with in the tests, and what `why` answers.
import { type Address, rangeHas } from './address.ts';
import { hasLabels } from './classify.ts';
import { type AnyMachine, isFar } from './machine.ts';
import { byPrecedence, type Endpoint, type Network, type Rule } from './policy.ts';
import { findProtected, isPrivate, namesPrivate, type ProtectedRange } from './protected.ts';

/** The first packet of a connection. */
export interface Flow {
  readonly from: Address;
  readonly to: Address;
  readonly protocol: number;
  /** Destination port or ICMP type; 0 where the protocol has neither. */
  readonly number: number;
  /** Unix time in seconds. */
  readonly atSeconds: number;
}

export type Reason =
  | 'rule' // the rule that is named allows or denies it
  | 'no-rule' // nothing allows it
  | 'nobody-sends' // the sender is no machine of the network: its packets are spoofed
  | 'nobody-there' // an address of the network that no machine has
  | 'no-way-out' // the network has none, or the sender is on another host, which has its own
  | 'protected' // an address that no machine may reach
  | 'private'; // a private address, which a rule would have to name

export interface Decision {
  readonly allowed: boolean;
  readonly reason: Reason;
  readonly rule: Rule | undefined;
  /** Of what is `protected`: what it is. */
  readonly protectedAs?: string;
}

export class ReachModel {
  readonly #network: Network;
  readonly #rules: readonly Rule[];
  readonly #protected: readonly ProtectedRange[];
  readonly #owners = new Map<string, AnyMachine>();

  constructor(network: Network, machines: readonly AnyMachine[], protectedRanges: readonly ProtectedRange[] = []) {
    this.#network = network;
    this.#rules = byPrecedence(network.rules);
    this.#protected = protectedRanges;
    for (const machine of machines) {
      for (const address of machine.addresses) this.#owners.set(address.text, machine);
    }
  }

  decide(flow: Flow): Decision {
    const refused = (reason: Reason): Decision => ({ allowed: false, reason, rule: undefined });
    const sender = this.#owners.get(flow.from.text);
    if (sender === undefined) return refused('nobody-sends');
    const receiver = this.#owners.get(flow.to.text);
    if (receiver === undefined) {
      if (this.#network.addresses.some((range) => rangeHas(range, flow.to))) return refused('nobody-there');
      // Said also where there is no way out: no rule and no way would change it.
      const own = findProtected(flow.to, this.#protected);
      if (own !== undefined) return { ...refused('protected'), protectedAs: own.what };
      if (this.#network.internet === 'none' || isFar(sender)) return refused('no-way-out');
    }
    const found = this.#rules.filter(
      (candidate) =>
        means(candidate.from, sender, flow.from) &&
        means(candidate.to, receiver, flow.to) &&
        isActive(candidate, flow.atSeconds) &&
        candidate.ranges.some(
          ({ protocol, first, last }) => protocol === flow.protocol && first <= flow.number && flow.number <= last,
        ),
    );
    const mustName = receiver === undefined && isPrivate(flow.to);
    const rule = found.find(({ action, to }) => !mustName || action === 'deny' || namesAtHome(to, flow.to));
    if (rule !== undefined) return { allowed: rule.action === 'allow', reason: 'rule', rule };
    return refused(found.length === 0 ? 'no-rule' : 'private');
  }
}

export function isActive({ after, before }: Rule, atSeconds: number): boolean {
  return (after === undefined || atSeconds >= after) && (before === undefined || atSeconds < before);
}

/** Whether it is there by a range of private addresses, and not only as a part of everything. */
function namesAtHome(endpoint: Endpoint, address: Address): boolean {
  return (
    endpoint.kind === 'addresses' && endpoint.ranges.some((range) => namesPrivate(range) && rangeHas(range, address))
  );
}

function means(endpoint: Endpoint, machine: AnyMachine | undefined, address: Address): boolean {
  if (endpoint.kind === 'any') return true;
  if (endpoint.kind === 'addresses') return endpoint.ranges.some((range) => rangeHas(range, address));
  if (endpoint.kind === 'machine') return machine?.name === endpoint.machine;
  return machine !== undefined && hasLabels(machine.labels, endpoint.labels);
}
