// Why one machine reaches another, or not: the rule that decides, what is missing, and what else stands between them. Pure.
import { type Machine, RingwallError } from '@ringwall/api';
import type { Reach } from '@ringwall/api/networks';
import {
  type Address,
  type Decision,
  type Family,
  type Machine as PolicyMachine,
  type Network,
  NetPolicyError,
  parseAddress,
  parseSingleService,
  ReachModel,
} from '@ringwall/netpolicy';

/** One end of a question: a machine of the network, or an address. */
export interface End {
  readonly text: string;
  readonly machine?: Machine;
  /** Its place in the network: only where it has one. */
  readonly member?: PolicyMachine;
  /** Whether its card leads somewhere now. */
  readonly admitted?: boolean;
}

export interface ReachQuestion {
  readonly network: Network;
  readonly machines: readonly PolicyMachine[];
  readonly from: End;
  readonly to: End;
  readonly service: string;
  readonly atSeconds: number;
}

export function explainReach({ network, machines, from, to, service, atSeconds }: ReachQuestion): Reach {
  const model = new ReachModel(network, machines);
  const flows = pairsOf(from, to).map(([source, target]) => {
    const { protocol, number } = parsedService(service, source.family);
    const decision = model.decide({ from: source, to: target, protocol, number, atSeconds });
    return { source, target, decision };
  });
  const [first] = flows;
  if (first === undefined) {
    throw new RingwallError('bad-request', `${from.text} and ${to.text} have no family of addresses in common`);
  }
  // Where the families differ, the one that is open is what matters.
  const best = flows.find(({ decision }) => decision.allowed) ?? first;
  const { decision } = best;
  const shut = [from, to].flatMap((end) => whyShut(end));
  return {
    network: network.name,
    from: endOf(from, best.source),
    to: endOf(to, best.target),
    service,
    open: decision.allowed && shut.length === 0,
    allowed: decision.allowed,
    reason: decision.reason,
    ...ruleOf(decision),
    notes: [...shut, ...otherFamily(flows)],
  };
}

/** Two machines without a network in common. */
export function noCommonNetwork(from: End, to: End, service: string, notes: readonly string[]): Reach {
  const reason = 'no-common-network';
  return { from: endOf(from), to: endOf(to), service, open: false, allowed: false, reason, notes: [...notes] };
}

function pairsOf(from: End, to: End): [Address, Address][] {
  const targets = addressesOf(to);
  return addressesOf(from).flatMap((source) =>
    targets.flatMap((target): [Address, Address][] => (target.family === source.family ? [[source, target]] : [])),
  );
}

function addressesOf({ text, member }: End): readonly Address[] {
  return member?.addresses ?? [asAddress(text)];
}

export function asAddress(text: string): Address {
  try {
    return parseAddress(text, '');
  } catch (error) {
    if (!(error instanceof NetPolicyError)) throw error;
    throw new RingwallError(
      'not-found',
      `there is no machine ${JSON.stringify(text.slice(0, 64))}, and it is no address`,
      {
        hint: 'see which machines there are: ringwall ls',
      },
    );
  }
}

function parsedService(service: string, family: Family): { protocol: number; number: number } {
  try {
    return parseSingleService(service, family, '');
  } catch (error) {
    if (!(error instanceof NetPolicyError)) throw error;
    throw new RingwallError('bad-request', error.message, { hint: 'ask for one: tcp/5432, udp/53, ping' });
  }
}

function whyShut({ machine, admitted }: End): string[] {
  if (machine === undefined || admitted === true) return [];
  const { name, status } = machine;
  if (status.phase !== 'running') return [`${name} is ${status.phase}: it has no network`];
  if (status.trust !== 'attested') return [`${name} is not attested, but ${status.trust}: it gets no network`];
  return [`${name} is not let into its network yet`];
}

function ruleOf({ rule }: Decision): Pick<Reach, 'rule'> {
  if (rule === undefined) return {};
  const { name, action, why } = rule;
  return { rule: { name, action, ...(why === undefined ? {} : { why }) } };
}

function endOf({ text, machine, member }: End, address?: Address): Reach['from'] {
  return {
    text,
    ...(address === undefined ? {} : { address: address.text }),
    ...(machine === undefined ? {} : { machine: machine.name }),
    ...(member === undefined ? {} : { labels: { ...member.labels } }),
  };
}

function otherFamily(flows: readonly { source: Address; decision: Decision }[]): string[] {
  const allowed = new Set(flows.map(({ decision }) => decision.allowed));
  if (allowed.size < 2) return [];
  const open = flows.find(({ decision }) => decision.allowed);
  return [`only by IPv${String(open?.source.family ?? 4)}: rules about addresses differ between the families`];
}
