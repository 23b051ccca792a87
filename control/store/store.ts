// What the daemon remembers: machines, operations, the audit trail. Each method is one transaction; a crash leaves the
// state before it or the state after it. A machine is changed by compare-and-set of its version.
import { dirname, join } from 'node:path';
import {
  type Event,
  eventSchema,
  type Machine,
  type MachineId,
  machineSchema,
  type MachineSpec,
  type MachineStatus,
  type Operation,
  type OperationId,
  operationSchema,
  RingwallError,
} from '@ringwall/api';
import type { Disk } from '@ringwall/api/disks';
import { Kysely, type Selectable, type Transaction } from 'kysely';
import { Migrator } from 'kysely/migration';
import { DiskStore, insertDisk } from './disks.ts';
import { deleteCard, insertCard, NetworkStore, type NewCard } from './networks.ts';
import { documentOf } from './document.ts';
import { Reserve } from './reserve.ts';
import { migrations, type Tables } from './schema.ts';
import { SnapshotRecords } from './snapshots.ts';
import { isUniqueViolation, openSqliteDialect } from './sqlite.ts';

/** What one `listEvents` answers at most; the caller asks again after the last one. */
export const EVENTS_PAGE = 500;

/** An event before it has a place in the trail. */
export interface NewEvent {
  readonly kind: string;
  readonly machine?: MachineId;
  readonly message: string;
}

export interface MachineChange {
  readonly spec?: MachineSpec;
  readonly status?: MachineStatus;
}

export interface BootRecord {
  readonly boot: string;
  readonly reference: unknown;
  /** Once it was attested: what was proven, as sentences. */
  readonly proven?: readonly string[];
}

/** Work that takes room: refused on a full disk, so that what makes room can still be written. */
const TAKES_ROOM: ReadonlySet<Operation['kind']> = new Set([
  'machine.create',
  'machine.start',
  'machine.snapshot',
  'machine.restore',
  'template.hold',
  'image.build',
  'disk.import',
]);

export class Store {
  readonly disks: DiskStore;
  readonly networks: NetworkStore;
  readonly snapshots: SnapshotRecords;
  readonly #db: Kysely<Tables>;
  readonly #reserve: Reserve;
  readonly #watchers: Set<(event: Event) => void> = new Set();
  readonly #machineWatchers: Set<(machine: Machine) => void> = new Set();

  private constructor(db: Kysely<Tables>, reserve: Reserve) {
    this.#db = db;
    this.disks = new DiskStore(db, (event, change) => this.#transact(event, change));
    this.networks = new NetworkStore(db, (event, change) => this.#transact(event, change));
    this.snapshots = new SnapshotRecords(db, (event, change) => this.#transact(event, change));
    this.#reserve = reserve;
  }

  static async open(path: string): Promise<Store> {
    const db = new Kysely<Tables>({ dialect: openSqliteDialect(path) });
    const { error } = await new Migrator({ db, provider: migrations }).migrateToLatest();
    if (error === undefined) return new Store(db, new Reserve(join(dirname(path), 'reserve')));
    await db.destroy();
    if (error instanceof RingwallError) throw error;
    throw new RingwallError('internal', `the store ${path} cannot be brought to this version of ringwall`, {
      hint: 'it was written by a newer one: install that one again',
      cause: error,
    });
  }

  async close(): Promise<void> {
    this.#reserve[Symbol.dispose]();
    await this.#db.destroy();
  }

  /** A sentence for the operator while the disk of the store is full. */
  get trouble(): string | undefined {
    return this.#reserve.trouble;
  }

  /** For others who need room to stop or remove something. Says whether there is more than before. */
  makeRoom(): boolean {
    return this.#reserve.giveUp();
  }

  async listMachines(filter: { readonly name?: string } = {}): Promise<Machine[]> {
    let query = this.#db.selectFrom('machines').selectAll().orderBy('name');
    if (filter.name !== undefined) query = query.where('name', '=', filter.name);
    return (await query.execute()).map(parseMachine);
  }

  async findMachine(idOrName: string): Promise<Machine | undefined> {
    const column = idOrName.startsWith('mch_') ? 'id' : 'name';
    const row = await this.#db.selectFrom('machines').selectAll().where(column, '=', idOrName).executeTakeFirst();
    return row === undefined ? undefined : parseMachine(row);
  }

  /** Adds a machine, with its card where it has one, together with the operation that makes it. */
  async insertMachine(
    machine: Machine,
    operation: Operation,
    request: unknown,
    event: NewEvent,
    card?: NewCard,
  ): Promise<void> {
    await this.#insertMachine(machine, event, async (trx) => {
      if (card !== undefined) await insertCard(trx, machine.id, card);
      await insertOperation(trx, operation, request);
    });
  }

  /** One that was made elsewhere, and is here, with its imported disks. */
  insertArrived(machine: Machine, disks: readonly Disk[], event: NewEvent): Promise<void> {
    return this.#insertMachine(machine, event, async (trx) => {
      for (const disk of disks) await insertDisk(trx, disk);
    });
  }

  /** Writes the change if the machine still has this version, and answers the machine with its new one. */
  async updateMachine(id: MachineId, version: number, change: MachineChange, event?: NewEvent): Promise<Machine> {
    const changed = await this.#transact(event, async (trx) => {
      const row = await trx
        .updateTable('machines')
        .set({
          version: version + 1,
          ...(change.spec === undefined ? {} : { spec: JSON.stringify(change.spec) }),
          ...(change.status === undefined ? {} : { status: JSON.stringify(change.status) }),
        })
        .where('id', '=', id)
        .where('version', '=', version)
        .returningAll()
        .executeTakeFirst();
      if (row !== undefined) return parseMachine(row);
      throw new RingwallError('conflict', `the machine is no longer at version ${String(version)}`, {
        hint: 'look at it again, and repeat the request if it is still wanted',
      });
    });
    for (const watcher of this.#machineWatchers) watcher(changed);
    return changed;
  }

  async deleteMachine(id: MachineId, event: NewEvent): Promise<void> {
    await this.#transact(event, async (trx) => {
      await trx.deleteFrom('machines').where('id', '=', id).execute();
      await trx.deleteFrom('boots').where('machine', '=', id).execute();
      await deleteCard(trx, id);
      await trx.deleteFrom('snapshots').where('machine', '=', id).execute();
    });
  }

  async insertOperation(operation: Operation, request: unknown): Promise<void> {
    const insert = (trx: Transaction<Tables>): Promise<void> => insertOperation(trx, operation, request);
    if (TAKES_ROOM.has(operation.kind)) await this.#transactOnce(undefined, insert);
    else await this.#transact(undefined, insert);
  }

  /** Progress lives in memory: only the beginning and the end of an operation are written. */
  async finishOperation(operation: Operation): Promise<void> {
    await this.#transact(undefined, (trx) =>
      trx
        .updateTable('operations')
        .set({
          state: operation.state,
          step: operation.step,
          error: operation.error === undefined ? null : JSON.stringify(operation.error),
          updated_at: operation.updatedAt,
        })
        .where('id', '=', operation.id)
        .execute(),
    );
  }

  async findOperation(id: OperationId): Promise<Operation | undefined> {
    const row = await this.#db.selectFrom('operations').selectAll().where('id', '=', id).executeTakeFirst();
    return row === undefined ? undefined : parseOperation(row);
  }

  /** The operations that had not ended, oldest first, each with what was asked for. */
  async listRunningOperations(): Promise<{ operation: Operation; request: unknown }[]> {
    const rows = await this.#db
      .selectFrom('operations')
      .selectAll()
      .where('state', '=', 'running')
      .orderBy('created_at')
      .execute();
    return rows.map((row) => ({ operation: parseOperation(row), request: JSON.parse(row.request) as unknown }));
  }

  /** Forgets operations that ended before then; the audit trail keeps what they did. */
  async pruneOperations(before: Date): Promise<void> {
    await this.#db
      .deleteFrom('operations')
      .where('state', '!=', 'running')
      .where('updated_at', '<', before.toISOString())
      .execute();
  }

  async appendEvent(event: NewEvent): Promise<void> {
    await this.#transact(event, () => Promise.resolve());
  }

  async listEvents(since: number): Promise<Event[]> {
    const rows = await this.#db
      .selectFrom('events')
      .selectAll()
      .where('seq', '>', since)
      .orderBy('seq')
      .limit(EVENTS_PAGE)
      .execute();
    return rows.map(parseEvent);
  }

  /** Calls for each event once it is committed. Dispose to stop. */
  watchEvents(watcher: (event: Event) => void): Disposable {
    this.#watchers.add(watcher);
    return { [Symbol.dispose]: () => void this.#watchers.delete(watcher) };
  }

  /** Calls back with each machine that was changed, once that is on the disk. */
  watchMachines(watcher: (machine: Machine) => void): Disposable {
    this.#machineWatchers.add(watcher);
    return { [Symbol.dispose]: () => void this.#machineWatchers.delete(watcher) };
  }

  async saveBoot(machine: MachineId, record: BootRecord): Promise<void> {
    const values = {
      machine,
      boot: record.boot,
      reference: JSON.stringify(record.reference),
      proven: record.proven === undefined ? null : JSON.stringify(record.proven),
    };
    await this.#db
      .insertInto('boots')
      .values(values)
      .onConflict((conflict) => conflict.column('machine').doUpdateSet(values))
      .execute();
  }

  async findBoot(machine: MachineId): Promise<BootRecord | undefined> {
    const row = await this.#db.selectFrom('boots').selectAll().where('machine', '=', machine).executeTakeFirst();
    if (row === undefined) return undefined;
    const reference = JSON.parse(row.reference) as unknown;
    if (row.proven === null) return { boot: row.boot, reference };
    const proven = JSON.parse(row.proven) as unknown;
    return { boot: row.boot, reference, proven: Array.isArray(proven) ? proven.map(String) : [] };
  }

  async saveBootTime(image: string, accelerator: string, milliseconds: number): Promise<void> {
    const values = { image, accelerator, milliseconds: Math.round(milliseconds) };
    await this.#db
      .insertInto('boot_times')
      .values(values)
      .onConflict((conflict) => conflict.columns(['image', 'accelerator']).doUpdateSet(values))
      .execute();
  }

  async findBootTime(image: string, accelerator: string): Promise<number | undefined> {
    const row = await this.#db
      .selectFrom('boot_times')
      .select('milliseconds')
      .where('image', '=', image)
      .where('accelerator', '=', accelerator)
      .executeTakeFirst();
    return row?.milliseconds;
  }

  async saveFact(name: string, value: string): Promise<void> {
    await this.#db
      .insertInto('facts')
      .values({ name, value })
      .onConflict((conflict) => conflict.column('name').doUpdateSet({ value }))
      .execute();
  }

  async findFact(name: string): Promise<string | undefined> {
    const row = await this.#db.selectFrom('facts').select('value').where('name', '=', name).executeTakeFirst();
    return row?.value;
  }

  async #insertMachine(
    machine: Machine,
    event: NewEvent,
    also: (trx: Transaction<Tables>) => Promise<void>,
  ): Promise<void> {
    const { id, tenant, name, version, createdAt } = machine;
    const [spec, status] = [JSON.stringify(machine.spec), JSON.stringify(machine.status)];
    try {
      await this.#transactOnce(event, async (trx) => {
        await trx
          .insertInto('machines')
          .values({ id, tenant, name, version, created_at: createdAt, spec, status })
          .execute();
        await also(trx);
      });
    } catch (error) {
      if (!isUniqueViolation(error)) throw error;
      throw new RingwallError('name-taken', `there is a machine named ${name} already`, {
        hint: 'choose another name, or remove that machine first',
        cause: error,
      });
    }
  }

  /** Where the disk is full, the reserve is given up for it: what was begun comes to its end. */
  async #transact<T>(event: NewEvent | undefined, body: (trx: Transaction<Tables>) => Promise<T>): Promise<T> {
    try {
      return await this.#transactOnce(event, body);
    } catch (error) {
      const full = error instanceof RingwallError && error.code === 'host-full';
      if (!full || !this.#reserve.giveUp()) throw error;
      return this.#transactOnce(event, body);
    }
  }

  /** One transaction that also writes the event; watchers hear of it only when it is on the disk. */
  async #transactOnce<T>(event: NewEvent | undefined, body: (trx: Transaction<Tables>) => Promise<T>): Promise<T> {
    const { result, written } = await this.#db.transaction().execute(async (trx) => ({
      result: await body(trx),
      written: event === undefined ? undefined : await insertEvent(trx, event),
    }));
    if (written !== undefined) for (const watcher of this.#watchers) watcher(written);
    return result;
  }
}

async function insertOperation(trx: Transaction<Tables>, operation: Operation, request: unknown): Promise<void> {
  await trx
    .insertInto('operations')
    .values({
      id: operation.id,
      kind: operation.kind,
      machine: operation.machine ?? null,
      state: operation.state,
      step: operation.step,
      error: null,
      request: JSON.stringify(request),
      created_at: operation.createdAt,
      updated_at: operation.updatedAt,
    })
    .execute();
}

async function insertEvent(trx: Transaction<Tables>, event: NewEvent): Promise<Event> {
  const row = await trx
    .insertInto('events')
    .values({
      at: new Date().toISOString(),
      kind: event.kind,
      machine: event.machine ?? null,
      message: event.message,
    })
    .returningAll()
    .executeTakeFirstOrThrow();
  return parseEvent(row);
}

function parseMachine(row: Selectable<Tables['machines']>): Machine {
  return machineSchema.parse(documentOf(row));
}

function parseOperation(row: Selectable<Tables['operations']>): Operation {
  return operationSchema.parse({
    id: row.id,
    kind: row.kind,
    ...(row.machine === null ? {} : { machine: row.machine }),
    state: row.state,
    step: row.step,
    ...(row.state === 'done' ? { fraction: 1 } : {}),
    ...(row.error === null ? {} : { error: JSON.parse(row.error) as unknown }),
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  });
}

function parseEvent(row: Selectable<Tables['events']>): Event {
  const { seq, at, kind, machine, message } = row;
  return eventSchema.parse({ seq, at, kind, message, ...(machine === null ? {} : { machine }) });
}
