// node:sqlite behind the interface that Kysely's SQLite dialect asks for (that of better-sqlite3), with the settings that
// make a commit survive a crash: https://www.sqlite.org/wal.html and https://www.sqlite.org/pragma.html.
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite';
import { RingwallError } from '@ringwall/api';
import { type Dialect, SqliteDialect, type SqliteDatabase, type SqliteStatement } from 'kysely';

/** Primary result codes, https://www.sqlite.org/rescode.html; an extended code has its primary one in the low byte. */
const SQLITE_BUSY = 5;
const SQLITE_READONLY = 8;
const SQLITE_IOERR = 10;
const SQLITE_CORRUPT = 11;
const SQLITE_FULL = 13;
const SQLITE_CANTOPEN = 14;
const SQLITE_NOTADB = 26;

/** 2067 SQLITE_CONSTRAINT_UNIQUE, 1555 SQLITE_CONSTRAINT_PRIMARYKEY. */
const UNIQUE_VIOLATIONS: ReadonlySet<number> = new Set([2067, 1555]);

/** Opens the file, alone: a second process that opens it is refused at once, and a killed one leaves no lock behind. */
export function openSqliteDialect(path: string): Dialect {
  try {
    const database = new DatabaseSync(path, { enableForeignKeyConstraints: true, timeout: 0 });
    try {
      // Exclusive before WAL: then the WAL index lives in this process's memory and needs no shared file.
      database.exec('PRAGMA locking_mode = EXCLUSIVE');
      database.exec('PRAGMA journal_mode = WAL');
      database.exec('PRAGMA synchronous = FULL');
      database.exec('BEGIN IMMEDIATE; COMMIT');
    } catch (error) {
      database.close();
      throw error;
    }
    return new SqliteDialect({ database: new NodeSqlite(database, path) });
  } catch (error) {
    throw asRingwallError(error, path);
  }
}

export function isUniqueViolation(error: unknown): boolean {
  return UNIQUE_VIOLATIONS.has(errcodeOf(error) ?? 0);
}

class NodeSqlite implements SqliteDatabase {
  readonly #database: DatabaseSync;
  readonly #path: string;

  constructor(database: DatabaseSync, path: string) {
    this.#database = database;
    this.#path = path;
  }

  close(): void {
    this.#database.close();
  }

  prepare(sql: string): SqliteStatement {
    return new NodeStatement(
      attempt(this.#path, () => this.#database.prepare(sql)),
      this.#path,
      // After some errors, a full disk among them, SQLite has rolled back by itself, and there is nothing left to roll
      // back (https://www.sqlite.org/lang_transaction.html, section 3.1): saying so would hide the error that it was.
      () => sql === 'rollback' && !this.#database.isTransaction,
    );
  }
}

class NodeStatement implements SqliteStatement {
  readonly reader: boolean;
  readonly #statement: StatementSync;
  readonly #path: string;
  readonly #isDone: () => boolean;

  constructor(statement: StatementSync, path: string, isDone: () => boolean) {
    this.#statement = statement;
    this.#path = path;
    this.#isDone = isDone;
    this.reader = statement.columns().length > 0;
  }

  all(parameters: readonly unknown[]): unknown[] {
    return attempt(this.#path, () => this.#statement.all(...parameters.map(asInput)));
  }

  run(parameters: readonly unknown[]): { changes: number | bigint; lastInsertRowid: number | bigint } {
    if (this.#isDone()) return { changes: 0, lastInsertRowid: 0 };
    return attempt(this.#path, () => this.#statement.run(...parameters.map(asInput)));
  }

  iterate(parameters: readonly unknown[]): IterableIterator<unknown> {
    return this.#statement.iterate(...parameters.map(asInput));
  }
}

/** Kysely types a parameter as unknown; the tables' types allow only these. */
function asInput(value: unknown): SQLInputValue {
  if (value === null || typeof value === 'string' || typeof value === 'number' || typeof value === 'bigint') {
    return value;
  }
  throw new TypeError(`a parameter of type ${typeof value} cannot be stored`);
}

function attempt<T>(path: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    throw asRingwallError(error, path);
  }
}

/** What an operator can act on becomes an error of ours; everything else stays SQLite's. */
function asRingwallError(error: unknown, path: string): unknown {
  const errcode = errcodeOf(error);
  if (errcode === undefined) return error;
  const why = error instanceof Error ? error.message : String(error);
  switch (errcode & 0xff) {
    case SQLITE_BUSY:
      return new RingwallError('conflict', `another ringwalld uses the store ${path}`, {
        hint: 'one daemon a state directory: stop the other, or name another directory in RINGWALL_STATE',
        cause: error,
      });
    case SQLITE_FULL:
      return new RingwallError('host-full', `the disk that holds ${path} is full`, {
        hint: 'free some space; nothing was lost, and the request can be repeated then',
        cause: error,
      });
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return new RingwallError('internal', `the store ${path} is damaged: ${why}`, {
        hint: 'restore it from a backup; the machines themselves are not in it',
        cause: error,
      });
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_IOERR:
      return new RingwallError('internal', `the store ${path} cannot be used: ${why}`, {
        hint: 'see that its folder exists and belongs to the user of ringwalld, and that its disk is well',
        cause: error,
      });
    default:
      return error;
  }
}

function errcodeOf(error: unknown): number | undefined {
  if (typeof error !== 'object' || error === null || !('errcode' in error)) return undefined;
  return typeof error.errcode === 'number' ? error.errcode : undefined;
}
