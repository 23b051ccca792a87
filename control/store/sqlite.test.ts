// The database under the store, where its disk is full: SQLite's own limit of pages stands in for the disk's.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Kysely, sql } from 'kysely';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openSqliteDialect } from './sqlite.ts';

interface Tables {
  readonly notes: { readonly text: string };
}

let directory: string;
let database: Kysely<Tables>;
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'ringwall-sqlite-'));
  database = new Kysely<Tables>({ dialect: openSqliteDialect(join(directory, 'notes.db')) });
  await sql`CREATE TABLE notes (text TEXT NOT NULL) STRICT`.execute(database);
});
afterEach(async () => {
  await database.destroy();
  rmSync(directory, { recursive: true });
});

describe('openSqliteDialect()', () => {
  const insert = (text: string): Promise<unknown> =>
    database.transaction().execute((trx) => trx.insertInto('notes').values({ text }).execute());

  test('a full disk in the middle of a transaction is told as a full disk, and the next one works', async () => {
    await sql`PRAGMA max_page_count = 4`.execute(database);
    await expect(insert('x'.repeat(100_000))).rejects.toMatchObject({ code: 'host-full' });
    await insert('short');
    expect(await database.selectFrom('notes').selectAll().execute()).toEqual([{ text: 'short' }]);
  });

  test('an error that leaves the transaction open is rolled back', async () => {
    const failing = database.transaction().execute(async (trx) => {
      await trx.insertInto('notes').values({ text: 'half' }).execute();
      throw new Error('no');
    });
    await expect(failing).rejects.toThrow('no');
    expect(await database.selectFrom('notes').selectAll().execute()).toEqual([]);
  });
});
