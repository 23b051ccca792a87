// The machines of a network, from what is stored of them: for the warden that plugs them in, and for the model that explains.
import { createHash } from 'node:crypto';
import type { Machine, MachineId } from '@ringwall/api';
import type { NetworkMachine } from '@ringwall/api/networks';
import type { Machine as PolicyMachine, Network } from '@ringwall/netpolicy';
import type { Card, Store } from '../store/index.ts';
import { judgeMachines } from './judge.ts';

export interface Member {
  readonly machine: Machine;
  readonly card: Card;
}

/** Of the machines that have a card in it, by name. */
export async function membersOf(store: Store, network: Card['network']): Promise<Member[]> {
  const cards = new Map((await store.networks.cards(network)).map((card) => [card.machine, card]));
  if (cards.size === 0) return [];
  return (await store.listMachines()).flatMap((machine) => {
    const card = cards.get(machine.id);
    return card === undefined ? [] : [{ machine, card }];
  });
}

/** Stable, and of no maker: the second hexadecimal digit says that it was given locally (IEEE 802, 8.4). */
export function macOf(machine: MachineId): string {
  const digest = createHash('sha256').update(`card of ${machine}`).digest('hex');
  return ['02', ...(digest.slice(0, 10).match(/../g) ?? [])].join(':');
}

/** Whether its card leads somewhere: for the boot that runs. */
export function isAdmitted({ machine, card }: Member): boolean {
  return card.admitted !== undefined && card.admitted === machine.status.bootId;
}

export function asWardenMachine({ machine, card }: Member): NetworkMachine {
  const { id, name, spec, status } = machine;
  const labels = spec.labels ?? {};
  const same = { machine: id, name, labels, addresses: [...card.addresses], mac: macOf(id) };
  // What was written down before another life of the daemon ended counts only as long as nothing else says otherwise.
  const stands = status.trust === 'attested' && status.bootId === card.admitted;
  return card.admitted === undefined || !stands ? same : { ...same, admitted: card.admitted };
}

/** For the model: the name of its cable says nothing there, and has only to be its own. */
export function asPolicyMachines(members: readonly Member[], network: Network): readonly PolicyMachine[] {
  return judgeMachines(
    members.map(({ machine: { id, name, spec }, card }) => ({
      name,
      labels: spec.labels ?? {},
      addresses: card.addresses,
      mac: macOf(id),
      interface: `m${id.slice('mch_'.length, 'mch_'.length + 14)}`,
    })),
    network,
  );
}
