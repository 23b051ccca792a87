// The other hosts of a network and their machines, as this host's warden knows them: for the model that is asked about reach, and for
// addresses that two hosts must not give at the same time.
import { type NetworkId, RingwallError } from '@ringwall/api';
import type { NetworkPeer } from '@ringwall/api/network-peers';
import { type FarMachine, type Machine, type Network, NetPolicyError, parseFarMachines } from '@ringwall/netpolicy';
import type { WardenClient } from '../machines/clients.ts';

export interface FarSide {
  readonly hosts: readonly NetworkPeer[];
  readonly machines: readonly FarMachine[];
}

/** Nothing where the warden does not say. */
export async function askPeers(
  warden: Pick<WardenClient, 'call'>,
  network: NetworkId,
): Promise<readonly NetworkPeer[]> {
  return (await warden.call({ op: 'list-peers', network }).catch(() => ({ peers: [] }))).peers;
}

/** A rule that means a machine by its name means one. */
export function refuseNameOf(hosts: readonly NetworkPeer[], machine: string): void {
  const other = hosts.find(({ machines }) => machines.some(({ name }) => name === machine));
  if (other === undefined) return;
  throw new RingwallError('conflict', `the host ${other.host} has a machine ${machine} in this network`, {
    hint: 'give this one another: --name',
  });
}

/** A host of which something does not fit what is here is left out whole, as the warden leaves it out. */
export function farSideOf(hosts: readonly NetworkPeer[], network: Network, near: readonly Machine[]): FarSide {
  let machines: readonly FarMachine[] = [];
  let described: object[] = [];
  for (const [index, { host, machines: own }] of hosts.entries()) {
    // The name of its tunnel says nothing here, and has only to be its own.
    const more = own.map((machine) => ({ ...machine, host, interface: `wg${index}` }));
    try {
      machines = parseFarMachines([...described, ...more], network, near);
      described = [...described, ...more];
    } catch (error) {
      if (!(error instanceof NetPolicyError)) throw error;
    }
  }
  return { hosts, machines };
}
