// What was counted in a network, with the names of its machines and rules: for `net counters` and for metrics.
import type { NetworkCounters } from '@ringwall/api/counters';
import type { Network } from '@ringwall/api/networks';
import type { WardenClient } from '../machines/clients.ts';
import type { Store } from '../store/index.ts';
import { judgeDefinition } from './judge.ts';
import { membersOf } from './members.ts';
import { findNetwork } from './model.ts';

/** A listing of the rules of 10,000 machines takes seconds on a busy host. */
const COUNT_TIMEOUT_MS = 20_000;

export interface CountersOptions {
  readonly store: Store;
  readonly warden: Pick<WardenClient, 'call'>;
}

export class Counters {
  readonly #use: CountersOptions;

  constructor(options: CountersOptions) {
    this.#use = options;
  }

  async find(idOrName: string): Promise<NetworkCounters> {
    return await this.read(await findNetwork(this.#use.store, idOrName));
  }

  async read({ id, name: network, spec }: Pick<Network, 'id' | 'name' | 'spec'>): Promise<NetworkCounters> {
    const { store, warden } = this.#use;
    const request = { op: 'count-network', network: id } as const;
    const { machines, rules, ...shared } = await warden.call(request, { timeoutMs: COUNT_TIMEOUT_MS });
    const names = new Map((await membersOf(store, id)).map(({ machine }) => [machine.id, machine.name]));
    return {
      ...shared,
      network,
      rules: [...rules, ...unusedRules(spec.definition, rules)],
      // One that is being removed has a name no more.
      machines: machines
        .flatMap(({ machine, ...counted }) => {
          const name = names.get(machine);
          return name === undefined ? [] : [{ name, ...counted }];
        })
        .toSorted((a, b) => (a.name < b.name ? -1 : 1)),
    };
  }
}

/** Rules that have never decided: the warden says nothing of them. On a segment it says nothing of any. */
function unusedRules(
  definition: Network['spec']['definition'],
  counted: NetworkCounters['rules'],
): NetworkCounters['rules'] {
  const { mode, rules } = judgeDefinition(definition);
  if (mode !== 'routed') return [];
  const used = new Set(counted.flatMap((each) => each.rules.map(({ name }) => name)));
  return rules
    .filter(({ name }) => !used.has(name))
    .map(({ name, action }) => ({ rules: [{ name, action }], connections: 0 }));
}
