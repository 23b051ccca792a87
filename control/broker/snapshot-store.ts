// Snapshots as the broker keeps them: their wrapped keys, their numbers, and what the record of the machine's TPM was when each
// was taken. It lies where no snapshot of a machine can put it back.
import type { DatabaseSync } from 'node:sqlite';
import { machineIdSchema, type MachineId, type SnapshotId } from '@ringwall/api';
import { snapshotIdSchema } from '@ringwall/api/snapshots';
import { blob, textOf, type Row } from './rows.ts';

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
  /** When its key was given out last, and when the machine was last put back to it. */
  readonly openedAt: string | undefined;
  readonly restoredAt: string | undefined;
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

  finish({ id, machine, sequence }: KeptSnapshot, root: string): void {
    this.#transact(() => {
      this.#db.prepare('UPDATE snapshot SET root = ? WHERE id = ?').run(root, id);
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
  const { root, opened_at: openedAt, restored_at: restoredAt } = row;
  return {
    id,
    machine: machineIdSchema.parse(textOf(row, 'machine')),
    sequence: Number(row['sequence']),
    host: blob(row, 'host'),
    wrapped: blob(row, 'wrapped_key'),
    diskKeyVersion: Number(row['disk_key_version']),
    root: typeof root === 'string' ? root : undefined,
    openedAt: typeof openedAt === 'string' ? openedAt : undefined,
    restoredAt: typeof restoredAt === 'string' ? restoredAt : undefined,
  };
}
