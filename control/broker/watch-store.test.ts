import { DatabaseSync } from 'node:sqlite';
import { newBootId, newMachineId } from '@ringwall/api';
import { expect, test } from 'vitest';
import { WATCH_LOG_TABLES, WATCH_NOTED_COLUMN, WATCH_TABLES, WatchStore, type WatchRow } from './watch-store.ts';

/** https://www.sqlite.org/pragma.html#pragma_synchronous */
const FULL = { synchronous: 2 };

const row: WatchRow = {
  ...{ machine: newMachineId(), boot: newBootId(), mode: 'enforce', intervalMs: 5000, files: '', state: 'expected' },
  ...{ reasons: [], record: '{}', provenAt: undefined, seenAt: new Date(0), readmittedAt: undefined },
  ...{ readmittedStrays: 0, image: undefined, answered: undefined, notedClock: 12_345n },
};

test('saveSoon() writes, and leaves every other commit waiting for the disk, also where it failed', () => {
  using db = new DatabaseSync(':memory:');
  db.exec('PRAGMA synchronous = FULL; CREATE TABLE machine (id TEXT PRIMARY KEY)');
  for (const tables of [WATCH_TABLES, WATCH_LOG_TABLES, WATCH_NOTED_COLUMN]) db.exec(tables);
  db.prepare('INSERT INTO machine (id) VALUES (?)').run(row.machine);
  const store = new WatchStore(db);
  store.saveSoon({ watches: [row] });
  expect(store.find(row.machine)).toMatchObject({ boot: row.boot, seenAt: row.seenAt, notedClock: 12_345n });
  expect(db.prepare('PRAGMA synchronous').get()).toEqual(FULL);
  db.exec('DROP TABLE watch');
  expect(() => store.saveSoon({ watches: [row] })).toThrow('watch');
  expect(db.prepare('PRAGMA synchronous').get()).toEqual(FULL);
});
