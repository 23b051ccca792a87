// The tables of the broker's store, and the way from each version of them to the next.
import type { DatabaseSync } from 'node:sqlite';
import { RingwallError } from '@ringwall/api';
import { APPROVAL_TABLES } from './approval-store.ts';
import { HOST_TABLE } from './host-store.ts';
import { CLONE_COLUMNS, ERASURE_SUBJECT, ERASURE_TABLE, KEY_TABLES, ROOT_KEY_TABLE } from './key-store.ts';
import { SNAPSHOT_PARENT, SNAPSHOT_TABLES } from './snapshot-store.ts';
import { ARRIVAL_DIGEST, TRANSFER_TABLES } from './transfer-store.ts';
import { VMM_KEY_TABLE } from './vmm-key-store.ts';
import { WATCH_LOG_TABLES, WATCH_NOTED_COLUMN, WATCH_TABLES } from './watch-store.ts';

/** Each entry brings the store from its index to the next version (PRAGMA user_version). None is ever edited. */
const MIGRATIONS: readonly string[] = [
  `CREATE TABLE machine (
     id TEXT PRIMARY KEY,
     name TEXT NOT NULL,
     ek_certificate BLOB NOT NULL,
     vtpm_ca TEXT NOT NULL,
     key_version INTEGER NOT NULL,
     wrapped_key BLOB NOT NULL,
     disk TEXT NOT NULL CHECK (disk IN ('format', 'open')),
     current_boot TEXT,
     clock TEXT,
     registered_at TEXT NOT NULL
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE boot (
     seq INTEGER PRIMARY KEY AUTOINCREMENT,
     machine TEXT NOT NULL REFERENCES machine (id) ON DELETE CASCADE,
     boot TEXT NOT NULL,
     reference TEXT NOT NULL,
     state TEXT NOT NULL CHECK (state IN ('pending', 'accepted', 'unlocked', 'refused', 'failed')),
     reasons TEXT NOT NULL,
     proven TEXT NOT NULL,
     at TEXT,
     release TEXT,
     UNIQUE (machine, boot)
   ) STRICT;
   CREATE TABLE proof (
     machine TEXT NOT NULL REFERENCES machine (id) ON DELETE CASCADE,
     kind TEXT NOT NULL CHECK (kind IN ('confirmed', 'unconfirmed', 'refused')),
     boot TEXT NOT NULL,
     proof TEXT NOT NULL,
     PRIMARY KEY (machine, kind)
   ) STRICT, WITHOUT ROWID;`,
  // The TPM's clock was kept beside its counters, and decided nothing.
  `ALTER TABLE machine RENAME COLUMN clock TO tpm_start;
   UPDATE machine SET tpm_start = json_remove(tpm_start, '$.clock') WHERE tpm_start IS NOT NULL;
   UPDATE boot SET release = json_set(json_remove(release, '$.clock'),
     '$.tpmStart', json_remove(json_extract(release, '$.clock'), '$.clock')) WHERE release IS NOT NULL;`,
  WATCH_TABLES,
  `CREATE TABLE reference (
     id TEXT PRIMARY KEY,
     image TEXT NOT NULL,
     state TEXT NOT NULL CHECK (state IN ('proposed', 'accepted', 'retired')),
     how TEXT NOT NULL CHECK (how IN ('first-use', 'same-artefacts', 'command', 'not-yet')),
     reference TEXT NOT NULL,
     seq INTEGER NOT NULL,
     at TEXT NOT NULL
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE reference_signer (key TEXT PRIMARY KEY, at TEXT NOT NULL) STRICT, WITHOUT ROWID;
   CREATE TABLE policy (seq INTEGER PRIMARY KEY AUTOINCREMENT, policy TEXT NOT NULL, at TEXT NOT NULL) STRICT;
   CREATE TABLE evidence (
     seq INTEGER PRIMARY KEY AUTOINCREMENT,
     machine TEXT NOT NULL REFERENCES machine (id) ON DELETE CASCADE,
     boot TEXT NOT NULL,
     outcome TEXT NOT NULL CHECK (outcome IN ('accepted', 'refused')),
     proof TEXT NOT NULL
   ) STRICT;
   CREATE INDEX evidence_of_machine ON evidence (machine, seq);
   ALTER TABLE machine ADD COLUMN released_at TEXT;
   ALTER TABLE machine ADD COLUMN ak_name BLOB;`,
  HOST_TABLE,
  WATCH_LOG_TABLES,
  WATCH_NOTED_COLUMN,
  KEY_TABLES,
  VMM_KEY_TABLE,
  ERASURE_TABLE,
  ROOT_KEY_TABLE,
  ERASURE_SUBJECT,
  SNAPSHOT_TABLES,
  TRANSFER_TABLES,
  SNAPSHOT_PARENT,
  APPROVAL_TABLES,
  CLONE_COLUMNS,
  ARRIVAL_DIGEST,
];

export function migrate(db: DatabaseSync, path: string): void {
  const version = Number(db.prepare('PRAGMA user_version').get()?.['user_version'] ?? 0);
  if (version > MIGRATIONS.length) {
    throw new RingwallError('conflict', `${path} is of version ${String(version)}, newer than this broker`, {
      hint: 'run the newer ringwall, or restore the backup from before it',
    });
  }
  db.exec('BEGIN IMMEDIATE');
  for (const step of MIGRATIONS.slice(version)) db.exec(step);
  db.exec(`PRAGMA user_version = ${String(MIGRATIONS.length)}`);
  db.exec('COMMIT');
}
