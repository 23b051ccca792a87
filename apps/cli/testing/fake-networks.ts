// The networks of a FakeApi: what was asked for is remembered, and what follows from it is said as the real daemon says it.
import { RingwallError, type Machine, type MachineDetail } from '@ringwall/api';
import {
  changedNetworkSchema,
  type HostWayOut,
  hostWayOutSchema,
  networkDetailSchema,
  networkListSchema,
  networkMapSchema,
  policyPlanSchema,
  reachSchema,
  shownNetworkSchema,
  type Reach,
  type ShownNetwork,
} from '@ringwall/api/networks';
import { networkCountersSchema, type NetworkCounters } from '@ringwall/api/counters';
import { mirrorSchema } from '@ringwall/api/mirrors';
import { judged, type JudgedNetwork } from './judged-network.ts';

export class FakeNetworks {
  readonly networks: ShownNetwork[] = [];
  mirrored: 'all' | readonly string[] = [];
  /** What the next `why` answers instead. */
  reach: Reach | undefined;
  /** How this host lets networks out. */
  wayOut: HostWayOut = { state: 'off', setting: '/var/lib/ringwall/warden/egress.json' };
  readonly #now: number;

  constructor(now: number) {
    this.#now = now;
  }

  /** Undefined where the route is none of these. */
  answer(
    route: string,
    words: readonly string[],
    query: URLSearchParams,
    body: unknown,
    machines: readonly Machine[],
  ): unknown {
    const [, network = '', , rule = ''] = words;
    switch (route) {
      case 'GET networks':
        return networkListSchema.parse({ networks: this.networks });
      case 'GET way-out':
        return hostWayOutSchema.parse(this.wayOut);
      case 'POST networks':
        return shownNetworkSchema.parse(this.#create(Object(body)));
      case 'GET networks/*':
        return networkDetailSchema.parse({
          network: this.#find(network),
          machines: placesOf(this.#find(network), machines),
        });
      case 'DELETE networks/*':
        this.networks.splice(this.networks.indexOf(this.#find(network)), 1);
        return {};
      case 'GET networks/*/map':
        return networkMapSchema.parse({ network, ...this.#judged(network, machines).map() });
      case 'GET networks/*/counters':
        return networkCountersSchema.parse(countersOf(this.#find(network), placesOf(this.#find(network), machines)));
      case 'GET networks/*/mirror':
      case 'POST networks/*/mirror': {
        if (route.startsWith('POST')) this.mirrored = Object(body).machines;
        const mirrored = this.mirrored === 'all' ? machines.map(({ name }) => name) : this.mirrored;
        const { id } = this.#find(network);
        return mirrorSchema.parse({
          ...{ network, machines: this.mirrored, mirrored, allowed: true },
          ...{ namespace: `/run/ringwall/networks/${id}.mirror`, interface: 'ids0' },
        });
      }
      case 'POST networks/*/rules': {
        const before = this.#judged(network, machines);
        const rules = [...rulesOf(this.#find(network)), Object(body).rule];
        return changedNetworkSchema.parse(this.#change(network, rules, before, machines));
      }
      case 'DELETE networks/*/rules': {
        const before = this.#judged(network, machines);
        const rules = rulesOf(this.#find(network)).filter((each) => Object(each).name !== rule);
        return changedNetworkSchema.parse(this.#change(network, rules, before, machines));
      }
      case 'GET reach':
        return reachSchema.parse(this.reach ?? this.#reach(query, machines));
      case 'GET policy':
        return { version: 1, tenant: 'default', networks: this.networks.map(({ spec }) => spec.definition) };
      case 'POST policy/plan':
      case 'POST policy/apply':
        return policyPlanSchema.parse(this.#plan(Object(body).policy, machines));
      default:
        return undefined;
    }
  }

  placeOf(machine: Machine): MachineDetail['network'] {
    const network = this.networks.find(({ id }) => id === machine.spec.network);
    if (network === undefined) return undefined;
    const [place] = placesOf(network, [machine]);
    return place === undefined
      ? undefined
      : { name: network.name, addresses: place.addresses, mac: place.mac, admitted: place.admitted };
  }

  find(name: string): ShownNetwork {
    return this.#find(name);
  }

  #create({
    name = '',
    addresses = ['10.20.0.0/16', 'fd5c:81aa:9e02::/64'],
    internet = 'none',
  }: Record<string, unknown>): ShownNetwork {
    const known = this.networks.length;
    const network = {
      id: `net_${'a'.repeat(19)}${'abcdefgh'[known] ?? 'z'}` as const,
      ...{ tenant: 'default', name: String(name), version: 1, createdAt: new Date(this.#now).toISOString() },
      spec: { definition: { name, addresses, internet, rules: [] } },
      status: { state: 'in-force' as const, machines: 0, ...(internet === 'nat' ? { wayOut: this.wayOut } : {}) },
    };
    judged(network.spec.definition, []);
    this.networks.push(network);
    return network;
  }

  #find(name: string): ShownNetwork {
    const network = this.networks.find((each) => each.name === name || each.id === name);
    if (network === undefined) throw new RingwallError('not-found', `there is no network ${JSON.stringify(name)}`);
    return network;
  }

  #judged(name: string, machines: readonly Machine[]): JudgedNetwork {
    const network = this.#find(name);
    return judged(network.spec.definition, placesOf(network, machines));
  }

  #change(name: string, rules: readonly unknown[], before: JudgedNetwork, machines: readonly Machine[]): unknown {
    const network = this.#find(name);
    const definition = { ...network.spec.definition, rules };
    const after = judged(definition, placesOf(network, machines));
    Object.assign(network.spec, { definition });
    return { network, ...after.consequences(before) };
  }

  #reach(query: URLSearchParams, machines: readonly Machine[]): Reach {
    const [network] = this.networks;
    const ask = (name: string): string => query.get(name) ?? '';
    const judge = this.#judged(network?.name ?? '', machines);
    return judge.reach(ask('from'), ask('to'), ask('service'));
  }

  #plan(policy: unknown, machines: readonly Machine[]): unknown {
    const networks: unknown = Object(policy).networks;
    return {
      networks: (Array.isArray(networks) ? networks : []).map((definition) => {
        const before = this.networks.find(({ name }) => name === Object(definition).name);
        const places = before === undefined ? [] : placesOf(before, machines);
        const after = judged(definition, places);
        const old = before === undefined ? undefined : judged(before.spec.definition, places);
        return {
          name: Object(definition).name,
          does: old === undefined ? 'make' : 'change',
          hosts: [],
          ...after.consequences(old),
        };
      }),
      troubles: [],
    };
  }
}

export function placesOf(
  { id }: ShownNetwork,
  machines: readonly Machine[],
): (typeof networkDetailSchema)['_output']['machines'] {
  return machines
    .filter(({ spec }) => spec.network === id)
    .map(({ id: machine, name, spec, status: { phase, trust } }, index) => ({
      ...{
        machine,
        name,
        labels: spec.labels ?? {},
        phase,
        trust,
        admitted: trust === 'attested' && phase === 'running',
      },
      addresses: [`10.20.0.${String(index + 2)}`],
      mac: `02:00:00:00:00:0${String(index + 1)}`,
    }));
}

const OUT = {
  sent: { packets: 21, bytes: 3_072 },
  received: { packets: 19, bytes: 40_960 },
  refused: [
    { reason: 'protected', packets: 2, bytes: 120 },
    { reason: 'refused', packets: 1, bytes: 60 },
  ],
};

/** Each machine has counted more than the one before it; each rule as often as its place. */
function countersOf({ name, spec }: ShownNetwork, places: ReturnType<typeof placesOf>): NetworkCounters {
  const refused = { reason: 'refused', packets: 3, bytes: 180 };
  return {
    network: name,
    refused: [refused, { reason: 'spoofed', packets: 0, bytes: 0 }],
    putBack: 2,
    connections: { known: 12, limit: 262_144 },
    ...(spec.definition['internet'] === 'nat' ? { out: OUT } : {}),
    rules: rulesOf({ spec }).map((rule, index) => ({
      rules: [{ name: String(Object(rule).name), action: Object(rule).action }],
      connections: index,
    })),
    machines: places.map((place, index) => ({
      name: place.name,
      sent: { packets: 17 * (index + 1), bytes: 2_048 * (index + 1) },
      received: { packets: 40 * index, bytes: 5_000_000 * index },
      ...{ late: index, refused: index === 0 ? [refused] : [] },
    })),
  };
}

function rulesOf({ spec }: Pick<ShownNetwork, 'spec'>): unknown[] {
  const { rules } = spec.definition;
  return Array.isArray(rules) ? rules : [];
}
