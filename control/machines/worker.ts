// Runs the work on machines as jobs, one at a time for each machine, and acts on what the observer sees between them.
import type { Machine, MachineId, Operation, RingwallError } from '@ringwall/api';
import { Networks, type NetworkTrust, type OwnedRange } from '../networks/index.ts';
import type { Store } from '../store/index.ts';
import { diedError } from './attest.ts';
import { waitsFor } from './busy.ts';
import type { BrokerClient, WardenClient } from './clients.ts';
import { type Job, type JobKind, Jobs } from './jobs.ts';
import {
  buildImage,
  createMachine,
  type CreateRequest,
  finishHandle,
  type Outcome,
  removeMachine,
  startMachine,
  stopMachine,
  tidyMachine,
} from './lifecycle.ts';
import { networkTrust } from './network-trust.ts';
import { interruptionOf } from './interrupted.ts';
import { type LiveBoot, Observer } from './observer.ts';
import { type OperationHandle, Operations } from './operations.ts';
import { type Timing, TIMING } from './timing.ts';
import { quietAfter } from './quarantine.ts';
import { restoreMachine, type RestoreRequest, snapshotMachine, type SnapshotRequest } from './snapshot.ts';
import { holdTemplate, type HoldRequest } from './templates.ts';
import { Watches } from './watches.ts';
import { asRingwallError, changeMachine, type Work } from './work.ts';

export interface WorkerOptions {
  readonly store: Store;
  readonly warden: WardenClient;
  readonly broker: BrokerClient;
  /** One line to the daemon's log. */
  readonly note: (line: string) => void;
  /** Shorter ones for tests. */
  readonly timing?: Timing;
  /** What the host reaches by its own routes, where tenant networks must not lie. */
  readonly hostRanges?: () => Promise<readonly OwnedRange[]>;
}

/** What an operation was asked for; stored, so that another life of the daemon can go on with it. */
export type WorkRequest =
  | ({ readonly kind: 'machine.create' } & CreateRequest)
  | { readonly kind: 'machine.start' }
  | { readonly kind: 'machine.stop'; readonly graceMs: number; readonly force?: boolean }
  | { readonly kind: 'machine.remove' }
  | ({ readonly kind: 'machine.snapshot' } & SnapshotRequest)
  | ({ readonly kind: 'machine.restore' } & RestoreRequest)
  | ({ readonly kind: 'template.hold' } & HoldRequest);

const JOB_OF: Record<WorkRequest['kind'], JobKind> = {
  'machine.create': 'create',
  'machine.start': 'start',
  'machine.stop': 'stop',
  'machine.remove': 'remove',
  'machine.snapshot': 'snapshot',
  'machine.restore': 'restore',
  'template.hold': 'hold',
};

export class Worker {
  readonly store: Store;
  readonly warden: WardenClient;
  readonly broker: BrokerClient;
  readonly timing: Timing;
  readonly note: (line: string) => void;
  readonly operations: Operations;
  readonly observer: Observer;
  readonly watches: Watches;
  readonly networks: Networks;
  readonly #jobs: Jobs;
  readonly #builds: Map<string, Promise<OperationHandle>> = new Map();
  readonly #building: Set<Promise<void>> = new Set();

  constructor(options: WorkerOptions) {
    this.store = options.store;
    this.warden = options.warden;
    this.broker = options.broker;
    this.note = options.note;
    this.timing = options.timing ?? TIMING;
    this.operations = new Operations(options.store, options.note);
    this.observer = new Observer(options.warden, this.timing, (live) => this.#react(live));
    const { store, warden, broker, timing, note } = this;
    this.watches = new Watches({ store, warden, broker, timing, note, onTrust: (id) => this.#reconsider(id) });
    const { hostRanges = () => Promise.resolve([]) } = options;
    const trustOf = (machine: Machine): NetworkTrust => this.#trustOf(machine);
    this.networks = new Networks({ store, warden, note, timing, hostRanges, trustOf });
    this.#jobs = new Jobs((machine) => {
      const live = this.observer.find(machine);
      if (live !== undefined && live.state !== 'alive') this.#react(live);
    });
  }

  current(machine: MachineId): Job | undefined {
    return this.#jobs.current(machine);
  }

  /** Aborted once the daemon ends. */
  get closing(): AbortSignal {
    return this.#jobs.closing;
  }

  async close(): Promise<void> {
    await Promise.all([this.#jobs.close(), this.observer.close(), this.watches.close()]);
    await this.networks.close();
    await Promise.allSettled(this.#building);
  }

  /** Whether that has not begun: something is to end before it. */
  waits(machine: MachineId): boolean {
    return this.#jobs.waits(machine);
  }

  /** Does the work of this operation after what is being done to the machine now, which is cancelled or waited for. */
  run(machine: MachineId, handle: OperationHandle, request: WorkRequest): Operation {
    const current = this.current(machine);
    const waits = current !== undefined && waitsFor(current.kind, request);
    if (waits) handle.step('waiting until its snapshot is sealed');
    this.#jobs.replace(machine, { kind: JOB_OF[request.kind], handle, waits }, (signal) =>
      this.#finish(machine, handle, signal, (work) => perform(work, machine, request)),
    );
    return handle.operation;
  }

  /** Ends what runs of a machine that should not, unless somebody asks for something else meanwhile. */
  tidy(machine: MachineId, before: (work: Work) => Promise<void> = () => Promise.resolve()): void {
    this.#jobs.replace(machine, { kind: 'tidy', handle: undefined }, (signal) =>
      this.#finish(machine, undefined, signal, async (work) => {
        await before(work);
        return tidyMachine(work, machine);
      }),
    );
  }

  /** The one operation that builds this image; a second request joins it. */
  async build(image: string, rebuild: boolean, resumed?: Operation): Promise<Operation> {
    const current = this.#builds.get(image);
    if (current !== undefined) return (await current).operation;
    const begun =
      resumed === undefined
        ? this.operations.begin({ kind: 'image.build' }, `building image ${image}`, { image, rebuild })
        : Promise.resolve(this.operations.take(resumed));
    this.#builds.set(image, begun);
    const settled = begun
      .then((handle) => this.#build(image, rebuild, handle))
      .catch(() => {}) // `begun` tells whoever asked
      .finally(() => {
        this.#builds.delete(image);
        this.#building.delete(settled);
      });
    this.#building.add(settled);
    return (await begun).operation;
  }

  /** A machine that runs no more, and was not asked to end. */
  tellEnded(machine: Machine, live: Pick<LiveBoot, 'state' | 'poweredOff'>): void {
    const { id, name } = machine;
    const died = diedError(machine, live);
    this.tidy(id, async (work) => {
      await changeMachine(
        work.store,
        id,
        ({ spec, status }) => ({
          ...(live.poweredOff ? { spec: { ...spec, running: false } } : {}),
          status: { ...quietAfter(status, [died.message]), phase: live.poweredOff ? 'stopped' : 'failed' },
        }),
        { kind: live.poweredOff ? 'machine.powered-off' : 'machine.failed', machine: id, message: died.message },
      );
      work.note(`${id} (${name}): ${died.message}`);
    });
  }

  async #build(image: string, rebuild: boolean, handle: OperationHandle): Promise<void> {
    const signal = this.closing;
    try {
      await buildImage(this.#work(handle, signal), image, rebuild);
      await this.store.appendEvent({ kind: 'image.built', message: `image ${image} is there` });
      await handle.done(`image ${image} is there`);
    } catch (error) {
      if (interruptionOf(signal) === undefined) await handle.fail(asRingwallError(error));
    }
  }

  /** The end of every job: its operation, its leavings; nothing is thrown. */
  async #finish(
    machine: MachineId,
    handle: OperationHandle | undefined,
    signal: AbortSignal,
    body: (work: Work) => Promise<Outcome>,
  ): Promise<void> {
    let outcome: Outcome;
    try {
      outcome = await body(this.#work(handle, signal));
    } catch (error) {
      outcome =
        interruptionOf(signal)?.reason === 'shutdown' ? { leave: true } : { failed: this.#explain(machine, error) };
    }
    if (handle !== undefined) await finishHandle(handle, outcome);
    if (outcome.untidy === true && !signal.aborted) this.tidy(machine);
  }

  #work(handle: OperationHandle | undefined, signal: AbortSignal): Work {
    const { store, warden, broker, observer, watches, networks, timing, note } = this;
    return {
      store,
      warden,
      broker,
      observer,
      watches,
      networks,
      timing,
      note,
      progress: handle ?? { step: () => {} },
      signal,
    };
  }

  /** Its watch says something else of it than before. */
  #reconsider(id: MachineId): void {
    this.store.findMachine(id).then(
      (machine) => machine === undefined || this.networks.consider(machine),
      (error: unknown) => this.#explain(id, error),
    );
  }

  #trustOf(machine: Machine): NetworkTrust {
    const { watches } = this;
    const [watch, heard] = [watches.trustOf(machine.id), watches.hasHeardOf(machine.id)];
    return networkTrust({ machine, seen: watches.asSeen(machine), watch, heard });
  }

  #explain(machine: MachineId, error: unknown): RingwallError {
    this.note(`${machine}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
    return asRingwallError(error);
  }

  #react(live: LiveBoot): void {
    // A job on the machine sees for itself; what it leaves is looked at when it has ended.
    if (this.#jobs.current(live.machine) !== undefined) return;
    this.#actOn(live).catch((error: unknown) => this.#explain(live.machine, error));
  }

  async #actOn(live: LiveBoot): Promise<void> {
    const machine = await this.store.findMachine(live.machine);
    if (machine === undefined) {
      this.observer.unwatch(live.machine);
      this.watches.drop(live.machine);
      return;
    }
    if (this.#jobs.current(live.machine) !== undefined || this.observer.find(live.machine) !== live) return;
    if (live.state === 'ended') this.tellEnded(machine, live);
    if (live.state === 'tpm-dead' && machine.status.phase === 'running') await this.#tellTpmDead(machine);
  }

  /** The guest goes on, with its disk unlocked; but nobody can ask it for evidence any more. */
  async #tellTpmDead(machine: Machine): Promise<void> {
    const message = `the virtual TPM of ${machine.name} ended by itself: it cannot prove itself until it is stopped and started`;
    await changeMachine(
      this.store,
      machine.id,
      ({ status }) => ({ status: { ...status, trust: 'unknown', reasons: [message] } }),
      { kind: 'machine.tpm-dead', machine: machine.id, message },
    );
  }
}

async function perform(work: Work, machine: MachineId, request: WorkRequest): Promise<Outcome> {
  switch (request.kind) {
    case 'machine.create':
      return createMachine(work, machine, request);
    case 'machine.start':
      return startMachine(work, machine);
    case 'machine.stop':
      return stopMachine(work, machine, request.graceMs);
    case 'machine.snapshot':
      return snapshotMachine(work, machine, request);
    case 'machine.restore':
      return restoreMachine(work, machine, request);
    case 'template.hold':
      return holdTemplate(work, machine, request);
    case 'machine.remove':
    default:
      return removeMachine(work, machine);
  }
}
