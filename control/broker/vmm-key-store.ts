// Keys of disks that the VMM encrypts, as the broker keeps them: wrapped, each with the host that may have it.
import type { DatabaseSync } from 'node:sqlite';
import { diskIdSchema, type DiskId } from '@ringwall/api';
import { blob } from './rows.ts';

/** A migration of the store. */
export const VMM_KEY_TABLE = `CREATE TABLE vmm_key (
     disk TEXT PRIMARY KEY,
     host BLOB NOT NULL,
     wrapped_key BLOB NOT NULL,
     made_at TEXT NOT NULL
   ) STRICT, WITHOUT ROWID;`;

export interface KeptKey {
  /** P-256, X and Y: of the host that the disk was made on. */
  readonly host: Uint8Array;
  readonly wrapped: Uint8Array;
}

export class VmmKeyStore {
  readonly #db: DatabaseSync;

  constructor(db: DatabaseSync) {
    this.#db = db;
  }

  count(): number {
    return Number(this.#db.prepare('SELECT count(*) AS n FROM vmm_key').get()?.['n'] ?? 0);
  }

  find(disk: DiskId): KeptKey | undefined {
    const row = this.#db.prepare('SELECT host, wrapped_key FROM vmm_key WHERE disk = ?').get(disk);
    return row === undefined ? undefined : { host: blob(row, 'host'), wrapped: blob(row, 'wrapped_key') };
  }

  add(disk: DiskId, { host, wrapped }: KeptKey, at: Date): void {
    this.#db
      .prepare('INSERT INTO vmm_key (disk, host, wrapped_key, made_at) VALUES (?, ?, ?, ?)')
      .run(disk, host, wrapped, at.toISOString());
  }

  /** Each as `rewrap` makes it, within the transaction of the caller. Answers how many there are. */
  rewrap(rewrap: (disk: DiskId, wrapped: Uint8Array) => Uint8Array): number {
    const rows = this.#db.prepare('SELECT disk, wrapped_key FROM vmm_key').all();
    for (const row of rows) {
      const disk = diskIdSchema.parse(row['disk']);
      this.#db
        .prepare('UPDATE vmm_key SET wrapped_key = ? WHERE disk = ?')
        .run(rewrap(disk, blob(row, 'wrapped_key')), disk);
    }
    return rows.length;
  }
}
