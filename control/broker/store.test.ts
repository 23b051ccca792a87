// A store that an earlier broker wrote is opened as it was meant.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { newBootId, newMachineId } from '@ringwall/api';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { BrokerStore } from './store.ts';

/** As of version 1, which kept the TPM's clock. */
const VERSION_1 = `
  CREATE TABLE machine (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, ek_certificate BLOB NOT NULL, vtpm_ca TEXT NOT NULL,
    key_version INTEGER NOT NULL, wrapped_key BLOB NOT NULL, disk TEXT NOT NULL CHECK (disk IN ('format', 'open')),
    current_boot TEXT, clock TEXT, registered_at TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE boot (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, machine TEXT NOT NULL REFERENCES machine (id) ON DELETE CASCADE,
    boot TEXT NOT NULL, reference TEXT NOT NULL, state TEXT NOT NULL, reasons TEXT NOT NULL, proven TEXT NOT NULL,
    at TEXT, release TEXT, UNIQUE (machine, boot)
  ) STRICT;
  CREATE TABLE proof (
    machine TEXT NOT NULL REFERENCES machine (id) ON DELETE CASCADE, kind TEXT NOT NULL, boot TEXT NOT NULL,
    proof TEXT NOT NULL, PRIMARY KEY (machine, kind)
  ) STRICT, WITHOUT ROWID;
  PRAGMA user_version = 1`;

let directory: string;
let path: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'broker-store-'));
  path = join(directory, 'broker.db');
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

describe('BrokerStore', () => {
  test('opens a store of version 1, and forgets the clock in it', () => {
    const [used, fresh, boot, pending] = [newMachineId(), newMachineId(), newBootId(), newBootId()];
    const clock = JSON.stringify({ boot, resetCount: 7, restartCount: 2, clock: '50000' });
    {
      using db = new DatabaseSync(path);
      db.exec(VERSION_1);
      const machine = db.prepare(
        `INSERT INTO machine VALUES (?, 'web', x'01', '["AQ=="]', 1, x'02', 'open', ?, ?, 'x')`,
      );
      machine.run(used, boot, clock);
      machine.run(fresh, null, null);
      const release = JSON.stringify({ activation: 'ab'.repeat(32), mode: 'open', clock });
      const add = db.prepare(
        `INSERT INTO boot (machine, boot, reference, state, reasons, proven, release)
         VALUES (?, ?, '{}', 'accepted', '[]', '[]', ?)`,
      );
      add.run(used, boot, release);
      add.run(used, pending, null);
    }
    const start = { boot, resetCount: 7, restartCount: 2 };
    for (const _opening of ['first', 'second']) {
      using store = BrokerStore.open(path);
      expect(store.readMachine(used)).toMatchObject({ name: 'web', disk: 'open', unlockedAt: start });
      expect(store.readMachine(fresh)?.unlockedAt).toBeUndefined();
      expect(store.readBoot(used, boot)?.release).toEqual({
        activation: new Uint8Array(32).fill(0xab),
        mode: 'open',
        tpmStart: start,
      });
      expect(store.readBoot(used, pending)?.release).toBeUndefined();
    }
    using db = new DatabaseSync(path);
    expect(JSON.stringify(db.prepare('SELECT tpm_start FROM machine').all())).not.toContain('50000');
    expect(JSON.stringify(db.prepare('SELECT release FROM boot').all())).not.toContain('50000');
  });

  test('does not open a store of a newer broker', () => {
    {
      using db = new DatabaseSync(path);
      db.exec('PRAGMA user_version = 99');
    }
    expect(() => BrokerStore.open(path)).toThrow(/newer than this broker/);
  });
});
