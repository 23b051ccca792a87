// What is wanted of a network on this host, judged: its definition, its machines here and on other hosts, and what none of them may
// reach whatever a rule says.
import { RingwallError, type MachineId } from '@ringwall/api';
import type { NetworkDefinition, NetworkMachine } from '@ringwall/api/networks';
import { tapName, type Beginning } from '@ringwall/host/network';
import {
  NetPolicyError,
  parseMachines,
  parsePolicy,
  printRange,
  ReachModel,
  type FarMachine,
  type Machine,
  type Network,
  type ProtectedRange,
} from '@ringwall/netpolicy';
import type { NetworkPeers } from './network-peers.ts';

/** What ringwalld wants of a network. */
export interface WantedNetwork {
  readonly definition: NetworkDefinition;
  readonly machines: readonly Omit<NetworkMachine, 'admitted'>[];
}

/** The same, judged. */
export interface Plan {
  /** Plans with the same text have the same rules for the same machines. */
  readonly text: string;
  readonly network: Network;
  readonly machines: ReadonlyMap<MachineId, Machine>;
  /** On other hosts. */
  readonly far: readonly FarMachine[];
  /** What none of its machines reaches by the way out. */
  readonly protectedRanges: readonly ProtectedRange[];
  readonly trouble: string | undefined;
}

export function judge(
  wanted: WantedNetwork,
  peers: NetworkPeers | undefined,
  protectedRanges: readonly ProtectedRange[],
): Plan {
  return inPolicyWords(() => {
    // The tenant is ringwalld's to know: here its name is nobody's.
    const { networks } = parsePolicy({ version: 1, tenant: 'local', networks: [wanted.definition] });
    const [network] = networks;
    if (network === undefined) throw new RingwallError('internal', 'a policy of one network has none');
    const described = wanted.machines.map(({ machine, name, labels, addresses, mac }) => {
      return { name, labels, addresses, mac, interface: tapName(machine) };
    });
    const machines = new Map<MachineId, Machine>();
    for (const [index, machine] of parseMachines(described, network).entries()) {
      const id = wanted.machines[index]?.machine;
      if (id !== undefined) machines.set(id, machine);
    }
    const { machines: far, trouble } = peers?.far(network, [...machines.values()]) ?? { machines: [] };
    const text = JSON.stringify([
      wanted.definition,
      far.map((machine) => [machine.name, machine.labels, wayTo(machine)]),
      network.internet === 'none' ? [] : protectedRanges.map((range) => printRange(range)),
    ]);
    return { text, network, machines, far, protectedRanges, trouble };
  });
}

function wayTo({ interface: device, olderInterface = '', addresses }: FarMachine): string {
  return [device, olderInterface, ...addresses.map(({ text }) => text)].join(' ');
}

/**
 * Whether a connection that stands may go on by this plan: what one of its machines began there is asked as if it began now. What the
 * host itself gives (addresses, names) is no matter of rules.
 */
export function goesOnBy(
  { network, machines, far, protectedRanges }: Plan,
  atSeconds: number,
): (flow: Beginning) => boolean {
  const model = new ReachModel(network, [...machines.values(), ...far], protectedRanges);
  return (begun) => {
    const { allowed, reason } = model.decide({ ...begun, atSeconds });
    return allowed || reason === 'nobody-sends' || reason === 'nobody-there' || reason === 'protected';
  };
}

export function inPolicyWords<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw asPolicyTrouble(error);
  }
}

export function asPolicyTrouble(error: unknown): unknown {
  if (!(error instanceof NetPolicyError)) return error;
  return new RingwallError('policy-invalid', error.message, { cause: error });
}

/** The one before, where nothing of it has changed. */
export function sameWanted(before: WantedNetwork | undefined, after: WantedNetwork): WantedNetwork {
  return before !== undefined && JSON.stringify(before) === JSON.stringify(after) ? before : after;
}
