// Snapshots as the broker keeps them: their wrapped keys, their numbers, and what the record of the machine's TPM was when each
// was taken. It lies where no snapshot of a machine can put it back.
import type { DatabaseSync } from 'node:sqlite';
import { machineIdSchema, type MachineId, type SnapshotId } from '@ringwall/api';
import { snapshotIdSchema } from '@ringwall/api/snapshots';
import { blob, textOf, type Row } from './rows.ts';
import { asTpmStart, type TpmStart } from './tpm-start.ts';

/** A migration of the store. */
export const SNAPSHOT_TABLES = `CREATE TABLE snapshot (
     id TEXT PRIMARY KEY,
     machine TEXT NOT NULL REFERENCES machine (id) ON DELETE CASCADE,
     sequence INTEGER NOT NULL,
     host BLOB NOT NULL,
     wrapped_key BLOB NOT NULL,
     disk_key_version INTEGER NOT NULL,
     tpm_start TEXT,
     released_at TEXT,
     root TEXT,
     opened_at TEXT,
     restored_at TEXT,
     at TEXT NOT NULL,
     UNIQUE (machine, sequence)
   ) STRICT, WITHOUT ROWID;
   ALTER TABLE machine ADD COLUMN snapshots INTEGER NOT NULL DEFAULT 0;
   ALTER TABLE machine ADD COLUMN newest_snapshot INTEGER NOT NULL DEFAULT 0;`;

/** A further one. */
export const SNAPSHOT_PARENT = 'ALTER TABLE snapshot ADD COLUMN parent TEXT;';

export interface KeptSnapshot {
  readonly id: SnapshotId;
  readonly machine: MachineId;
  readonly sequence: number;
  /** P-256, X and Y: of the host that has taken it. */
  readonly host: Uint8Array;
  readonly wrapped: Uint8Array;
  /** Of the disk's key when it was taken. */
  readonly diskKeyVersion: number;
  /** Absent until it is whole. */
  readonly root: string | undefined;
  /** The one that it continues. */
  readonly parent: SnapshotId | undefined;
  /** When its key was given out last, and when the machine was last put back to it. */
  readonly openedAt: string | undefined;
  readonly unlockedAt: TpmStart | undefined;
  readonly seenAt: TpmStart | undefined;
  readonly restoredAt: string | undefined;
}

/** `used`: going back to it wants a word, as if its key had been given out here. */
export interface ArrivedSnapshot extends Pick<
  KeptSnapshot,
  'id' | 'machine' | 'sequence' | 'host' | 'wrapped' | 'diskKeyVersion' | 'unlockedAt' | 'seenAt' | 'parent'
> {
  readonly root: string;
  readonly used: boolean;
}

export class SnapshotStore {
  readonly #db: DatabaseSync;
  readonly #transact: <T>(change: () => T) => T;
  readonly #scrubLog: () => void;

  constructor(db: DatabaseSync, transact: <T>(change: () => T) => T, scrubLog: () => void) {
    this.#db = db;
    this.#transact = transact;
    this.#scrubLog = scrubLog;
  }

  find(id: SnapshotId): KeptSnapshot | undefined {
    const row = this.#db.prepare('SELECT * FROM snapshot WHERE id = ?').get(id);
    return row === undefined ? undefined : asSnapshot(id, row);
  }

  /** The number of the newest that is whole, or was: it stays when that one is removed. 0 where there was none. */
  newest(machine: MachineId): number {
    return Number(this.#db.prepare('SELECT newest_snapshot AS n FROM machine WHERE id = ?').get(machine)?.['n'] ?? 0);
  }

  /** Numbers it. What the record of the TPM is now is kept with it. */
  add(snapshot: Pick<KeptSnapshot, 'id' | 'machine' | 'host' | 'wrapped'>, at: Date): number {
    const { id, machine, host, wrapped } = snapshot;
    return this.#transact(() => {
      this.#db.prepare('UPDATE machine SET snapshots = snapshots + 1 WHERE id = ?').run(machine);
      this.#db
        .prepare(
          `INSERT INTO snapshot (id, machine, sequence, host, wrapped_key, disk_key_version, tpm_start, released_at, at)
           SELECT ?, id, snapshots, ?, ?, key_version, tpm_start, released_at, ? FROM machine WHERE id = ?`,
        )
        .run(id, host, wrapped, at.toISOString(), machine);
      return this.find(id)?.sequence ?? 0;
    });
  }

  /** All of a machine, the newest first. */
  of(machine: MachineId): KeptSnapshot[] {
    const rows = this.#db.prepare('SELECT * FROM snapshot WHERE machine = ? ORDER BY sequence DESC').all(machine);
    return rows.map((row) => asSnapshot(snapshotIdSchema.parse(row['id']), row));
  }

  /** What has this number of this machine. */
  findNumber(machine: MachineId, sequence: number): SnapshotId | undefined {
    const row = this.#db.prepare('SELECT id FROM snapshot WHERE machine = ? AND sequence = ?').get(machine, sequence);
    return row === undefined ? undefined : snapshotIdSchema.parse(row['id']);
  }

  /** One that came from elsewhere, whole, within the transaction of the caller. */
  arrive(snapshot: ArrivedSnapshot, at: Date): void {
    const { id, machine, sequence, host, wrapped, root, diskKeyVersion, unlockedAt, seenAt, used, parent } = snapshot;
    this.#db
      .prepare(
        `INSERT INTO snapshot (id, machine, sequence, host, wrapped_key, disk_key_version, tpm_start, released_at, root,
           opened_at, at, parent) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      )
      .run(
        ...[id, machine, sequence, host, wrapped, diskKeyVersion, textOrNull(unlockedAt), textOrNull(seenAt), root],
        ...[used ? at.toISOString() : null, at.toISOString(), parent ?? null],
      );
    this.#db
      .prepare(
        `UPDATE machine SET snapshots = max(snapshots, ?1), newest_snapshot = max(newest_snapshot, ?1) WHERE id = ?2`,
      )
      .run(sequence, machine);
  }

  /** The number of the first that continues it. */
  continuedBy({ id }: Pick<KeptSnapshot, 'id'>): number | undefined {
    const row = this.#db.prepare('SELECT min(sequence) AS n FROM snapshot WHERE parent = ?').get(id);
    return typeof row?.['n'] === 'number' ? row['n'] : undefined;
  }

  finish({ id, machine, sequence }: KeptSnapshot, root: string, parent?: SnapshotId): void {
    this.#transact(() => {
      this.#db.prepare('UPDATE snapshot SET root = ?, parent = ? WHERE id = ?').run(root, parent ?? null, id);
      this.#db
        .prepare('UPDATE machine SET newest_snapshot = max(newest_snapshot, ?) WHERE id = ?')
        .run(sequence, machine);
    });
  }

  markOpened({ id }: KeptSnapshot, at: Date): void {
    this.#db.prepare('UPDATE snapshot SET opened_at = ? WHERE id = ?').run(at.toISOString(), id);
  }

  /** The TPM goes back with the machine: what it must not fall behind is what it was then. */
  putBack({ id, machine }: KeptSnapshot, at: Date): void {
    this.#transact(() => {
      this.#db
        .prepare(
          `UPDATE machine SET (tpm_start, released_at) =
             (SELECT tpm_start, released_at FROM snapshot WHERE snapshot.id = ?) WHERE id = ?`,
        )
        .run(id, machine);
      this.#db.prepare('UPDATE snapshot SET restored_at = ? WHERE id = ?').run(at.toISOString(), id);
    });
  }

  /** Each as `rewrap` makes it, within the transaction of the caller. Answers how many there are. */
  rewrap(rewrap: (id: SnapshotId, wrapped: Uint8Array) => Uint8Array): number {
    const rows = this.#db.prepare('SELECT id, wrapped_key FROM snapshot').all();
    for (const row of rows) {
      const id = snapshotIdSchema.parse(row['id']);
      this.#db
        .prepare('UPDATE snapshot SET wrapped_key = ? WHERE id = ?')
        .run(rewrap(id, blob(row, 'wrapped_key')), id);
    }
    return rows.length;
  }

  /** The key is gone from the file and from the write-ahead log once this returns. */
  remove(id: SnapshotId): void {
    this.#db.prepare('DELETE FROM snapshot WHERE id = ?').run(id);
    this.#scrubLog();
  }
}

function asSnapshot(id: SnapshotId, row: Row): KeptSnapshot {
  const {
    root,
    parent,
    opened_at: openedAt,
    restored_at: restoredAt,
    tpm_start: unlockedAt,
    released_at: seenAt,
  } = row;
  return {
    id,
    machine: machineIdSchema.parse(textOf(row, 'machine')),
    sequence: Number(row['sequence']),
    host: blob(row, 'host'),
    wrapped: blob(row, 'wrapped_key'),
    diskKeyVersion: Number(row['disk_key_version']),
    root: typeof root === 'string' ? root : undefined,
    parent: typeof parent === 'string' ? snapshotIdSchema.parse(parent) : undefined,
    openedAt: typeof openedAt === 'string' ? openedAt : undefined,
    restoredAt: typeof restoredAt === 'string' ? restoredAt : undefined,
    unlockedAt: typeof unlockedAt === 'string' ? asTpmStart(JSON.parse(unlockedAt), 'snapshot.tpm_start') : undefined,
    seenAt: typeof seenAt === 'string' ? asTpmStart(JSON.parse(seenAt), 'snapshot.released_at') : undefined,
  };
}

function textOrNull(start: TpmStart | undefined): string | null {
  return start === undefined ? null : JSON.stringify(start);
}
