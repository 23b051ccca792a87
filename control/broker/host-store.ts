// Hosts as the broker keeps them: what somebody has accepted that each is, and how far its TPM's counters have come. Their
// evidence itself lives as long as this process; what a machine was judged with lies in its proof.
import type { DatabaseSync } from 'node:sqlite';
import { encodeHostReference, type HostClock, type HostReference } from '@ringwall/evidence';
import { asObject, damaged, textOf } from './rows.ts';
import { storedHostReference } from './stored-texts.ts';

/** A migration of the store. */
export const HOST_TABLE = `CREATE TABLE host (
     id TEXT PRIMARY KEY,
     reference TEXT NOT NULL,
     clock TEXT,
     at TEXT NOT NULL
   ) STRICT, WITHOUT ROWID;`;

export class HostStore {
  readonly #db: DatabaseSync;

  constructor(db: DatabaseSync) {
    this.#db = db;
  }

  reference(host: string): HostReference | undefined {
    const row = this.#db.prepare('SELECT reference FROM host WHERE id = ?').get(host);
    return row === undefined ? undefined : storedHostReference(textOf(row, 'reference'));
  }

  /** The counters of the TPM stay only where the key is the same: another TPM counts from its own beginning. */
  accept(reference: HostReference, at: Date): void {
    const before = this.reference(reference.host);
    const clock = before?.tpm.akName === reference.tpm.akName ? this.clock(reference.host) : undefined;
    this.#db
      .prepare(
        `INSERT INTO host (id, reference, clock, at) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (id) DO UPDATE SET reference = ?2, clock = ?3, at = ?4`,
      )
      .run(
        reference.host,
        encodeHostReference(reference),
        clock === undefined ? null : clockText(clock),
        at.toISOString(),
      );
  }

  clock(host: string): HostClock | undefined {
    const row = this.#db.prepare('SELECT clock FROM host WHERE id = ?').get(host);
    const text = row?.['clock'];
    return typeof text === 'string' ? asClock(text) : undefined;
  }

  /** Only forward: of two answers that are judged at once, either may end first. */
  setClock(host: string, clock: HostClock): void {
    const before = this.clock(host);
    if (before !== undefined && isBehind(clock, before)) return;
    this.#db.prepare('UPDATE host SET clock = ? WHERE id = ?').run(clockText(clock), host);
  }
}

/** Part 1 section 36: restartCount and clock count within one resetCount. */
function isBehind(one: HostClock, other: HostClock): boolean {
  if (one.resetCount !== other.resetCount) return one.resetCount < other.resetCount;
  if (one.restartCount !== other.restartCount) return one.restartCount < other.restartCount;
  return one.clock < other.clock;
}

function clockText({ resetCount, restartCount, clock }: HostClock): string {
  return JSON.stringify({ resetCount, restartCount, clock: clock.toString() });
}

function asClock(json: string): HostClock {
  const { resetCount, restartCount, clock } = asObject(JSON.parse(json), 'host.clock');
  if (typeof resetCount !== 'number' || typeof restartCount !== 'number') throw damaged('host.clock');
  if (typeof clock !== 'string' || !/^\d{1,20}$/.test(clock)) throw damaged('host.clock');
  return { resetCount, restartCount, clock: BigInt(clock) };
}
