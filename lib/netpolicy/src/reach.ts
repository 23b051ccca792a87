// Who can reach whom, decided on the policy itself, rule by rule and without anything that the compiler does: what packets are
// compared with in the tests, and what `why` answers.
import { type Address, type AddressRange, rangeHas } from './address.ts';
import { hasLabels } from './classify.ts';
import type { AnyMachine } from './machine.ts';
import { byPrecedence, type Endpoint, type Network, type Rule } from './policy.ts';
import { isProtected } from './protected.ts';

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
  | 'no-way-out' // the network has none
  | 'protected'; // an address that no machine may reach

export interface Decision {
  readonly allowed: boolean;
  readonly reason: Reason;
  readonly rule: Rule | undefined;
}

export class ReachModel {
  readonly #network: Network;
  readonly #rules: readonly Rule[];
  readonly #protected: readonly AddressRange[];
  readonly #owners = new Map<string, AnyMachine>();

  constructor(network: Network, machines: readonly AnyMachine[], protectedRanges: readonly AddressRange[] = []) {
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
      if (this.#network.internet === 'none') return refused('no-way-out');
      if (isProtected(flow.to, this.#protected)) return refused('protected');
    }
    const rule = this.#rules.find(
      (candidate) =>
        means(candidate.from, sender, flow.from) &&
        means(candidate.to, receiver, flow.to) &&
        isActive(candidate, flow.atSeconds) &&
        candidate.ranges.some(
          ({ protocol, first, last }) => protocol === flow.protocol && first <= flow.number && flow.number <= last,
        ),
    );
    return rule === undefined ? refused('no-rule') : { allowed: rule.action === 'allow', reason: 'rule', rule };
  }
}

export function isActive({ after, before }: Rule, atSeconds: number): boolean {
  return (after === undefined || atSeconds >= after) && (before === undefined || atSeconds < before);
}

function means(endpoint: Endpoint, machine: AnyMachine | undefined, address: Address): boolean {
  if (endpoint.kind === 'any') return true;
  if (endpoint.kind === 'addresses') return endpoint.ranges.some((range) => rangeHas(range, address));
  if (endpoint.kind === 'machine') return machine?.name === endpoint.machine;
  return machine !== undefined && hasLabels(machine.labels, endpoint.labels);
}
