// The wrapped keys of machines in the broker's store, those that are to take their place, and what is kept of those that are
// gone, of imported disks, too. A key that is gone is gone from the file: SQLite overwrites what it deletes (PRAGMA secure_delete), and the pages of
// before that lie in its write-ahead log are overwritten here (https://www.sqlite.org/fileformat2.html, section 4).
import { closeSync, fstatSync, fsyncSync, openSync, read, writeSync } from 'node:fs';
import type { DatabaseSync } from 'node:sqlite';
import { promisify } from 'node:util';
import type { DiskId, MachineId, SnapshotId } from '@ringwall/api';
import { isErrno } from '../files/index.ts';
import { textOf } from './rows.ts';
import type { DiskKind } from './machine-records.ts';

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

export const ERASURE_TABLE = `
  CREATE TABLE erasure (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    machine TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    content TEXT NOT NULL,
    record TEXT
  ) STRICT;`;

export const ROOT_KEY_TABLE =
  'CREATE TABLE root_key (only INTEGER PRIMARY KEY CHECK (only = 1), id TEXT NOT NULL) STRICT';

export const CLONE_COLUMNS = `
  ALTER TABLE machine ADD COLUMN clones TEXT NOT NULL DEFAULT 'deny' CHECK (clones IN ('deny', 'allow'));
  ALTER TABLE machine ADD COLUMN cloned_from TEXT;
  ALTER TABLE machine ADD COLUMN lender TEXT`;

/** Disks that were imported came later than the table's name for it. */
export const ERASURE_SUBJECT = 'ALTER TABLE erasure RENAME COLUMN machine TO subject';

/** Of a key that a clone has until its first start: the machine that its disk was copied from goes on having it. */
export const BORROWED_KEY_VERSION = 0;

/** Records of what is gone, the newest: some 1.5 KiB each. */
const ERASURES_KEPT = 100_000;

/** Read at once while keys are looked for; between two pieces others have their turn. */
const PIECE_BYTES = 1024 * 1024;
const readPiece = promisify(read);

const ZEROS = new Uint8Array(64 * 1024);

/** Wrapped, of a clone. */
export interface BorrowedKeys {
  readonly lender: MachineId;
  readonly borrowed: Uint8Array;
  readonly nextKey: Uint8Array;
  readonly diskKind: DiskKind;
  readonly snapshot: SnapshotId;
}

/** A key that was rotated away. */
export interface EndedKey {
  readonly version: number;
  /** As keyId makes it. */
  readonly id: string;
  readonly at: string;
}

/** Of a machine or a disk that is gone. */
export interface KeptErasure {
  /** JSON of what was erased, written in the same commit as the erasure. */
  readonly content: string;
  /** The signed record; absent until the broker came to it. */
  readonly record: string | undefined;
}

export class KeyStore implements Disposable {
  readonly #db: DatabaseSync;
  readonly #path: string;
  /** To look for bytes. To close it while the store is open would give up SQLite's locks (POSIX, fcntl). */
  readonly #fd: number;
  readonly #transact: <T>(change: () => T) => T;

  constructor(db: DatabaseSync, path: string, transact: <T>(change: () => T) => T) {
    this.#db = db;
    this.#path = path;
    this.#fd = openSync(path, 'r');
    this.#transact = transact;
  }

  setNext(machine: MachineId, wrapped: Uint8Array): void {
    this.#transact(() => this.#db.prepare('UPDATE machine SET next_key = ? WHERE id = ?').run(wrapped, machine));
  }

  /** Its disk is a copy of the one in this snapshot, and opens with a key that is not its own until the next takes its place. */
  borrow(machine: MachineId, keys: BorrowedKeys): void {
    const { lender, borrowed, nextKey, diskKind, snapshot } = keys;
    this.#transact(() =>
      this.#db
        .prepare(
          `UPDATE machine SET key_version = ?, wrapped_key = ?, next_key = ?, disk = 'open', disk_kind = ?, cloned_from = ?,
             lender = ? WHERE id = ?`,
        )
        .run(BORROWED_KEY_VERSION, borrowed, nextKey, diskKind, snapshot, lender, machine),
    );
    this.scrubLog();
  }

  /** The name of a clone that has this machine's key still, if there is one. */
  borrowerOf(lender: MachineId): string | undefined {
    const row = this.#db
      .prepare('SELECT name FROM machine WHERE lender = ? AND key_version = ? LIMIT 1')
      .get(lender, BORROWED_KEY_VERSION);
    return row === undefined ? undefined : textOf(row, 'name');
  }

  /** The next key takes the place of the current one, within the transaction of the caller; call `scrubLog` after it. */
  endCurrent(machine: MachineId, id: string, at: Date): void {
    this.#db
      .prepare(
        `INSERT INTO ended_key (machine, version, key_id, at) SELECT id, key_version, ?, ? FROM machine
         WHERE id = ? AND key_version <> ${String(BORROWED_KEY_VERSION)}`,
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

  /** Its keys are gone from the file and from the write-ahead log once this returns, and what is told of them is there. */
  removeMachine(id: MachineId, name: string, content: string): void {
    this.#remove(
      ['DELETE FROM machine WHERE id = ?', 'DELETE FROM arrival WHERE machine = ? AND wrapped_key IS NOT NULL'],
      { id, name, content },
    );
  }

  /** The same of a disk whose key the VMM gets. */
  removeDisk(id: DiskId, name: string, content: string): void {
    this.#remove(['DELETE FROM vmm_key WHERE disk = ?'], { id, name, content });
  }

  /** By id, or the last of this name. */
  findErasure(kind: 'machine' | 'disk', idOrName: string): KeptErasure | undefined {
    const row = this.#db
      .prepare(
        `SELECT * FROM erasure WHERE (subject = ?1 OR name = ?1) AND substr(subject, 1, 4) = ?2
         ORDER BY seq DESC LIMIT 1`,
      )
      .get(idOrName, ID_PREFIXES[kind]);
    if (row === undefined) return undefined;
    const record = row['record'];
    return { content: textOf(row, 'content'), record: typeof record === 'string' ? record : undefined };
  }

  writeErasure(subject: string, record: string): void {
    this.#db.prepare('UPDATE erasure SET record = ? WHERE subject = ?').run(record, subject);
  }

  /** How often any of them occurs in the file of the store; the log is empty after scrubLog. */
  async search(needles: readonly Uint8Array[]): Promise<{ readonly bytes: number; readonly copies: number }> {
    const overlap = Math.max(...needles.map((needle) => needle.length)) - 1;
    const buffer = Buffer.alloc(overlap + PIECE_BYTES);
    const { size } = fstatSync(this.#fd);
    let copies = 0;
    for (let at = 0; at < size; at += PIECE_BYTES) {
      // What begins in the last bytes of this piece ends in the next.
      const { bytesRead } = await readPiece(this.#fd, buffer, 0, buffer.length, at);
      const piece = buffer.subarray(0, bytesRead);
      for (const needle of needles) {
        const found = piece.indexOf(needle);
        if (found >= 0 && found < PIECE_BYTES) copies += 1;
      }
    }
    return { bytes: size, copies };
  }

  #remove(statements: readonly string[], { id, name, content }: { id: string; name: string; content: string }): void {
    this.#transact(() => {
      for (const statement of statements) this.#db.prepare(statement).run(id);
      this.#db
        .prepare('INSERT OR REPLACE INTO erasure (subject, name, content) VALUES (?, ?, ?)')
        .run(id, name, content);
      this.#db.prepare('DELETE FROM erasure WHERE seq <= (SELECT max(seq) FROM erasure) - ?').run(ERASURES_KEPT);
    });
    this.scrubLog();
  }

  /** After the store was closed. */
  [Symbol.dispose](): void {
    closeSync(this.#fd);
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

const ID_PREFIXES = { machine: 'mch_', disk: 'dsk_' } as const;

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
