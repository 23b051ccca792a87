// Snapshots as the daemon remembers them: those that are whole. What opens them is with the broker.
import type { MachineId } from '@ringwall/api';
import { type Snapshot, snapshotSchema } from '@ringwall/api/snapshots';
import type { Kysely, Selectable, Transaction } from 'kysely';
import type { Tables } from './schema.ts';
import type { NewEvent } from './store.ts';

/** Runs a change as one transaction, together with its entry in the audit trail. */
type Transact = <T>(event: NewEvent | undefined, change: (trx: Transaction<Tables>) => Promise<T>) => Promise<T>;

export class SnapshotRecords {
  readonly #db: Kysely<Tables>;
  readonly #transact: Transact;

  constructor(db: Kysely<Tables>, transact: Transact) {
    this.#db = db;
    this.#transact = transact;
  }

  /** The newest of each machine first. */
  async list(machine?: MachineId): Promise<Snapshot[]> {
    const all = this.#db.selectFrom('snapshots').selectAll();
    const query = machine === undefined ? all : all.where('machine', '=', machine);
    return (await query.orderBy('machine').orderBy('sequence', 'desc').execute()).map(parseSnapshot);
  }

  async insert(snapshot: Snapshot, event: NewEvent): Promise<void> {
    const { id, machine, sequence, createdAt, ...taken } = snapshot;
    const values = { id, machine, sequence, created_at: createdAt, taken: JSON.stringify(taken) };
    // Said again after an answer that was lost, it is the same.
    await this.#transact(event, (trx) =>
      trx
        .insertInto('snapshots')
        .values(values)
        .onConflict((conflict) => conflict.column('id').doNothing())
        .execute(),
    );
  }

  async delete({ id }: Snapshot, event: NewEvent): Promise<void> {
    await this.#transact(event, (trx) => trx.deleteFrom('snapshots').where('id', '=', id).execute());
  }
}

const storedSchema = snapshotSchema.omit({ id: true, machine: true, sequence: true, createdAt: true });

function parseSnapshot(row: Selectable<Tables['snapshots']>): Snapshot {
  const taken = storedSchema.parse(JSON.parse(row.taken));
  const { id, machine, sequence, created_at: createdAt } = row;
  return snapshotSchema.parse({ ...taken, id, machine, sequence, createdAt });
}
