// A daemon's machines on a store of their own, with the fakes below it, that can be killed and started again.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { newDiskId, type Machine, type Operation } from '@ringwall/api';
import type { Disk } from '@ringwall/api/disks';
import { Store } from '../../store/index.ts';
import { HostReports } from '../host-reports.ts';
import { Machines } from '../machines.ts';
import { Worker } from '../worker.ts';
import { FakeBroker } from './fake-broker.ts';
import { FakeWarden } from './fake-warden.ts';
import { QUICK_TIMING } from './quick-timing.ts';

const WAIT_MS = 60_000;

export class World implements AsyncDisposable {
  readonly warden: FakeWarden = new FakeWarden();
  readonly broker: FakeBroker = new FakeBroker();
  readonly notes: string[] = [];
  readonly #folder: string = mkdtempSync(join(tmpdir(), 'ringwall-machines-'));
  hostBootId = 'first';
  timing = QUICK_TIMING;
  #life: { store: Store; worker: Worker; machines: Machines; host: HostReports } | undefined;

  static async open(prepare: (world: World) => void = () => {}): Promise<World> {
    const world = new World();
    prepare(world);
    await world.begin();
    return world;
  }

  get store(): Store {
    return this.#alive.store;
  }
  get worker(): Worker {
    return this.#alive.worker;
  }
  get machines(): Machines {
    return this.#alive.machines;
  }
  get host(): HostReports {
    return this.#alive.host;
  }

  get #alive(): { store: Store; worker: Worker; machines: Machines; host: HostReports } {
    if (this.#life === undefined) throw new Error('the daemon does not live');
    return this.#life;
  }

  async begin(): Promise<void> {
    const { warden, broker, timing } = this;
    const store = await Store.open(join(this.#folder, 'ringwall.db'));
    const worker = new Worker({ store, warden, broker, timing, note: (line) => this.notes.push(line) });
    const host = new HostReports({
      warden,
      broker,
      readProcess: () => Promise.resolve({ uid: 1, rssBytes: 1 }),
      diskTrouble: () => store.trouble,
    });
    this.#life = { store, worker, host, machines: new Machines(worker, host, this.hostBootId) };
  }

  /** Ends this life of the daemon: nothing that is under way is written. */
  async end(): Promise<void> {
    const life = this.#life;
    this.#life = undefined;
    await life?.worker.close();
    await life?.store.close();
  }

  async restart(): Promise<void> {
    await this.end();
    await this.begin();
  }

  /** A disk of this name, imported whole. */
  async importDisk(name: string): Promise<Disk> {
    const disk: Disk = {
      id: newDiskId(),
      tenant: 'default',
      name,
      version: 1,
      createdAt: new Date().toISOString(),
      spec: { sizeBytes: 64 * 1024 * 1024, source: { format: 'qcow2', name: 'cloud.qcow2' } },
      status: { phase: 'ready', digest: 'aa'.repeat(32) },
    };
    await this.store.disks.insert(disk, { kind: 'disk.imported', message: `${name} is there` });
    return disk;
  }

  /** Waits until the operation has ended. */
  async ended(operation: Operation): Promise<Operation> {
    return this.until(async () => {
      const now = await this.worker.operations.find(operation.id);
      return now !== undefined && now.state !== 'running' ? now : undefined;
    });
  }

  async phase(name: string, phase: Machine['status']['phase']): Promise<Machine> {
    return this.until(async () => {
      const machine = await this.store.findMachine(name);
      return machine?.status.phase === phase ? machine : undefined;
    });
  }

  /** A machine that is attested and runs. */
  async running(name: string): Promise<Machine> {
    const { operation } = await this.machines.create({ image: 'hello', name, start: true });
    const ended = await this.ended(operation);
    if (ended.state !== 'done') throw new Error(`${name}: ${ended.error?.message ?? ''}`);
    return this.phase(name, 'running');
  }

  /** Of all events, in their order. */
  async eventKinds(): Promise<string[]> {
    return (await this.store.listEvents(0)).map(({ kind }) => kind);
  }

  async until<T>(look: () => Promise<T | undefined> | T | undefined): Promise<T> {
    const deadline = performance.now() + WAIT_MS;
    for (;;) {
      const found = await look();
      if (found !== undefined) return found;
      if (performance.now() > deadline) throw new Error(`waited for ${look.toString()}\n${this.notes.join('\n')}`);
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end();
    rmSync(this.#folder, { recursive: true });
  }
}
