// The tables of the file of advisories. Names stand once; summaries lie in compressed blocks; ranges, most of which are "until
// this version", are that version. The file has no history: an update that was broken off leaves the one before it.
import type { DatabaseSync } from 'node:sqlite';

/** `PRAGMA user_version`. A file of another number is made anew: it holds nothing that no feed has. */
export const SCHEMA_VERSION = 2;
/** `PRAGMA application_id`: "RWad". */
export const APPLICATION_ID = 0x52576164;

export function createTables(database: DatabaseSync): void {
  database.exec(`
    PRAGMA application_id = ${APPLICATION_ID};
    PRAGMA user_version = ${SCHEMA_VERSION};
    CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE feeds (
      id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, kind INTEGER NOT NULL, dated TEXT NOT NULL, updated TEXT NOT NULL,
      ecosystems TEXT NOT NULL, serial INTEGER NOT NULL
    );
    CREATE TABLE ecosystems (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
    CREATE TABLE packages (id INTEGER PRIMARY KEY, ecosystem INTEGER NOT NULL, name TEXT NOT NULL, UNIQUE (ecosystem, name));
    CREATE TABLE advisories (
      id INTEGER PRIMARY KEY, feed INTEGER NOT NULL, name TEXT NOT NULL, vulnerabilities TEXT NOT NULL, severity INTEGER,
      text INTEGER NOT NULL, hash BLOB NOT NULL, serial INTEGER NOT NULL, UNIQUE (feed, name)
    );
    CREATE INDEX advisories_of_text ON advisories (text) WHERE text <> 0;
    CREATE TABLE affected (
      package INTEGER NOT NULL, advisory INTEGER NOT NULL, number INTEGER NOT NULL, status INTEGER NOT NULL,
      ranges TEXT NOT NULL, module TEXT NOT NULL, PRIMARY KEY (package, advisory, number)
    ) WITHOUT ROWID;
    CREATE INDEX affected_of_advisory ON affected (advisory);
    CREATE TABLE texts (block INTEGER PRIMARY KEY, data BLOB NOT NULL);
    CREATE TABLE priorities (
      vulnerability INTEGER PRIMARY KEY, epss INTEGER, exploited TEXT NOT NULL DEFAULT '', serial INTEGER NOT NULL
    );
    CREATE TABLE deleted (feed TEXT NOT NULL, name TEXT NOT NULL, serial INTEGER NOT NULL, PRIMARY KEY (feed, name)) WITHOUT ROWID;
  `);
}
