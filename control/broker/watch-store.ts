// What the broker's store keeps of watches: the record of each machine's last boot, quarantines, and the lists of files
// of images. In the same SQLite file as the rest, so that no snapshot of a machine can put any of it back.
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { BootId, MachineId } from '@ringwall/api';
import {
  imagePartsSchema,
  watchModeSchema,
  watchStateSchema,
  type Quarantine,
  type WatchMode,
  type WatchState,
} from '@ringwall/api/watch';
import { concatBytes, fromHex, toHex } from '@ringwall/bytes';
import type { ImageParts } from '@ringwall/evidence';
import { z } from 'zod';
import { blob, textOf, texts, type Row } from './rows.ts';

const answeredSchema = z.object({
  nonce: z.hex(),
  from: z.int().min(0),
  at: z.iso.datetime(),
  quote: z.hex(),
  quoteSignature: z.hex(),
});

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

/** A migration of BrokerStore: never edited. What a proof of a running machine needs beside its record. */
export const WATCH_LOG_TABLES = `ALTER TABLE watch ADD COLUMN image TEXT;
   ALTER TABLE watch ADD COLUMN answered TEXT;
   CREATE TABLE watch_log (
     machine TEXT NOT NULL REFERENCES machine (id) ON DELETE CASCADE,
     boot TEXT NOT NULL,
     at INTEGER NOT NULL,
     bytes BLOB NOT NULL,
     PRIMARY KEY (machine, at)
   ) STRICT, WITHOUT ROWID;`;

/** A migration of BrokerStore: never edited. */
export const WATCH_NOTED_COLUMN = 'ALTER TABLE watch ADD COLUMN noted_clock INTEGER;';

/** The last answer that was proven. */
export interface Answered {
  readonly nonce: Uint8Array;
  /** From which byte of the list it was asked. */
  readonly from: number;
  readonly at: Date;
  readonly quote: Uint8Array;
  readonly quoteSignature: Uint8Array;
}

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
  /** Undefined for what an earlier version has begun. */
  readonly image: ImageParts | undefined;
  readonly answered: Answered | undefined;
  /** The TPM's clock in the last answer before which its state was written down; of an earlier boot until there is one. */
  readonly notedClock: bigint | undefined;
}

/** Bytes of the kernel's list, from `at` on. */
export interface LogPart extends Pick<WatchRow, 'machine' | 'boot'> {
  readonly at: number;
  readonly bytes: Uint8Array;
}

export interface WatchChange {
  readonly watches: readonly WatchRow[];
  readonly logs?: readonly LogPart[];
  readonly quarantine?: { readonly machine: MachineId } & Quarantine;
}

export class WatchStore {
  readonly #db: DatabaseSync;
  /** Prepared once: what is seen of thousands of machines is written every few seconds. */
  readonly #insert: StatementSync;

  constructor(db: DatabaseSync) {
    this.#db = db;
    this.#insert = db.prepare(
      `INSERT OR REPLACE INTO watch (machine, boot, mode, interval_ms, files, state, reasons, record, proven_at,
         seen_at, readmitted_at, readmitted_strays, image, answered, noted_clock)
       SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ? WHERE EXISTS (SELECT 1 FROM machine WHERE id = ?)`,
    );
  }

  find(machine: MachineId): WatchRow | undefined {
    const row = this.#db.prepare('SELECT * FROM watch WHERE machine = ?').get(machine);
    return row === undefined ? undefined : asWatch(machine, row);
  }

  /** All of it in one commit; of a machine that was forgotten meanwhile nothing is kept. */
  save({ watches, logs = [], quarantine }: WatchChange): void {
    this.#transact(() => {
      for (const watch of watches) this.#save(watch);
      for (const part of logs) this.#keepLog(part);
      if (quarantine !== undefined) this.#quarantine(quarantine);
    });
  }

  /** The same without waiting for the disk (https://www.sqlite.org/wal.html): whole after a crash of this process, and gone after a power cut. */
  saveSoon(change: WatchChange): void {
    this.#db.exec('PRAGMA synchronous = NORMAL');
    try {
      this.save(change);
    } finally {
      this.#db.exec('PRAGMA synchronous = FULL');
    }
  }

  /** In the place of all that was kept from there on, and of other boots. */
  #keepLog({ machine, boot, at, bytes }: LogPart): void {
    this.#db.prepare('DELETE FROM watch_log WHERE machine = ? AND (at >= ? OR boot <> ?)').run(machine, at, boot);
    this.#db
      .prepare(
        `INSERT INTO watch_log (machine, boot, at, bytes)
         SELECT ?, ?, ?, ? WHERE EXISTS (SELECT 1 FROM machine WHERE id = ?)`,
      )
      .run(machine, boot, at, bytes, machine);
  }

  /** The first `bytes` of it; undefined where they are not all here. */
  readLog({ machine, boot }: Pick<WatchRow, 'machine' | 'boot'>, bytes: number): Uint8Array | undefined {
    const rows = this.#db
      .prepare('SELECT at, bytes FROM watch_log WHERE machine = ? AND boot = ? ORDER BY at')
      .all(machine, boot);
    const parts: Uint8Array[] = [];
    let end = 0;
    for (const row of rows) {
      if (Number(row['at']) !== end) return undefined;
      const part = blob(row, 'bytes');
      parts.push(part);
      end += part.length;
    }
    return end < bytes ? undefined : concatBytes(...parts).subarray(0, bytes);
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
    this.#insert.run(
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
      watch.image === undefined ? null : JSON.stringify(watch.image),
      watch.answered === undefined ? null : answeredText(watch.answered),
      watch.notedClock ?? null,
      watch.machine,
    );
  }

  #transact(change: () => void): void {
    this.#db.exec('BEGIN IMMEDIATE');
    try {
      change();
      this.#db.exec('COMMIT');
    } catch (error) {
      if (this.#db.isTransaction) this.#db.exec('ROLLBACK');
      throw error;
    }
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
  const { record, image, answered, noted_clock: notedClock } = row;
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
    image: typeof image === 'string' ? imagePartsSchema.parse(JSON.parse(image)) : undefined,
    answered: typeof answered === 'string' ? asAnswered(JSON.parse(answered)) : undefined,
    notedClock: notedClock === null || notedClock === undefined ? undefined : BigInt(Number(notedClock)),
  };
}

function answeredText({ nonce, from, at, quote, quoteSignature }: Answered): string {
  return JSON.stringify({
    nonce: toHex(nonce),
    from,
    at: at.toISOString(),
    quote: toHex(quote),
    quoteSignature: toHex(quoteSignature),
  });
}

function asAnswered(value: unknown): Answered {
  const { nonce, from, at, quote, quoteSignature } = answeredSchema.parse(value);
  return {
    nonce: fromHex(nonce),
    from,
    at: new Date(at),
    quote: fromHex(quote),
    quoteSignature: fromHex(quoteSignature),
  };
}

function date(row: Row, column: string): Date | undefined {
  return typeof row[column] === 'string' ? new Date(row[column]) : undefined;
}
