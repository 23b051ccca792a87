// The tables, and the migrations that make them. A migration that was released is never edited: the next one is added.
import { type Generated, type Kysely, sql } from 'kysely';
import type { Migration, MigrationProvider } from 'kysely/migration';

export interface Tables {
  machines: DocumentTable;
  operations: OperationTable;
  events: EventTable;
  boots: BootTable;
  boot_times: BootTimeTable;
  facts: FactTable;
  disks: DocumentTable;
  networks: DocumentTable;
  cards: CardTable;
  freed_addresses: FreedAddressTable;
  snapshots: SnapshotTable;
}

/** A document of the API: `spec` and `status` are JSON of the schemas of @ringwall/api. */
export interface DocumentTable {
  id: string;
  tenant: string;
  name: string;
  version: number;
  created_at: string;
  spec: string;
  status: string;
}

/** Those that are whole; `taken` is JSON of takenSnapshotSchema of @ringwall/api/snapshots. */
interface SnapshotTable {
  id: string;
  machine: string;
  sequence: number;
  created_at: string;
  taken: string;
}

interface OperationTable {
  id: string;
  kind: string;
  machine: string | null;
  state: string;
  step: string;
  /** JSON of ErrorBody. */
  error: string | null;
  /** JSON of what was asked for, so that another life of the daemon can go on with it. */
  request: string;
  created_at: string;
  updated_at: string;
}

/** The audit trail: rows are only ever added. */
interface EventTable {
  seq: Generated<number>;
  at: string;
  kind: string;
  machine: string | null;
  message: string;
}

/** What the boot of a machine that runs now must measure: the broker is told again where it has forgotten. */
interface BootTable {
  machine: string;
  boot: string;
  reference: string;
  /** JSON of the sentences that were proven, once they were. */
  proven: string | null;
}

/** How long the last good boot of an image took to be attested: what a progress bar is drawn by. */
interface BootTimeTable {
  image: string;
  accelerator: string;
  milliseconds: number;
}

interface FactTable {
  name: string;
  value: string;
}

/** What a machine has in a network for as long as it lives. */
interface CardTable {
  machine: string;
  network: string;
  /** JSON of one address of each family. */
  addresses: string;
  /** The boot that its network is open for. */
  admitted: string | null;
}

/** Addresses that somebody had: others may still mean them by it. */
interface FreedAddressTable {
  network: string;
  address: string;
  freed_at: string;
}

export const migrations: MigrationProvider = {
  getMigrations: () => Promise.resolve(MIGRATIONS),
};

const MIGRATIONS: Record<string, Migration> = {
  '0001-machines': {
    async up(db: Kysely<unknown>): Promise<void> {
      await db.schema
        .createTable('machines')
        .addColumn('id', 'text', (column) => column.primaryKey())
        .addColumn('tenant', 'text', (column) => column.notNull())
        .addColumn('name', 'text', (column) => column.notNull())
        .addColumn('version', 'integer', (column) => column.notNull())
        .addColumn('created_at', 'text', (column) => column.notNull())
        .addColumn('spec', 'text', (column) => column.notNull())
        .addColumn('status', 'text', (column) => column.notNull())
        .addUniqueConstraint('machines_tenant_name', ['tenant', 'name'])
        .execute();
      await db.schema
        .createTable('operations')
        .addColumn('id', 'text', (column) => column.primaryKey())
        .addColumn('kind', 'text', (column) => column.notNull())
        .addColumn('machine', 'text')
        .addColumn('state', 'text', (column) => column.notNull())
        .addColumn('step', 'text', (column) => column.notNull())
        .addColumn('error', 'text')
        .addColumn('request', 'text', (column) => column.notNull())
        .addColumn('created_at', 'text', (column) => column.notNull())
        .addColumn('updated_at', 'text', (column) => column.notNull())
        .execute();
      await db.schema.createIndex('operations_state').on('operations').columns(['state', 'updated_at']).execute();
      // AUTOINCREMENT: a number is never given twice, so that `since` cannot skip an entry.
      await db.schema
        .createTable('events')
        .addColumn('seq', 'integer', (column) => column.primaryKey().autoIncrement())
        .addColumn('at', 'text', (column) => column.notNull())
        .addColumn('kind', 'text', (column) => column.notNull())
        .addColumn('machine', 'text')
        .addColumn('message', 'text', (column) => column.notNull())
        .execute();
      // The trail outlives the daemon's own mistakes: SQLite itself refuses to change what was written.
      await sql`create trigger events_stay before update on events begin select raise(abort, 'the audit trail is only added to'); end`.execute(
        db,
      );
      await sql`create trigger events_remain before delete on events begin select raise(abort, 'the audit trail is only added to'); end`.execute(
        db,
      );
      await db.schema
        .createTable('boots')
        .addColumn('machine', 'text', (column) => column.primaryKey())
        .addColumn('boot', 'text', (column) => column.notNull())
        .addColumn('reference', 'text', (column) => column.notNull())
        .addColumn('proven', 'text')
        .execute();
      await db.schema
        .createTable('boot_times')
        .addColumn('image', 'text', (column) => column.notNull())
        .addColumn('accelerator', 'text', (column) => column.notNull())
        .addColumn('milliseconds', 'integer', (column) => column.notNull())
        .addPrimaryKeyConstraint('boot_times_key', ['image', 'accelerator'])
        .execute();
      await db.schema
        .createTable('facts')
        .addColumn('name', 'text', (column) => column.primaryKey())
        .addColumn('value', 'text', (column) => column.notNull())
        .execute();
    },
  },
  '0002-disks': {
    async up(db: Kysely<unknown>): Promise<void> {
      await db.schema
        .createTable('disks')
        .addColumn('id', 'text', (column) => column.primaryKey())
        .addColumn('tenant', 'text', (column) => column.notNull())
        .addColumn('name', 'text', (column) => column.notNull())
        .addColumn('version', 'integer', (column) => column.notNull())
        .addColumn('created_at', 'text', (column) => column.notNull())
        .addColumn('spec', 'text', (column) => column.notNull())
        .addColumn('status', 'text', (column) => column.notNull())
        .addUniqueConstraint('disks_tenant_name', ['tenant', 'name'])
        .execute();
    },
  },
  '0003-networks': {
    async up(db: Kysely<unknown>): Promise<void> {
      await db.schema
        .createTable('networks')
        .addColumn('id', 'text', (column) => column.primaryKey())
        .addColumn('tenant', 'text', (column) => column.notNull())
        .addColumn('name', 'text', (column) => column.notNull())
        .addColumn('version', 'integer', (column) => column.notNull())
        .addColumn('created_at', 'text', (column) => column.notNull())
        .addColumn('spec', 'text', (column) => column.notNull())
        .addColumn('status', 'text', (column) => column.notNull())
        .addUniqueConstraint('networks_tenant_name', ['tenant', 'name'])
        .execute();
      await db.schema
        .createTable('cards')
        .addColumn('machine', 'text', (column) => column.primaryKey())
        .addColumn('network', 'text', (column) => column.notNull())
        .addColumn('addresses', 'text', (column) => column.notNull())
        .addColumn('admitted', 'text')
        .execute();
      await db.schema.createIndex('cards_network').on('cards').column('network').execute();
      await db.schema
        .createTable('freed_addresses')
        .addColumn('network', 'text', (column) => column.notNull())
        .addColumn('address', 'text', (column) => column.notNull())
        .addColumn('freed_at', 'text', (column) => column.notNull())
        .addPrimaryKeyConstraint('freed_addresses_key', ['network', 'address'])
        .execute();
    },
  },
  '0004-snapshots': {
    async up(db: Kysely<unknown>): Promise<void> {
      await db.schema
        .createTable('snapshots')
        .addColumn('id', 'text', (column) => column.primaryKey())
        .addColumn('machine', 'text', (column) => column.notNull())
        .addColumn('sequence', 'integer', (column) => column.notNull())
        .addColumn('created_at', 'text', (column) => column.notNull())
        .addColumn('taken', 'text', (column) => column.notNull())
        .addUniqueConstraint('snapshots_machine_sequence', ['machine', 'sequence'])
        .execute();
    },
  },
};
