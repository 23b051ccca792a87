// Snapshots that leave this broker and that come to it, as the broker keeps them: the key that others export to, whose words count
// here, which machines have gone, and what has come already.
import type { DatabaseSync } from 'node:sqlite';
import type { MachineId, SnapshotId } from '@ringwall/api';
import { snapshotIdSchema } from '@ringwall/api/snapshots';
import { blob, textOf } from './rows.ts';

/** A migration of the store. Records of imports outlive snapshot and machine: what has come once comes again only by name. */
export const TRANSFER_TABLES = `
  CREATE TABLE recipient_key (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    public_key BLOB NOT NULL,
    wrapped_key BLOB NOT NULL
  ) STRICT;
  CREATE TABLE exporter (fingerprint TEXT PRIMARY KEY, at TEXT NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE departure (
    machine TEXT PRIMARY KEY REFERENCES machine (id) ON DELETE CASCADE,
    recipient TEXT NOT NULL,
    snapshot TEXT NOT NULL,
    returned TEXT,
    at TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE arrival (
    ticket TEXT PRIMARY KEY,
    snapshot TEXT NOT NULL,
    machine TEXT NOT NULL,
    wrapped_key BLOB,
    host BLOB NOT NULL,
    used INTEGER NOT NULL,
    at TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;`;

/** A further one. */
export const ARRIVAL_DIGEST = 'ALTER TABLE arrival ADD COLUMN digest TEXT;';

export interface RecipientKey {
  /** X25519. */
  readonly publicKey: Uint8Array;
  readonly wrapped: Uint8Array;
}

export interface Departure {
  /** X25519, in hexadecimal. */
  readonly recipient: string;
  readonly snapshot: SnapshotId;
  /** That has come back: putting the machine back to it ends its absence. */
  readonly returned: SnapshotId | undefined;
  readonly at: string;
}

export interface Arrival {
  readonly snapshot: SnapshotId;
  /** SHA-256 of the ticket's text, in hexadecimal: what was judged when it was begun is what it ends with. */
  readonly digest: string | undefined;
  /** Of the object; absent once it lies with the snapshot. */
  readonly wrapped: Uint8Array | undefined;
  /** P-256, X and Y: who has received it. */
  readonly host: Uint8Array;
  /** The machine was told a word by name: the state may be resumed although another may be. */
  readonly used: boolean;
}

export class TransferStore {
  readonly #db: DatabaseSync;

  constructor(db: DatabaseSync) {
    this.#db = db;
  }

  recipientKey(): RecipientKey | undefined {
    const row = this.#db.prepare('SELECT public_key, wrapped_key FROM recipient_key').get();
    return row === undefined ? undefined : { publicKey: blob(row, 'public_key'), wrapped: blob(row, 'wrapped_key') };
  }

  setRecipientKey({ publicKey, wrapped }: RecipientKey): void {
    this.#db
      .prepare('INSERT INTO recipient_key (only, public_key, wrapped_key) VALUES (1, ?, ?)')
      .run(publicKey, wrapped);
  }

  knowsExporter(fingerprint: string): boolean {
    return this.#db.prepare('SELECT 1 AS one FROM exporter WHERE fingerprint = ?').get(fingerprint) !== undefined;
  }

  /** Idempotent. */
  acceptExporter(fingerprint: string, at: Date): void {
    this.#db
      .prepare('INSERT OR IGNORE INTO exporter (fingerprint, at) VALUES (?, ?)')
      .run(fingerprint, at.toISOString());
  }

  departure(machine: MachineId): Departure | undefined {
    const row = this.#db.prepare('SELECT * FROM departure WHERE machine = ?').get(machine);
    if (row === undefined) return undefined;
    return {
      recipient: textOf(row, 'recipient'),
      snapshot: snapshotIdSchema.parse(row['snapshot']),
      returned: row['returned'] === null ? undefined : snapshotIdSchema.parse(row['returned']),
      at: textOf(row, 'at'),
    };
  }

  /** Why nothing of it is given out here any more; undefined where it has not gone. */
  whyGone({ id, name }: { readonly id: MachineId; readonly name: string }): string | undefined {
    const gone = this.departure(id);
    if (gone === undefined) return undefined;
    return `${name} was moved to ringwall-recipient:${gone.recipient.slice(0, 16)}… at ${gone.at}`;
  }

  /** Of a machine that has gone already, to the same recipient, it says nothing new. */
  depart(machine: MachineId, { recipient, snapshot }: Pick<Departure, 'recipient' | 'snapshot'>, at: Date): void {
    this.#db
      .prepare('INSERT OR IGNORE INTO departure (machine, recipient, snapshot, at) VALUES (?, ?, ?, ?)')
      .run(machine, recipient, snapshot, at.toISOString());
  }

  /** What lies here of it from before is still not started: only what has come back is. */
  welcome(machine: MachineId, snapshot: SnapshotId): void {
    this.#db.prepare('UPDATE departure SET returned = ? WHERE machine = ?').run(snapshot, machine);
  }

  /** It lives here again. */
  comeBack(machine: MachineId): void {
    this.#db.prepare('DELETE FROM departure WHERE machine = ?').run(machine);
  }

  arrival(ticket: string): Arrival | undefined {
    const row = this.#db.prepare('SELECT * FROM arrival WHERE ticket = ?').get(ticket);
    if (row === undefined) return undefined;
    return {
      snapshot: snapshotIdSchema.parse(row['snapshot']),
      digest: typeof row['digest'] === 'string' ? row['digest'] : undefined,
      wrapped: row['wrapped_key'] === null ? undefined : blob(row, 'wrapped_key'),
      host: blob(row, 'host'),
      used: row['used'] === 1,
    };
  }

  /** What was begun with it before, and not ended, is forgotten. */
  beginArrival(
    ticket: string,
    machine: MachineId,
    { snapshot, digest, wrapped, host, used }: Required<Arrival>,
    at: Date,
  ): void {
    this.#db
      .prepare(
        `INSERT OR REPLACE INTO arrival (ticket, snapshot, machine, digest, wrapped_key, host, used, at)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
      )
      .run(ticket, snapshot, machine, digest ?? null, wrapped ?? null, host, used ? 1 : 0, at.toISOString());
  }

  /** Whether this state has come already, by whichever ticket: a machine that is exported once more has another. */
  hasArrived(snapshot: SnapshotId): boolean {
    const row = this.#db
      .prepare('SELECT 1 AS one FROM arrival WHERE snapshot = ? AND wrapped_key IS NULL')
      .get(snapshot);
    return row !== undefined;
  }

  /** The wrapped keys of what was begun of this machine, and not ended. */
  arriving(machine: MachineId): Uint8Array[] {
    const rows = this.#db
      .prepare('SELECT wrapped_key FROM arrival WHERE machine = ? AND wrapped_key IS NOT NULL')
      .all(machine);
    return rows.map((row) => blob(row, 'wrapped_key'));
  }

  /** What was begun of it, and not ended, cannot end any more. Call `scrubLog` after it. */
  dropArriving(snapshot: SnapshotId): void {
    this.#db.prepare('DELETE FROM arrival WHERE snapshot = ? AND wrapped_key IS NOT NULL').run(snapshot);
  }

  /** The key lies with the snapshot from now on. */
  endArrival(ticket: string): void {
    this.#db.prepare('UPDATE arrival SET wrapped_key = NULL WHERE ticket = ?').run(ticket);
  }

  /** Each as these make it, within the transaction of the caller. Answers how many there are. */
  rewrap(
    recipient: (wrapped: Uint8Array) => Uint8Array,
    arriving: (snapshot: SnapshotId, wrapped: Uint8Array) => Uint8Array,
  ): number {
    const own = this.recipientKey();
    if (own !== undefined) this.#db.prepare('UPDATE recipient_key SET wrapped_key = ?').run(recipient(own.wrapped));
    const rows = this.#db
      .prepare('SELECT ticket, snapshot, wrapped_key FROM arrival WHERE wrapped_key IS NOT NULL')
      .all();
    for (const row of rows) {
      this.#db
        .prepare('UPDATE arrival SET wrapped_key = ? WHERE ticket = ?')
        .run(arriving(snapshotIdSchema.parse(row['snapshot']), blob(row, 'wrapped_key')), textOf(row, 'ticket'));
    }
    return rows.length + (own === undefined ? 0 : 1);
  }
}
