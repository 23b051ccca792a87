// Figures of this host for Prometheus: what ringwalld knows of its machines, and what the kernel has counted in their networks. Their
// number is bounded by what an operator has made, and by a limit; nothing that a guest says becomes a name or a label.
import { type Event, type HostReport, type Machine, MACHINE_PHASES, machineStatusSchema } from '@ringwall/api';
import type { NetworkCounters } from '@ringwall/api/counters';
import type { ShownNetwork } from '@ringwall/api/networks';
import type { Counters, Networks } from '../networks/index.ts';
import type { Store } from '../store/index.ts';
import { type Family, type MetricsFormat, renderMetrics, type Sample } from './exposition.ts';

/** Of machines, and of rules, that have figures of their own: about ten each, and a Prometheus keeps each for weeks. */
export const SERIES_LIMIT = 1_000;
/** Kinds of events are words of ours; this is for the day when they are not. */
const EVENT_KINDS_LIMIT = 100;
/** However often somebody asks, the host is asked this often. */
const KEPT_MS = 2_000;

export interface MetricsOptions {
  readonly store: Store;
  readonly networks: Pick<Networks, 'list'>;
  readonly counters: Pick<Counters, 'read'>;
  readonly host: { processes(): Promise<HostReport['processes']> };
  readonly operations: { readonly running: number };
  readonly version: string;
}

export class Metrics implements Disposable {
  readonly #use: MetricsOptions;
  readonly #events = new Map<string, number>();
  readonly #watch: Disposable;
  #collected: { readonly atMs: number; readonly families: Promise<readonly Family[]> } | undefined;

  constructor(options: MetricsOptions) {
    this.#use = options;
    this.#watch = options.store.watchEvents((event) => this.#count(event));
  }

  [Symbol.dispose](): void {
    this.#watch[Symbol.dispose]();
  }

  async render(format: MetricsFormat): Promise<string> {
    const now = performance.now();
    if (this.#collected === undefined || now - this.#collected.atMs >= KEPT_MS) {
      const families = this.#collect();
      this.#collected = { atMs: now, families };
      families.catch(() => (this.#collected = undefined));
    }
    return renderMetrics(await this.#collected.families, format);
  }

  #count({ kind }: Event): void {
    const name = this.#events.has(kind) || this.#events.size < EVENT_KINDS_LIMIT ? kind : 'other';
    this.#events.set(name, (this.#events.get(name) ?? 0) + 1);
  }

  async #collect(): Promise<readonly Family[]> {
    const { store, networks, host, operations, version } = this.#use;
    const [processes, machines, known, snapshots, disks] = await Promise.all([
      host.processes(),
      store.listMachines(),
      networks.list(),
      store.snapshots.list(),
      store.disks.list(),
    ]);
    const counted = await this.#countNetworks(known);
    return [
      gauge('ringwall_build_info', 'Which Ringwall this is.', [{ labels: { version }, value: 1 }]),
      gauge(
        'ringwall_process_up',
        'Whether a process of Ringwall answers.',
        processes.map(({ name, state }) => ({ labels: { process: name }, value: state === 'up' ? 1 : 0 })),
      ),
      gauge('ringwall_machines', 'Machines by what they do and how far they are trusted.', machinesBy(machines)),
      gauge('ringwall_operations_running', 'Long work that is under way.', [{ value: operations.running }]),
      gauge('ringwall_snapshots', 'Snapshots on this host.', [{ value: snapshots.length }]),
      gauge('ringwall_snapshot_bytes', 'What snapshots take, encrypted.', [
        { value: snapshots.reduce((sum, { bytes }) => sum + bytes, 0) },
      ]),
      gauge('ringwall_disks', 'Imported disks.', [{ value: disks.length }]),
      counter(
        'ringwall_events',
        'Entries in the audit trail since ringwalld began, by kind: machine.quarantined, network.closed and so on.',
        Array.from(this.#events, ([kind, value]) => ({ labels: { kind }, value })),
      ),
      ...networkFamilies(known, counted),
    ];
  }

  /** Networks whose counts cannot be read have none; which those are is a figure, too. */
  async #countNetworks(known: readonly ShownNetwork[]): Promise<readonly NetworkCounters[]> {
    const counted: NetworkCounters[] = [];
    // One after the other: a scrape is never so urgent that the host should read all rules of all networks at once.
    for (const network of known) {
      const counters = await this.#use.counters.read(network).catch(() => undefined);
      if (counters !== undefined) counted.push(counters);
    }
    return counted;
  }
}

/** Each pair of phase and trust that machines can be in, also where none is: an alert on what is absent never fires. */
function machinesBy(machines: readonly Machine[]): Sample[] {
  return MACHINE_PHASES.flatMap((phase) =>
    machineStatusSchema.shape.trust.options.map((trust) => ({
      labels: { phase, trust },
      value: machines.filter(({ status }) => status.phase === phase && status.trust === trust).length,
    })),
  );
}

function networkFamilies(known: readonly ShownNetwork[], counted: readonly NetworkCounters[]): Family[] {
  const machines = counted.flatMap(({ network, machines: own }) => own.map((machine) => ({ network, machine })));
  const rules = counted.flatMap(({ network, rules: own }) => own.map((rule) => ({ network, rule })));
  const shown = machines.slice(0, SERIES_LIMIT);
  const of = ({ network, machine: { name } }: (typeof shown)[number]): Record<string, string> => ({
    network,
    machine: name,
  });
  const traffic = (direction: 'sent' | 'received', unit: 'packets' | 'bytes'): Family =>
    counter(
      `ringwall_machine_${direction}_${unit}`,
      `${unit === 'packets' ? 'Packets' : 'Bytes'} that a machine has ${direction} on its cable.`,
      shown.map((each) => ({ labels: of(each), value: each.machine[direction][unit] })),
    );
  return [
    gauge(
      'ringwall_network_in_force',
      'Whether the host does what is wanted of a network.',
      known.map(({ name, status }) => ({ labels: { network: name }, value: status.state === 'in-force' ? 1 : 0 })),
    ),
    gauge(
      'ringwall_network_machines',
      'Machines that have a card in a network.',
      known.map(({ name, status }) => ({ labels: { network: name }, value: status.machines })),
    ),
    gauge(
      'ringwall_network_counted',
      'Whether the counts of a network could be read.',
      known.map(({ name }) => ({
        labels: { network: name },
        value: counted.some(({ network }) => network === name) ? 1 : 0,
      })),
    ),
    gauge(
      'ringwall_network_connections',
      'Connections that connection tracking knows in a network.',
      counted.flatMap(({ network, connections }) =>
        connections === undefined ? [] : [{ labels: { network }, value: connections.known }],
      ),
    ),
    gauge(
      'ringwall_network_connections_limit',
      'Connections that it has room for.',
      counted.flatMap(({ network, connections }) =>
        connections === undefined ? [] : [{ labels: { network }, value: connections.limit }],
      ),
    ),
    counter(
      'ringwall_network_refused_packets',
      'Packets that were dropped in a network, by reason.',
      counted.flatMap(({ network, refused }) =>
        refused.map(({ reason, packets }) => ({ labels: { network, reason }, value: packets })),
      ),
    ),
    counter(
      'ringwall_network_rules_put_back',
      'Times that somebody else has changed the rules of a network, and they were put back.',
      counted.map(({ network, putBack }) => ({ labels: { network }, value: putBack })),
    ),
    counter(
      'ringwall_network_rule_connections',
      'Connections that a rule has let begin or has denied; rules among which times choose are counted together.',
      rules.slice(0, SERIES_LIMIT).map(({ network, rule: { rules: deciding, connections } }) => ({
        labels: {
          network,
          rule: deciding.map(({ name }) => name).join(' or '),
          action: [...new Set(deciding.map(({ action }) => action))].join(' or '),
        },
        value: connections,
      })),
    ),
    ...networkOutFamilies(counted),
    traffic('sent', 'packets'),
    traffic('sent', 'bytes'),
    traffic('received', 'packets'),
    traffic('received', 'bytes'),
    counter(
      'ringwall_machine_receive_dropped_packets',
      'Packets to a machine that found no room in its share.',
      shown.map((each) => ({ labels: of(each), value: each.machine.late })),
    ),
    counter(
      'ringwall_machine_refused_packets',
      'Packets of a machine that were dropped, by reason.',
      shown.flatMap((each) =>
        each.machine.refused.map(({ reason, packets }) => ({ labels: { ...of(each), reason }, value: packets })),
      ),
    ),
    gauge('ringwall_metrics_left_out', 'What has no figures of its own because there are too many.', [
      { labels: { what: 'machines' }, value: machines.length - shown.length },
      { labels: { what: 'rules' }, value: Math.max(0, rules.length - SERIES_LIMIT) },
    ]),
  ];
}

/** Of networks that get out of this host now. */
function networkOutFamilies(counted: readonly NetworkCounters[]): Family[] {
  const ways = counted.flatMap(({ network, out }) => (out === undefined ? [] : [{ network, out }]));
  const traffic = (direction: 'sent' | 'received', unit: 'packets' | 'bytes'): Family =>
    counter(
      `ringwall_network_out_${direction}_${unit}`,
      `${unit === 'packets' ? 'Packets' : 'Bytes'} that a network has ${direction} by this host's way out.`,
      ways.map(({ network, out }) => ({ labels: { network }, value: out[direction][unit] })),
    );
  return [
    traffic('sent', 'packets'),
    traffic('sent', 'bytes'),
    traffic('received', 'packets'),
    traffic('received', 'bytes'),
    counter(
      'ringwall_network_out_refused_packets',
      'Packets of a network that were dropped on the way out, by reason.',
      ways.flatMap(({ network, out }) =>
        out.refused.map(({ reason, packets }) => ({ labels: { network, reason }, value: packets })),
      ),
    ),
  ];
}

function gauge(name: string, help: string, samples: readonly Sample[]): Family {
  return { name, type: 'gauge', help, samples };
}

function counter(name: string, help: string, samples: readonly Sample[]): Family {
  return { name, type: 'counter', help, samples };
}
