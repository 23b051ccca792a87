// Mirrors as the API asks for them: in names, and each beginning and end in the audit trail. What is mirrored is kept by the warden, and
// whether it may be is root's to say there.
import { type MachineId, type NetworkId, RingwallError } from '@ringwall/api';
import type { MirrorAnswer, ShownMirror } from '@ringwall/api/mirrors';
import type { WardenClient } from '../machines/clients.ts';
import type { Store } from '../store/index.ts';
import { membersOf } from './members.ts';
import { findNetwork } from './model.ts';

export interface MirrorsOptions {
  readonly store: Store;
  readonly warden: Pick<WardenClient, 'call'>;
}

export class Mirrors {
  readonly #use: MirrorsOptions;

  constructor(options: MirrorsOptions) {
    this.#use = options;
  }

  async show(idOrName: string): Promise<ShownMirror> {
    const { store, warden } = this.#use;
    const { id, name } = await findNetwork(store, idOrName);
    return this.#shown(name, await this.#namesIn(id), await warden.call({ op: 'show-mirror', network: id }));
  }

  async set(idOrName: string, machines: 'all' | readonly string[]): Promise<ShownMirror> {
    const { store, warden } = this.#use;
    const { id, name } = await findNetwork(store, idOrName);
    const names = await this.#namesIn(id);
    const ids = machines === 'all' ? machines : machines.map((machine) => idIn(names, machine, name));
    const answer = await warden.call({ op: 'set-mirror', network: id, machines: ids });
    const what = machines === 'all' ? 'all machines' : machines.join(', ');
    await store.appendEvent(
      machines.length === 0
        ? { kind: 'network.mirror-ended', message: `${name}: nothing is mirrored any more` }
        : { kind: 'network.mirrored', message: `${name}: ${what}: mirrored to ${answer.namespace}` },
    );
    return this.#shown(name, names, answer);
  }

  #shown(network: string, names: ReadonlyMap<MachineId, string>, answer: MirrorAnswer): ShownMirror {
    const named = (ids: readonly MachineId[]): string[] => ids.map((id) => names.get(id) ?? id);
    const { machines, mirrored } = answer;
    return {
      ...answer,
      network,
      machines: machines === 'all' ? machines : named(machines),
      mirrored: named(mirrored),
    };
  }

  async #namesIn(network: NetworkId): Promise<ReadonlyMap<MachineId, string>> {
    return new Map((await membersOf(this.#use.store, network)).map(({ machine }) => [machine.id, machine.name]));
  }
}

function idIn(names: ReadonlyMap<MachineId, string>, machine: string, network: string): MachineId {
  const found = [...names].find(([id, name]) => id === machine || name === machine);
  if (found !== undefined) return found[0];
  throw new RingwallError(
    'not-found',
    `the network ${network} has no machine ${JSON.stringify(machine.slice(0, 64))}`,
    {
      hint: `see which it has: ringwall network show ${network}`,
    },
  );
}
