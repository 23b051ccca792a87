// Imported disks as the daemon remembers them. A disk is changed by compare-and-set of its version.
import { RingwallError } from '@ringwall/api';
import { type Disk, diskSchema } from '@ringwall/api/disks';
import type { Kysely, Selectable, Transaction } from 'kysely';
import { documentOf } from './document.ts';
import type { Tables } from './schema.ts';
import { isUniqueViolation } from './sqlite.ts';
import type { NewEvent } from './store.ts';
import type { Transact } from './transact.ts';

export class DiskStore {
  readonly #db: Kysely<Tables>;
  readonly #transact: Transact;

  constructor(db: Kysely<Tables>, transact: Transact) {
    this.#db = db;
    this.#transact = transact;
  }

  async list(): Promise<Disk[]> {
    const rows = await this.#db.selectFrom('disks').selectAll().orderBy('name').execute();
    return rows.map(parseDisk);
  }

  async find(idOrName: string): Promise<Disk | undefined> {
    const column = idOrName.startsWith('dsk_') ? 'id' : 'name';
    const row = await this.#db.selectFrom('disks').selectAll().where(column, '=', idOrName).executeTakeFirst();
    return row === undefined ? undefined : parseDisk(row);
  }

  async insert(disk: Disk, event: NewEvent): Promise<void> {
    const { name } = disk;
    try {
      await this.#transact(event, (trx) => insertDisk(trx, disk));
    } catch (error) {
      if (!isUniqueViolation(error)) throw error;
      throw new RingwallError('name-taken', `there is a disk named ${name} already`, {
        hint: 'choose another name, or remove that disk first: ringwall disk rm NAME',
        cause: error,
      });
    }
  }

  /** Writes the change if the disk still has this version, and answers the disk with its new one. */
  async update(disk: Disk, change: Partial<Pick<Disk, 'spec' | 'status'>>, event?: NewEvent): Promise<Disk> {
    const row = await this.#transact(event, (trx) =>
      trx
        .updateTable('disks')
        .set({
          version: disk.version + 1,
          ...(change.spec === undefined ? {} : { spec: JSON.stringify(change.spec) }),
          ...(change.status === undefined ? {} : { status: JSON.stringify(change.status) }),
        })
        .where('id', '=', disk.id)
        .where('version', '=', disk.version)
        .returningAll()
        .executeTakeFirst(),
    );
    if (row !== undefined) return parseDisk(row);
    throw new RingwallError('conflict', `the disk is no longer at version ${String(disk.version)}`, {
      hint: 'look at it again, and repeat the request if it is still wanted',
    });
  }

  async delete(disk: Disk, event: NewEvent): Promise<void> {
    await this.#transact(event, (trx) => trx.deleteFrom('disks').where('id', '=', disk.id).execute());
  }
}

/** Within the transaction of the caller. */
export async function insertDisk(trx: Transaction<Tables>, disk: Disk): Promise<void> {
  const { id, tenant, name, version, createdAt, spec, status } = disk;
  const values = { id, tenant, name, version, created_at: createdAt };
  await trx
    .insertInto('disks')
    .values({ ...values, spec: JSON.stringify(spec), status: JSON.stringify(status) })
    .execute();
}

function parseDisk(row: Selectable<Tables['disks']>): Disk {
  return diskSchema.parse(documentOf(row));
}
