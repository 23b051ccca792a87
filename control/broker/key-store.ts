// The wrapped keys of machines in the broker's store, those that are to take their place, and what is kept of those that are
// gone. A key that is gone is gone from the file: SQLite overwrites what it deletes (PRAGMA secure_delete), and the pages of
// before that lie in its write-ahead log are overwritten here (https://www.sqlite.org/fileformat2.html, section 4).
import { closeSync, fstatSync, fsyncSync, openSync, writeSync } from 'node:fs';
import type { DatabaseSync } from 'node:sqlite';
import type { MachineId } from '@ringwall/api';
import { isErrno } from '../files/index.ts';
import { textOf } from './rows.ts';

export const KEY_TABLES = `
  ALTER TABLE machine ADD COLUMN disk_kind TEXT NOT NULL DEFAULT 'encrypted'
    CHECK (disk_kind IN ('encrypted', 'authenticated'));
  ALTER TABLE machine ADD COLUMN next_key BLOB;
  CREATE TABLE ended_key (
    machine TEXT NOT NULL REFERENCES machine (id) ON DELETE CASCADE,
    version INTEGER NOT NULL,
    key_id TEXT NOT NULL,
    at TEXT NOT NULL,
    PRIMARY KEY (machine, version)
  ) STRICT, WITHOUT ROWID;`;

const ZEROS = new Uint8Array(64 * 1024);

/** A key that was rotated away. */
export interface EndedKey {
  readonly version: number;
  /** As keyId makes it. */
  readonly id: string;
  readonly at: string;
}

export class KeyStore {
  readonly #db: DatabaseSync;
  readonly #path: string;
  readonly #transact: <T>(change: () => T) => T;

  constructor(db: DatabaseSync, path: string, transact: <T>(change: () => T) => T) {
    this.#db = db;
    this.#path = path;
    this.#transact = transact;
  }

  setNext(machine: MachineId, wrapped: Uint8Array): void {
    this.#transact(() => this.#db.prepare('UPDATE machine SET next_key = ? WHERE id = ?').run(wrapped, machine));
  }

  /** The next key takes the place of the current one, within the transaction of the caller; call `scrubLog` after it. */
  endCurrent(machine: MachineId, id: string, at: Date): void {
    this.#db
      .prepare(
        `INSERT INTO ended_key (machine, version, key_id, at) SELECT id, key_version, ?, ? FROM machine WHERE id = ?`,
      )
      .run(id, at.toISOString(), machine);
    this.#db
      .prepare(
        `UPDATE machine SET wrapped_key = next_key, key_version = key_version + 1, next_key = NULL
         WHERE id = ? AND next_key IS NOT NULL`,
      )
      .run(machine);
  }

  ended(machine: MachineId): readonly EndedKey[] {
    const rows = this.#db.prepare('SELECT * FROM ended_key WHERE machine = ? ORDER BY version').all(machine);
    return rows.map((row) => ({ version: Number(row['version']), id: textOf(row, 'key_id'), at: textOf(row, 'at') }));
  }

  /** True where there was one. Its key is gone from the file and from the write-ahead log once this returns. */
  removeMachine(id: MachineId): boolean {
    const { changes } = this.#db.prepare('DELETE FROM machine WHERE id = ?').run(id);
    this.scrubLog();
    return Number(changes) > 0;
  }

  /**
   * Brings every page of the write-ahead log into the store, and overwrites the log in place before it is cut: what is cut
   * off is not written to any more, and stays on the drive. A log of zeros holds no page, should this process end here.
   */
  scrubLog(): void {
    this.#db.exec('PRAGMA wal_checkpoint(RESTART)');
    overwrite(`${this.#path}-wal`);
    this.#db.exec('PRAGMA wal_checkpoint(TRUNCATE)');
  }
}

function overwrite(path: string): void {
  let fd: number;
  try {
    fd = openSync(path, 'r+');
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return;
    throw error;
  }
  try {
    const { size } = fstatSync(fd);
    for (let at = 0; at < size; at += ZEROS.length) {
      writeSync(fd, ZEROS, 0, Math.min(ZEROS.length, size - at), at);
    }
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
