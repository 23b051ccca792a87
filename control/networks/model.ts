// A network as it is written down, found by what somebody calls it, and made into the model that is asked about it.
import { RingwallError } from '@ringwall/api';
import type { Network } from '@ringwall/api/networks';
import type { AnyMachine, Network as Definition } from '@ringwall/netpolicy';
import type { WardenClient } from '../machines/clients.ts';
import type { Store } from '../store/index.ts';
import { askPeers, farSideOf, type FarSide } from './far.ts';
import { judgeDefinition, nearest } from './judge.ts';
import { asPolicyMachines, type Member, membersOf } from './members.ts';

export interface ModelSources {
  readonly store: Store;
  readonly warden: Pick<WardenClient, 'call'>;
}

export interface Model {
  readonly network: Network;
  readonly members: readonly Member[];
  readonly definition: Definition;
  /** Of all hosts. */
  readonly machines: readonly AnyMachine[];
  readonly far: FarSide;
}

export async function loadModel({ store, warden }: ModelSources, network: Network): Promise<Model> {
  const members = await membersOf(store, network.id);
  const definition = judgeDefinition(network.spec.definition);
  const near = asPolicyMachines(members, definition);
  const far = farSideOf(await askPeers(warden, network.id), definition, near);
  return { network, members, definition, machines: [...near, ...far.machines], far };
}

export async function findNetwork({ networks }: Store, idOrName: string): Promise<Network> {
  const network = await networks.find(idOrName);
  if (network !== undefined) return network;
  const names = (await networks.list()).map(({ name }) => name);
  const near = nearest(idOrName, names);
  const known = names.length === 0 ? 'make one: ringwall network create NAME' : `there are: ${names.join(', ')}`;
  throw new RingwallError('not-found', `there is no network ${JSON.stringify(idOrName.slice(0, 64))}`, {
    hint: near === undefined ? known : `did you mean ${near}?`,
  });
}

export function nowSeconds(): number {
  return Math.floor(Date.now() / 1_000);
}
