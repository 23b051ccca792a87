// The machines, as the API asks for them: what is read is answered at once, what changes is checked, accepted as an
// operation, and done by the worker.
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  type CreateMachine,
  type ImageList,
  type KeyRotation,
  type Machine,
  type MachineDetail,
  newMachineId,
  newSnapshotId,
  type Operation,
  RingwallError,
} from '@ringwall/api';
import type { Disk } from '@ringwall/api/disks';
import type { CloneMachine, RestoreMachine, TakeSnapshot } from '@ringwall/api/snapshots';
import { adoptMachines } from './adopt.ts';
import { refuseWhileBusy } from './busy.ts';
import { WARDEN_HINT } from './clients.ts';
import { planClone, refuseUncloned, type CloneSource } from './clone.ts';
import type { HostReports } from './host-reports.ts';
import { readErasure, rotateKey, rotateRootKey } from './keys.ts';
import { refuseUnsaved } from './live-clone.ts';
import { checkMachineReference } from './names.ts';
import { notProtected } from './not-protected.ts';
import { STANDS_STILL } from './observer.ts';
import { checkImage, planMachine, type PlannedDisk } from './plan.ts';
import { QUIET, readmitMachine, refuseQuarantined } from './quarantine.ts';
import { findNamed, findSnapshot } from './snapshots.ts';
import type { WorkRequest } from './worker.ts';
import { type Worker } from './worker.ts';
import { isUnavailable } from './work.ts';

/** All machines belong to one tenant until tenants come. */
const TENANT = 'default';

/** A default name can be taken by somebody else between looking and writing. */
const NAME_ATTEMPTS = 5;

export interface Precondition {
  /** The version the caller has seen last. */
  readonly version?: number;
}

export class Machines {
  readonly #worker: Worker;
  readonly #host: HostReports;
  readonly #adopted: Promise<void>;
  #isAdopted = false;
  /** Why not yet. */
  #adoptionTrouble: RingwallError | undefined;
  #accepting: Promise<unknown> = Promise.resolve();

  /** Begins to adopt what runs. */
  constructor(worker: Worker, host: HostReports, hostBootId: string) {
    this.#worker = worker;
    this.#host = host;
    this.#adopted = this.#adopt(hostBootId);
    this.#adopted.catch((error: unknown) => {
      if (worker.closing.aborted) return;
      worker.note(`the machines are not adopted: ${error instanceof Error ? (error.stack ?? error.message) : ''}`);
    });
  }

  async list(filter: { readonly name?: string } = {}): Promise<Machine[]> {
    return (await this.#worker.store.listMachines(filter)).map((machine) => this.#asSeen(machine));
  }

  /** What an operator should do something about now, as sentences. */
  notices(): string[] {
    const { trouble } = this.#worker.store;
    return trouble === undefined ? [] : [trouble];
  }

  async find(idOrName: string): Promise<Machine> {
    checkMachineReference(idOrName);
    const machine = await this.#worker.store.findMachine(idOrName);
    if (machine !== undefined) return this.#asSeen(machine);
    throw new RingwallError('not-found', `there is no machine ${idOrName}`, {
      hint: 'see which there are: ringwall ls',
    });
  }

  async detail(idOrName: string): Promise<MachineDetail> {
    const machine = await this.find(idOrName);
    const runs = RUNNING_PHASES.has(machine.status.phase);
    const [network, watch, protections, findings, boot] = await Promise.all([
      this.#worker.networks.placeOf(machine),
      this.#worker.watches.detail(machine, this.#soon.firstWordMs),
      runs
        ? this.#worker.warden
            .call({ op: 'read-protections', machine: machine.id }, this.#soon)
            .then((answer) => answer.protections)
            .catch(() => undefined)
        : [],
      this.#host.findings().catch(() => undefined),
      this.#worker.store.findBoot(machine.id),
    ]);
    return {
      machine,
      protections: protections ?? [],
      proven: [...(boot?.proven ?? [])],
      ...(network === undefined ? {} : { network }),
      ...(watch === undefined ? {} : { watch }),
      notProtected: notProtected({ machine, findings, protections }),
    };
  }

  async create(request: CreateMachine, from?: CloneSource): Promise<{ machine: Machine; operation: Operation }> {
    await this.#ready();
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#insert(request, from);
      } catch (error) {
        const overtaken = error instanceof RingwallError && error.code === 'name-taken' && request.name === undefined;
        if (!overtaken || attempt === NAME_ATTEMPTS) throw error;
      }
    }
  }

  /** Another machine, with the disk of one of its snapshots, or going on from its memory. */
  async clone(idOrName: string, request: CloneMachine): Promise<{ machine: Machine; operation: Operation }> {
    const { store, warden } = this.#worker;
    const { wanted, from } = await planClone({ store, warden }, await this.find(idOrName), request);
    return this.create(wanted, from);
  }

  /** Holds the memory of a snapshot, named as in `web@3`, for clones that go on from it. */
  async holdTemplate(name: string): Promise<Operation> {
    const { store } = this.#worker;
    const { id: snapshot, machine: id } = await findNamed({ store }, name);
    return this.#accept(id, {}, { kind: 'template.hold', snapshot }, (machine) => {
      refuseUncloned(machine);
      return { step: 'holding its memory' };
    });
  }

  start(idOrName: string, precondition: Precondition = {}): Promise<Operation> {
    return this.#accept(idOrName, precondition, { kind: 'machine.start' }, (machine) => {
      refuseQuarantined(machine);
      if (machine.status.phase === 'running') return { already: 'it runs already' };
      // What stands refused in its initrd has neither a key nor a disk: ending it loses nothing.
      return { step: machine.status.phase === 'refused' ? 'ending the boot that was refused' : 'starting' };
    });
  }

  stop(
    idOrName: string,
    precondition: Precondition & { readonly graceMs?: number; readonly force?: boolean } = {},
  ): Promise<Operation> {
    const { graceMs = this.#worker.timing.graceMs, force = false } = precondition;
    return this.#accept(idOrName, precondition, { kind: 'machine.stop', graceMs, force }, ({ status }) =>
      status.phase === 'stopped' ? { already: 'it is stopped already' } : { step: 'stopping' },
    );
  }

  remove(idOrName: string, precondition: Precondition & { readonly force?: boolean } = {}): Promise<Operation> {
    return this.#accept(idOrName, precondition, { kind: 'machine.remove' }, (machine) => {
      const { phase } = machine.status;
      if (phase === 'stopped' || phase === 'failed' || precondition.force === true) return { step: 'removing' };
      throw new RingwallError('conflict', `${machine.name} is ${phase}: only a stopped machine can be removed`, {
        hint: `stop it first: ringwall stop ${machine.name}; or end and remove it: ringwall rm --force ${machine.name}`,
      });
    });
  }

  /** The machine runs on meanwhile, but for a moment. */
  snapshot(
    idOrName: string,
    { scheduled = false, full = false }: TakeSnapshot & { readonly scheduled?: boolean } = {},
  ): Promise<Operation> {
    const request = { kind: 'machine.snapshot', snapshot: newSnapshotId(), scheduled, full } as const;
    return this.#accept(idOrName, {}, request, (machine) => {
      refuseQuarantined(machine);
      refuseUnsaved(machine);
      if (machine.status.phase === 'running') return { step: 'taking a snapshot' };
      throw new RingwallError('conflict', `${machine.name} is ${machine.status.phase}: only what runs can be saved`, {
        hint: `start it: ringwall start ${machine.name}`,
      });
    });
  }

  /** To the newest of its snapshots, or to the one with this number. */
  async restore(idOrName: string, { sequence, rewind = false }: RestoreMachine): Promise<Operation> {
    const { store } = this.#worker;
    const { id: snapshot } = await findSnapshot({ store }, await this.find(idOrName), sequence);
    return this.#accept(idOrName, {}, { kind: 'machine.restore', snapshot, rewind }, (machine) => {
      refuseQuarantined(machine);
      const { phase } = machine.status;
      if (phase === 'stopped' || phase === 'failed') return { step: 'putting it back' };
      throw new RingwallError('conflict', `${machine.name} is ${phase}: only a stopped machine can be put back`, {
        hint: `stop it first; what it did since the snapshot is lost: ringwall stop ${machine.name}`,
      });
    });
  }

  /** An operator trusts a quarantined machine again. */
  async readmit(idOrName: string): Promise<Machine> {
    await this.#ready();
    const { id } = await this.find(idOrName);
    const machine = await this.#worker.store.findMachine(id);
    if (machine !== undefined) await readmitMachine(this.#worker, machine);
    return this.find(id);
  }

  /** Its next start gives its disk another key. */
  async rotateKey(idOrName: string): Promise<KeyRotation> {
    return rotateKey(this.#worker, await this.find(idOrName));
  }

  /** Of the broker: every key that it keeps is wrapped anew. */
  rotateRootKey(): Promise<{ keys: number }> {
    return rotateRootKey(this.#worker);
  }

  /** Of a machine that is gone. */
  erasure(idOrName: string): Promise<Record<string, unknown>> {
    checkMachineReference(idOrName);
    return readErasure(this.#worker, 'machine', idOrName);
  }

  async logs(idOrName: string, bytes: number): Promise<{ text: string }> {
    const machine = await this.find(idOrName);
    return this.#worker.warden.call({ op: 'read-console', machine: machine.id, bytes }, this.#soon);
  }

  async proof(idOrName: string): Promise<Record<string, unknown>> {
    const machine = await this.find(idOrName);
    const { proof } = await this.#worker.broker.call({ op: 'read-proof', machine: machine.id });
    if (typeof proof !== 'object' || proof === null || Array.isArray(proof)) {
      throw new RingwallError('internal', 'the broker answered with something that is no proof bundle');
    }
    return { ...proof };
  }

  /** The serial console: raw bytes of the guest. The caller destroys the stream. */
  async openConsole(idOrName: string): Promise<Duplex> {
    const machine = await this.find(idOrName);
    if (!RUNNING_PHASES.has(machine.status.phase)) {
      throw new RingwallError('conflict', `${machine.name} is ${machine.status.phase}: it has no console`, {
        hint: `start it: ringwall start ${machine.name}; what it said last: ringwall logs ${machine.name}`,
      });
    }
    return (await this.#worker.warden.openStream({ op: 'open-console', machine: machine.id }, this.#soon)).stream;
  }

  listImages(): Promise<ImageList> {
    return this.#worker.warden.call({ op: 'list-images' }, this.#soon);
  }

  async buildImage(image: string, rebuild: boolean): Promise<Operation> {
    const { images } = await this.listImages();
    checkImage(image, images);
    return this.#worker.build(image, rebuild);
  }

  /** For what somebody waits for: a stranger in the warden's place is told of at once. */
  get #soon(): { readonly firstWordMs: number } {
    return { firstWordMs: this.#worker.timing.strangerMs };
  }

  async #adopt(hostBootId: string): Promise<void> {
    await adoptMachines(this.#worker, hostBootId, (error) => (this.#adoptionTrouble = asStranger(error)));
    this.#isAdopted = true;
  }

  async #insert(request: CreateMachine, from?: CloneSource): Promise<{ machine: Machine; operation: Operation }> {
    const { store, warden, operations } = this.#worker;
    const [{ images }, capacity, machines, stored] = await Promise.all([
      this.listImages(),
      warden.call({ op: 'host-capacity' }, this.#soon),
      store.listMachines(),
      store.disks.list(),
    ]);
    const takenNames = new Set(machines.map((machine) => machine.name));
    const { name, spec } = planMachine(request, {
      images,
      capacity,
      takenNames,
      disks: withMachines(stored, machines),
    });
    const { network: wanted, labels = {} } = request;
    const joins = wanted === undefined ? undefined : await this.#worker.networks.planCard(wanted, labels, name);
    const joined = joins === undefined ? {} : { network: joins.network, labels: { ...joins.labels } };
    const machine: Machine = {
      id: newMachineId(),
      tenant: TENANT,
      name,
      version: 1,
      createdAt: new Date().toISOString(),
      spec: { ...spec, ...joined, ...(from && { clonedFrom: from.name }), running: request.start === true },
      status: { ...QUIET, phase: 'creating' },
    };
    const work: WorkRequest = { kind: 'machine.create', start: request.start === true, ...(from && { from }) };
    const operation = operations.describe({ kind: 'machine.create', machine: machine.id }, 'making the machine');
    const event = {
      kind: 'machine.created',
      machine: machine.id,
      message: `${name} was asked for: image ${spec.image}, ${String(spec.cpus)} cpus, ${String(spec.memoryMiB)} MiB`,
    };
    await store.insertMachine(machine, operation, work, event, joins?.card);
    this.#worker.networks.changed(machine, 'come');
    this.#worker.run(machine.id, operations.take(operation), work);
    return { machine, operation };
  }

  /** One at a time: what is checked still holds when the work is queued. */
  #accept(
    idOrName: string,
    { version }: Precondition,
    request: WorkRequest,
    check: (machine: Machine) => { already: string } | { step: string },
  ): Promise<Operation> {
    const accepted = this.#accepting.then(async () => {
      await this.#ready();
      const machine = await this.find(idOrName);
      if (version !== undefined && version !== machine.version) {
        throw new RingwallError(
          'conflict',
          `${machine.name} is at version ${String(machine.version)}, not ${String(version)}`,
          {
            hint: 'look at it again, and repeat the request if it is still wanted',
          },
        );
      }
      const job = this.#worker.current(machine.id);
      if (job?.handle !== undefined) {
        const isForced = request.kind === 'machine.stop' && request.force === true;
        const isSame = job.handle.operation.kind === request.kind;
        // One that waits gives way to one that does not.
        if (isSame && !(isForced && this.#worker.waits(machine.id))) return job.handle.operation;
        if (!isSame) refuseWhileBusy(machine, job.kind, request.kind);
      }
      const answer = check(machine);
      const subject = { kind: request.kind, machine: machine.id } as const;
      if ('already' in answer && job === undefined) {
        const handle = await this.#worker.operations.begin(subject, answer.already, request);
        await handle.done(answer.already);
        return handle.operation;
      }
      const step = 'step' in answer ? answer.step : answer.already;
      return this.#worker.run(machine.id, await this.#worker.operations.begin(subject, step, request), request);
    });
    this.#accepting = accepted.catch(() => {});
    return accepted;
  }

  /** Nothing is changed before what runs is adopted: else two lives of the daemon would work on one machine. */
  async #ready(): Promise<void> {
    if (this.#isAdopted) return;
    const deadlineMs = performance.now() + this.#worker.timing.patienceMs;
    while (performance.now() < deadlineMs) {
      await Promise.race([this.#adopted, sleep(this.#worker.timing.patienceStepMs, undefined, { ref: false })]);
      if (this.#isAdopted) return;
      // A warden that does not run comes back within seconds; whoever answers otherwise will not become it.
      if (this.#adoptionTrouble !== undefined && !isUnavailable(this.#adoptionTrouble)) throw this.#adoptionTrouble;
    }
    throw new RingwallError('warden-unavailable', 'the machines are not adopted yet: the warden does not answer', {
      hint: WARDEN_HINT,
    });
  }

  /** A machine that nobody has looked at for a while is unknown, never healthy. */
  #asSeen(stored: Machine): Machine {
    const machine = this.#worker.watches.asSeen(stored);
    const paused = this.#worker.observer.find(machine.id)?.paused === true;
    if (machine.status.phase === 'attesting' && paused) {
      return { ...machine, status: { ...machine.status, reasons: [STANDS_STILL] } };
    }
    if (machine.status.phase !== 'running' || machine.status.trust !== 'attested') return machine;
    const unseenMs = this.#worker.observer.unseenMs(machine.id);
    if (unseenMs !== undefined && unseenMs <= this.#worker.timing.staleMs) {
      return paused ? { ...machine, status: { ...machine.status, reasons: [STANDS_STILL] } } : machine;
    }
    const reason =
      unseenMs === undefined
        ? 'ringwalld was just started, and has not seen it yet'
        : `the warden has not answered for ${String(Math.round(unseenMs / 1000))} s: nobody can say how it is`;
    return { ...machine, status: { ...machine.status, trust: 'unknown', reasons: [reason] } };
  }
}

function withMachines(disks: readonly Disk[], machines: readonly Machine[]): PlannedDisk[] {
  return disks.map((disk) => ({
    ...disk,
    machine: machines.find(({ spec }) => spec.disks?.includes(disk.id) === true)?.name,
  }));
}

const RUNNING_PHASES: ReadonlySet<Machine['status']['phase']> = new Set([
  'starting',
  'attesting',
  'running',
  'refused',
  'stopping',
]);

/** Silence or nonsense in the warden's place will not pass by waiting or by starting services: somebody must act. */
function asStranger(error: RingwallError): RingwallError {
  if (error.code !== 'timeout' && error.code !== 'internal') return error;
  return new RingwallError('conflict', error.message, {
    ...(error.hint === undefined ? {} : { hint: error.hint }),
    cause: error,
  });
}
