// What the broker's store keeps of watches: the record of each machine's last boot, quarantines, and the lists of files
// of images. In the same SQLite file as the rest, so that no snapshot of a machine can put any of it back.
import type { DatabaseSync } from 'node:sqlite';
import type { BootId, MachineId } from '@ringwall/api';
import {
  watchModeSchema,
  watchStateSchema,
  type Quarantine,
  type WatchMode,
  type WatchState,
} from '@ringwall/api/watch';
import { textOf, texts, type Row } from './rows.ts';

/** A migration of BrokerStore: never edited. */
export const WATCH_TABLES = `CREATE TABLE watch (
     machine TEXT PRIMARY KEY REFERENCES machine (id) ON DELETE CASCADE,
     boot TEXT NOT NULL,
     mode TEXT NOT NULL,
     interval_ms INTEGER NOT NULL,
     files TEXT NOT NULL,
     state TEXT NOT NULL,
     reasons TEXT NOT NULL,
     record TEXT,
     proven_at TEXT,
     seen_at TEXT,
     readmitted_at TEXT,
     readmitted_strays INTEGER NOT NULL
   ) STRICT;
   CREATE TABLE quarantine (
     machine TEXT PRIMARY KEY REFERENCES machine (id) ON DELETE CASCADE,
     boot TEXT NOT NULL,
     since TEXT NOT NULL,
     reasons TEXT NOT NULL
   ) STRICT;
   CREATE TABLE image_files (sha256 TEXT PRIMARY KEY, files TEXT NOT NULL) STRICT;`;

export interface WatchRow {
  readonly machine: MachineId;
  readonly boot: BootId;
  readonly mode: WatchMode;
  readonly intervalMs: number;
  /** SHA-256 of the image's list of files. */
  readonly files: string;
  readonly state: WatchState;
  readonly reasons: readonly string[];
  /** As renderWatchRecord makes it; undefined until evidence of this boot was accepted. */
  readonly record: string | undefined;
  /** Once its disk was unlocked. */
  readonly provenAt: Date | undefined;
  readonly seenAt: Date | undefined;
  readonly readmittedAt: Date | undefined;
  readonly readmittedStrays: number;
}

export class WatchStore {
  readonly #db: DatabaseSync;

  constructor(db: DatabaseSync) {
    this.#db = db;
  }

  find(machine: MachineId): WatchRow | undefined {
    const row = this.#db.prepare('SELECT * FROM watch WHERE machine = ?').get(machine);
    return row === undefined ? undefined : asWatch(machine, row);
  }

  /** All of them in one commit; of a machine that was forgotten meanwhile nothing is kept. */
  save(watches: readonly WatchRow[], quarantine?: { readonly machine: MachineId } & Quarantine): void {
    this.#db.exec('BEGIN IMMEDIATE');
    try {
      for (const watch of watches) this.#save(watch);
      if (quarantine !== undefined) this.#quarantine(quarantine);
      this.#db.exec('COMMIT');
    } catch (error) {
      if (this.#db.isTransaction) this.#db.exec('ROLLBACK');
      throw error;
    }
  }

  findQuarantine(machine: MachineId): Quarantine | undefined {
    const row = this.#db.prepare('SELECT * FROM quarantine WHERE machine = ?').get(machine);
    if (row === undefined) return undefined;
    return { boot: textOf(row, 'boot'), since: textOf(row, 'since'), reasons: texts(row, 'reasons') };
  }

  liftQuarantine(machine: MachineId): void {
    this.#db.prepare('DELETE FROM quarantine WHERE machine = ?').run(machine);
  }

  hasFiles(sha256: string): boolean {
    return this.#db.prepare('SELECT 1 FROM image_files WHERE sha256 = ?').get(sha256) !== undefined;
  }

  findFiles(sha256: string): string | undefined {
    const row = this.#db.prepare('SELECT files FROM image_files WHERE sha256 = ?').get(sha256);
    return row === undefined ? undefined : textOf(row, 'files');
  }

  /** Adds a list, and forgets those that no machine was started with last. */
  addFiles(sha256: string, files: string): void {
    this.#db.prepare('DELETE FROM image_files WHERE sha256 NOT IN (SELECT files FROM watch)').run();
    this.#db.prepare('INSERT OR REPLACE INTO image_files (sha256, files) VALUES (?, ?)').run(sha256, files);
  }

  #save(watch: WatchRow): void {
    this.#db
      .prepare(
        `INSERT OR REPLACE INTO watch (machine, boot, mode, interval_ms, files, state, reasons, record, proven_at,
           seen_at, readmitted_at, readmitted_strays)
         SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ? WHERE EXISTS (SELECT 1 FROM machine WHERE id = ?)`,
      )
      .run(
        watch.machine,
        watch.boot,
        watch.mode,
        watch.intervalMs,
        watch.files,
        watch.state,
        JSON.stringify(watch.reasons),
        watch.record ?? null,
        watch.provenAt?.toISOString() ?? null,
        watch.seenAt?.toISOString() ?? null,
        watch.readmittedAt?.toISOString() ?? null,
        watch.readmittedStrays,
        watch.machine,
      );
  }

  #quarantine({ machine, boot, since, reasons }: { readonly machine: MachineId } & Quarantine): void {
    this.#db
      .prepare(
        `INSERT OR REPLACE INTO quarantine (machine, boot, since, reasons)
         SELECT ?, ?, ?, ? WHERE EXISTS (SELECT 1 FROM machine WHERE id = ?)`,
      )
      .run(machine, boot, since, JSON.stringify(reasons), machine);
  }
}

function asWatch(machine: MachineId, row: Row): WatchRow {
  const record = row['record'];
  return {
    machine,
    boot: textOf(row, 'boot'),
    mode: watchModeSchema.parse(row['mode']),
    intervalMs: Number(row['interval_ms']),
    files: textOf(row, 'files'),
    state: watchStateSchema.parse(row['state']),
    reasons: texts(row, 'reasons'),
    record: typeof record === 'string' ? record : undefined,
    provenAt: date(row, 'proven_at'),
    seenAt: date(row, 'seen_at'),
    readmittedAt: date(row, 'readmitted_at'),
    readmittedStrays: Number(row['readmitted_strays']),
  };
}

function date(row: Row, column: string): Date | undefined {
  return typeof row[column] === 'string' ? new Date(row[column]) : undefined;
}
