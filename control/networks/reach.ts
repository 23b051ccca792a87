// Why one machine reaches another, or not: the rule that decides, what is missing, and what else stands between them. Pure.
import { type Machine, RingwallError } from '@ringwall/api';
import type { NetworkPeer } from '@ringwall/api/network-peers';
import type { HostWayOut, Reach } from '@ringwall/api/networks';
import {
  type Address,
  type AnyMachine,
  type Decision,
  type Family,
  type Network,
  NetPolicyError,
  parseAddress,
  parseSingleService,
  type ProtectedRange,
  ReachModel,
} from '@ringwall/netpolicy';

/** One end of a question: a machine of the network, here or on another host, or an address. */
export interface End {
  readonly text: string;
  readonly machine?: Machine;
  /** Its place in the network: only where it has one. */
  readonly member?: AnyMachine;
  /** Whether its card leads somewhere now. */
  readonly admitted?: boolean;
  /** Of a machine on another host: what is known of that. */
  readonly host?: NetworkPeer;
}

export interface ReachQuestion {
  readonly network: Network;
  readonly machines: readonly AnyMachine[];
  /** What no machine of this host reaches. */
  readonly protectedRanges: readonly ProtectedRange[];
  /** How this host lets networks out, where the warden says. */
  readonly wayOut: HostWayOut | undefined;
  readonly from: End;
  readonly to: End;
  readonly service: string;
  readonly atSeconds: number;
}

export function explainReach(question: ReachQuestion): Reach {
  const { network, machines, protectedRanges, from, to, service, atSeconds } = question;
  const model = new ReachModel(network, machines, protectedRanges);
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
  const out = to.member === undefined && decision.allowed ? whyNotOut(question.wayOut, best.target) : [];
  const shut = [...[from, to].flatMap((end) => whyShut(end)), ...out];
  return {
    network: network.name,
    from: endOf(from, best.source),
    to: endOf(to, best.target),
    service,
    open: decision.allowed && shut.length === 0,
    allowed: decision.allowed,
    reason: decision.reason,
    ...ruleOf(decision),
    ...(decision.protectedAs === undefined ? {} : { protectedAs: decision.protectedAs }),
    notes: [...shut, ...otherFamily(flows), ...[from, to].flatMap((end) => aboutHost(end))],
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

/** What rules let out, and the host does not. */
function whyNotOut(way: HostWayOut | undefined, { family }: Address): string[] {
  if (way === undefined) return [];
  if (way.state === 'off')
    return ['this host lets no network out: root gives it a way, with ringwall network egress on'];
  if (way.state === 'broken') return [`the way out of this host does not stand: ${way.trouble ?? 'nobody says why'}`];
  const leads = way.addresses?.some((text) => text.includes(':') === (family === 6)) === true;
  return leads ? [] : [`this host lets nobody out by IPv${family}`];
}

function whyShut({ machine, admitted, host }: End): string[] {
  if (host !== undefined) return host.state === 'up' ? [] : [TUNNEL_WORDS[host.state](host.host)];
  if (machine === undefined || admitted === true) return [];
  const { name, status } = machine;
  if (status.phase !== 'running') return [`${name} is ${status.phase}: it has no network`];
  if (status.trust !== 'attested') return [`${name} is not attested, but ${status.trust}: it gets no network`];
  return [`${name} is not let into its network yet`];
}

const TUNNEL_WORDS: Readonly<Record<Exclude<NetworkPeer['state'], 'up'>, (host: string) => string>> = {
  waiting: (host) => `${host} has not said where it is: see ringwall network peer ls`,
  silent: (host) => `the host ${host} does not answer, or not any more: nothing passes between the two`,
  down: (host) => `the tunnel to ${host} does not stand on this host, and is being put back`,
};

/** What this host knows of the other's decision: whether it is by the same rules, as of its last word. */
function aboutHost({ text, member, host }: End): string[] {
  if (host === undefined) return [];
  const { host: name, rules, saidAt = '' } = host;
  const decides =
    rules === 'same'
      ? `had the same rules when it spoke last (${saidAt})`
      : `had other rules when it spoke last (${saidAt}), and may decide otherwise: bring it these by net export and net apply`;
  return [
    `${member?.name ?? text} is on the host ${name}, which decides, too, and ${decides}; whether it is trusted there, ${name} knows`,
  ];
}

function ruleOf({ rule }: Decision): Pick<Reach, 'rule'> {
  if (rule === undefined) return {};
  const { name, action, why } = rule;
  return { rule: { name, action, ...(why === undefined ? {} : { why }) } };
}

function endOf({ text, machine, member, host }: End, address?: Address): Reach['from'] {
  const name = machine?.name ?? (host === undefined ? undefined : member?.name);
  return {
    text,
    ...(address === undefined ? {} : { address: address.text }),
    ...(name === undefined ? {} : { machine: name }),
    ...(host === undefined ? {} : { host: host.host }),
    ...(member === undefined ? {} : { labels: { ...member.labels } }),
  };
}

function otherFamily(flows: readonly { source: Address; decision: Decision }[]): string[] {
  const allowed = new Set(flows.map(({ decision }) => decision.allowed));
  if (allowed.size < 2) return [];
  const open = flows.find(({ decision }) => decision.allowed);
  return [`only by IPv${String(open?.source.family ?? 4)}: rules about addresses differ between the families`];
}
