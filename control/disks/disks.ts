// Imported disks, as the API asks for them. The daemon takes the contents from whoever imports and hands them to the warden: it
// opens no image, keeps nothing, and never sees the key, which goes from the broker to the warden sealed.
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { DISK_ID, newDiskId, RingwallError } from '@ringwall/api';
import type { Disk, ImportBegin, ImportDisk, ImportedDisk, ShownDisk } from '@ringwall/api/disks';
import {
  asRingwallError,
  checkMachineName,
  readErasure,
  type BrokerClient,
  type Operations,
  type WardenClient,
} from '../machines/index.ts';
import type { Store } from '../store/index.ts';
import { carryContents } from './carry-contents.ts';

/** All disks belong to one tenant until tenants come. */
const TENANT = 'default';
/** Between the request and the connection on which the contents come. */
const CONTENTS_WAIT_MS = 60_000;
/** Making the file allocates all its room: on a file system without fallocate, by writing it. */
const BEGIN_TIMEOUT_MS = 300_000;

type Handle = Awaited<ReturnType<Operations['begin']>>;

export interface DisksParts {
  readonly store: Store;
  readonly warden: WardenClient;
  readonly broker: BrokerClient;
  readonly operations: Operations;
  /** One line to the daemon's log. */
  readonly note: (line: string) => void;
}

export class Disks {
  readonly #parts: DisksParts;
  readonly #opened: Promise<void>;
  /** Imports that wait for their contents, by the disk's id. */
  readonly #waiting: Map<string, Handle> = new Map();
  /** One decision at a time: what is checked still holds when it is written. */
  #deciding: Promise<unknown> = Promise.resolve();

  constructor(parts: DisksParts) {
    this.#parts = parts;
    this.#opened = this.#breakOffStale();
    this.#opened.catch((error: unknown) =>
      parts.note(`disks: ${error instanceof Error ? error.message : String(error)}`),
    );
  }

  async list(): Promise<ShownDisk[]> {
    const { store } = this.#parts;
    const [disks, machines] = await Promise.all([store.disks.list(), store.listMachines()]);
    return disks.map((disk) => {
      const machine = machines.find(({ spec }) => spec.disks?.includes(disk.id) === true);
      return machine === undefined ? disk : { ...disk, machine: machine.name };
    });
  }

  /** Answers at once; the operation ends when the disk was read back, or with why it was not. */
  import(request: ImportDisk): Promise<ImportedDisk> {
    return this.#decide(async () => {
      checkMachineName(request.name);
      const disk = await this.#beginOrGoOn(request);
      const handle = await this.#parts.operations.begin(
        { kind: 'disk.import' },
        'waiting for the contents of the image',
        { disk: disk.id },
      );
      this.#waiting.set(disk.id, handle);
      this.#giveUp(disk, handle).catch((error: unknown) => this.#parts.note(String(error)));
      return { disk, operation: handle.operation };
    });
  }

  /**
   * Opens the way for the contents; `accept` is called once the warden is ready for them, and answers the connection on which
   * they come. Throws before that, and fails the operation with it.
   */
  async takeContents(idOrName: string, accept: () => Duplex): Promise<void> {
    const disk = await this.#find(idOrName);
    const handle = this.#waiting.get(disk.id);
    if (handle === undefined) {
      throw new RingwallError('conflict', 'nobody has asked to import this disk', {
        hint: 'POST /v1/disks first; ringwall disk import does both',
      });
    }
    this.#waiting.delete(disk.id);
    try {
      handle.step('making the encrypted disk');
      const { result, stream } = await this.#openImport(disk);
      const client = accept();
      client.write(`${JSON.stringify(result)}\n`);
      const outcome = await carryContents(client, stream, (step, fraction) => handle.step(step, fraction));
      if ('error' in outcome) {
        if (outcome.destroyed) await this.#forget(disk, outcome.error);
        throw outcome.error;
      }
      await this.#parts.store.disks.update(
        await this.#find(disk.id),
        { status: { phase: 'ready', digest: outcome.digest, importedAt: new Date().toISOString() } },
        { kind: 'disk.imported', message: `${disk.name} was imported, encrypted, and read back: ${outcome.digest}` },
      );
      await handle.done(`${disk.name} is there`);
      client.end();
    } catch (error) {
      await this.#breakOff(disk);
      const failed = asRingwallError(error);
      await handle.fail(failed);
      throw failed;
    }
  }

  /** The key goes first: where the rest fails, what is left is noise. */
  remove(idOrName: string): Promise<void> {
    return this.#decide(async () => {
      const { store, warden, broker } = this.#parts;
      const disk = await this.#find(idOrName);
      if (disk.status.phase === 'importing') {
        throw new RingwallError('conflict', `${disk.name} is being imported`, { hint: 'end that first' });
      }
      const machine = (await store.listMachines()).find(({ spec }) => spec.disks?.includes(disk.id) === true);
      if (machine !== undefined) {
        throw new RingwallError('conflict', `the machine ${machine.name} has ${disk.name}`, {
          hint: `remove it first: ringwall rm ${machine.name}`,
        });
      }
      await broker.call({ op: 'forget-disk', disk: disk.id, name: disk.name });
      await warden.call({ op: 'remove-disk', disk: disk.id });
      await store.disks.delete(disk, {
        kind: 'disk.removed',
        message: `${disk.name} was removed, and its key destroyed`,
      });
    });
  }

  /** The broker's signed record of the key of a disk that is gone. */
  erasure(idOrName: string): Promise<Record<string, unknown>> {
    checkDiskReference(idOrName);
    return readErasure(this.#parts, 'disk', idOrName);
  }

  async #find(idOrName: string): Promise<Disk> {
    checkDiskReference(idOrName);
    const disk = await this.#parts.store.disks.find(idOrName);
    if (disk !== undefined) return disk;
    throw new RingwallError('not-found', `there is no disk ${idOrName}`, {
      hint: 'see which there are: ringwall disks',
    });
  }

  async #beginOrGoOn({ name, sizeBytes, source }: ImportDisk): Promise<Disk> {
    const { store } = this.#parts;
    const existing = await store.disks.find(name);
    if (existing === undefined) {
      const disk: Disk = {
        id: newDiskId(),
        tenant: TENANT,
        name,
        version: 1,
        createdAt: new Date().toISOString(),
        spec: { sizeBytes, source },
        status: { phase: 'importing' },
      };
      await store.disks.insert(disk, {
        kind: 'disk.import-begun',
        message: `${name} is to be imported: ${String(sizeBytes)} bytes, read from ${source.format}`,
      });
      return disk;
    }
    if (existing.status.phase === 'importing') {
      throw new RingwallError('conflict', `${name} is being imported`, { hint: 'wait until that has ended' });
    }
    if (existing.status.phase === 'ready') {
      throw new RingwallError('name-taken', `there is a disk named ${name} already`, {
        hint: `choose another name, or remove that disk first: ringwall disk rm ${name}`,
      });
    }
    if (existing.spec.sizeBytes !== sizeBytes) {
      throw new RingwallError(
        'conflict',
        `${name} was begun with ${String(existing.spec.sizeBytes)} bytes, this image has ${String(sizeBytes)}`,
        { hint: `remove what is there first: ringwall disk rm ${name}` },
      );
    }
    return store.disks.update(existing, { spec: { sizeBytes, source }, status: { phase: 'importing' } });
  }

  async #openImport(disk: Disk): Promise<{ readonly result: ImportBegin; readonly stream: Duplex }> {
    const { warden, broker } = this.#parts;
    const { request } = await warden.call({ op: 'ask-disk-key', disk: disk.id, use: 'import' });
    const { sealed } = await broker.call({ op: 'release-disk-key', request });
    const key = { publicKey: request.publicKey, sealed };
    const { sizeBytes } = disk.spec;
    return warden.openStream({ op: 'import-disk', disk: disk.id, sizeBytes, key }, { timeoutMs: BEGIN_TIMEOUT_MS });
  }

  /** Nobody came with the contents. */
  async #giveUp(disk: Disk, handle: Handle): Promise<void> {
    await sleep(CONTENTS_WAIT_MS, undefined, { ref: false });
    if (this.#waiting.get(disk.id) !== handle) return;
    this.#waiting.delete(disk.id);
    await this.#breakOff(disk);
    await handle.fail(new RingwallError('timeout', 'the contents of the image did not come'));
  }

  async #breakOff({ id }: Disk): Promise<void> {
    const disk = await this.#parts.store.disks.find(id);
    if (disk?.status.phase !== 'importing') return;
    await this.#parts.store.disks.update(disk, { status: { phase: 'incomplete' } });
  }

  /** What was read back is not what was sent: the warden has removed the file, and nobody shall open a copy of it. */
  async #forget({ id, name }: Disk, error: RingwallError): Promise<void> {
    const { store, broker, note } = this.#parts;
    await broker.call({ op: 'forget-disk', disk: id, name }).catch((cause: unknown) => note(`${id}: ${String(cause)}`));
    const disk = await store.disks.find(id);
    if (disk !== undefined) await store.disks.delete(disk, { kind: 'disk.destroyed', message: error.message });
  }

  /** What the last life of the daemon was importing. */
  async #breakOffStale(): Promise<void> {
    for (const disk of await this.#parts.store.disks.list()) await this.#breakOff(disk);
  }

  #decide<T>(decision: () => Promise<T>): Promise<T> {
    const decided = this.#deciding.then(async () => {
      await this.#opened;
      return decision();
    });
    this.#deciding = decided.catch(() => {});
    return decided;
  }
}

function checkDiskReference(idOrName: string): void {
  if (!DISK_ID.test(idOrName)) checkMachineName(idOrName);
}
