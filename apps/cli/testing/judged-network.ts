// What follows from a fake network's rules, by the very library that the daemon asks.
import { RingwallError } from '@ringwall/api';
import type { Consequences, Place, Reach, ShownMap } from '@ringwall/api/networks';
import {
  compareNetworks,
  findRuleTroubles,
  mapNetwork,
  type Machine,
  type Network,
  NetPolicyError,
  parseMachines,
  parsePolicy,
  parseSingleService,
  ReachModel,
} from '@ringwall/netpolicy';
import { FAKE_NOW } from './fake-now.ts';

const NOW = { atSeconds: FAKE_NOW / 1_000 };

export class JudgedNetwork {
  readonly network: Network;
  readonly #machines: readonly Machine[];
  readonly #places: readonly Place[];

  constructor(network: Network, places: readonly Place[]) {
    this.network = network;
    this.#places = places;
    this.#machines = parseMachines(
      places.map(({ name, labels, addresses, mac }, index) => ({
        name,
        labels,
        addresses,
        mac,
        interface: `m${String(index)}`,
      })),
      network,
    );
  }

  consequences(before: JudgedNetwork | undefined): Consequences {
    const { changes, more } = compareNetworks(before?.network, this.network, this.#machines, NOW);
    const findings = findRuleTroubles(this.network, this.#machines, NOW.atSeconds);
    return {
      changes: changes.map(({ rule, services, ...change }) => ({
        ...change,
        services: [...services],
        ...(rule === undefined ? {} : { rule }),
      })),
      more,
      findings: findings.map(({ kind, rule, message }) => ({
        rule,
        message,
        idle: kind === 'shadowed' || kind === 'over',
      })),
    };
  }

  map(): Omit<ShownMap, 'network'> {
    const { nodes, edges } = mapNetwork(this.network, this.#machines, NOW);
    return {
      nodes: nodes.map((node) => ({ ...node, machines: [...node.machines] })),
      edges: edges.map((edge) => ({ ...edge, services: [...edge.services], rules: [...edge.rules] })),
    };
  }

  reach(from: string, to: string, service: string): Reach {
    const [one, other] = [from, to].map((name) => this.#machines.find((machine) => machine.name === name));
    const [source, target] = [one?.addresses[0], other?.addresses[0]];
    if (source === undefined || target === undefined)
      throw new RingwallError('not-found', `there is no machine ${JSON.stringify(to)}`);
    const { protocol, number } = parseSingleService(service, 4, '');
    const { allowed, reason, rule } = new ReachModel(this.network, this.#machines).decide({
      from: source,
      to: target,
      protocol,
      number,
      ...NOW,
    });
    const end = (text: string, address: string): Reach['from'] => ({
      ...{ text, address, machine: text },
      labels: this.#places.find(({ name }) => name === text)?.labels ?? {},
    });
    return {
      network: this.network.name,
      ...{ from: end(from, source.text), to: end(to, target.text), service, open: allowed, allowed, reason, notes: [] },
      ...(rule === undefined
        ? {}
        : { rule: { name: rule.name, action: rule.action, ...(rule.why === undefined ? {} : { why: rule.why }) } }),
    };
  }
}

export function judged(definition: unknown, places: readonly Place[]): JudgedNetwork {
  try {
    const [network] = parsePolicy({ version: 1, tenant: 'default', networks: [definition] }).networks;
    if (network === undefined) throw new RangeError('a policy of one network has one');
    return new JudgedNetwork(network, places);
  } catch (error) {
    if (!(error instanceof NetPolicyError)) throw error;
    throw new RingwallError('policy-invalid', error.message.replace('networks[0].', ''), { cause: error });
  }
}
