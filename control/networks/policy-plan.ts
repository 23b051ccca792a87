// A whole policy against what is in force: which networks are made, changed and removed for it, what that opens and closes, and why
// it cannot be, where it cannot. Pure.
import { newNetworkId, RingwallError } from '@ringwall/api';
import type { NetworkPeer } from '@ringwall/api/network-peers';
import type { Network, NetworkDefinition, PolicyPlan } from '@ringwall/api/networks';
import type { Network as Definition, Policy } from '@ringwall/netpolicy';
import type { NetworkChange } from '../store/index.ts';
import { type OwnedRange, refuseOverlaps } from './addresses.ts';
import { consequencesOf } from './consequences.ts';
import { farSideOf } from './far.ts';
import { judgeDefinition, TENANT } from './judge.ts';
import { asPolicyMachines, type Member } from './members.ts';

export interface StandingNetwork {
  readonly network: Network;
  readonly members: readonly Member[];
  /** Other hosts that have it. */
  readonly hosts: readonly NetworkPeer[];
}

export interface PlanFacts {
  readonly standing: readonly StandingNetwork[];
  /** What the host has itself. */
  readonly hostRanges: readonly OwnedRange[];
  readonly now: Date;
}

export interface Planned extends PolicyPlan {
  readonly change: NetworkChange;
}

/** `definitions` are the networks of the policy as the file has them, in its order. */
export function planPolicy(policy: Policy, definitions: readonly NetworkDefinition[], facts: PlanFacts): Planned {
  const atSeconds = Math.floor(facts.now.getTime() / 1_000);
  const known = new Map(facts.standing.map((each) => [each.network.name, each]));
  const change = { insert: [] as Network[], update: [] as Network[], remove: [] as Network[] };
  const networks: PolicyPlan['networks'] = [];
  const troubles: string[] = [];
  const attempt = (work: () => void): void => {
    try {
      work();
    } catch (error) {
      if (!(error instanceof RingwallError)) throw error;
      troubles.push(error.hint === undefined ? error.message : `${error.message}: ${error.hint}`);
    }
  };
  for (const [index, after] of policy.networks.entries()) {
    const definition = definitions[index] ?? {};
    const before = known.get(after.name);
    const same = before !== undefined && isSame(before.network.spec.definition, definition);
    attempt(() => {
      refuseOverlaps(after.name, after.addresses, facts.hostRanges);
      const machines = before === undefined ? [] : machinesIn(before, after);
      const former = before === undefined ? undefined : judgeDefinition(before.network.spec.definition);
      if (former !== undefined && former.mode !== after.mode) {
        throw new RingwallError('policy-invalid', `${after.name} is ${former.mode}, and a network keeps its mode`, {
          hint: 'make another network for the other mode',
        });
      }
      const does = before === undefined ? 'make' : same ? 'keep' : 'change';
      const { hosts, machines: far } = farSideOf(before?.hosts ?? [], after, machines);
      const consequences = consequencesOf(former, after, [...machines, ...far], atSeconds);
      networks.push({ name: after.name, does, hosts: hosts.map(({ host }) => host), ...consequences });
    });
    if (before === undefined) change.insert.push(newNetwork(definition, after.name, facts.now));
    else if (!same) change.update.push({ ...before.network, spec: { definition } });
  }
  const named = new Set(policy.networks.map(({ name }) => name));
  for (const { network, members } of facts.standing) {
    if (named.has(network.name)) continue;
    networks.push({ name: network.name, does: 'remove', hosts: [], changes: [], more: 0, findings: [] });
    change.remove.push(network);
    if (members.length === 0) continue;
    const names = members.map(({ machine }) => machine.name);
    troubles.push(
      `${network.name} is not in the policy, and machines have cards in it: ${names.slice(0, 8).join(', ')}`,
    );
  }
  return { networks, troubles, change };
}

export function newNetwork(definition: NetworkDefinition, name: string, now: Date): Network {
  return {
    id: newNetworkId(),
    tenant: TENANT,
    name,
    version: 1,
    createdAt: now.toISOString(),
    spec: { definition },
    status: {},
  };
}

/** Throws where a machine that is there has no place in the network any more. */
function machinesIn({ members }: StandingNetwork, after: Definition): ReturnType<typeof asPolicyMachines> {
  // One by one, so that the error names the machine.
  for (const member of members) {
    try {
      asPolicyMachines([member], after);
    } catch (error) {
      if (!(error instanceof RingwallError)) throw error;
      throw new RingwallError(error.code, `${member.machine.name}: ${error.message}`, {
        ...(error.hint === undefined ? {} : { hint: error.hint }),
        cause: error,
      });
    }
  }
  return asPolicyMachines(members, after);
}

/** Whatever the order of its keys: a file that somebody has sorted says the same. */
function isSame(a: unknown, b: unknown): boolean {
  if (Array.isArray(a) && Array.isArray(b)) return a.length === b.length && a.every((each, at) => isSame(each, b[at]));
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return a === b;
  const [one, other] = [Object.entries(a), new Map<string, unknown>(Object.entries(b))];
  return one.length === other.size && one.every(([key, value]) => other.has(key) && isSame(value, other.get(key)));
}
