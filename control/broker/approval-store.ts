// People whose word the broker asks for, and what they were asked, as the broker keeps it.
import type { DatabaseSync } from 'node:sqlite';
import { approvalIdSchema, type ApprovalId, type Person } from '@ringwall/api/approvals';
import { machineIdSchema, type MachineId } from '@ringwall/api';
import { asObject, texts, textOf, type Row } from './rows.ts';

/** A migration of the store. */
export const APPROVAL_TABLES = `
  ALTER TABLE machine ADD COLUMN needs_approval INTEGER NOT NULL DEFAULT 0;
  CREATE TABLE person (name TEXT PRIMARY KEY, key TEXT NOT NULL UNIQUE, at TEXT NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE approval (
    id TEXT PRIMARY KEY,
    content TEXT NOT NULL,
    statement TEXT NOT NULL,
    signers TEXT NOT NULL,
    used INTEGER NOT NULL DEFAULT 0,
    expires_at TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;`;

export interface KeptApproval {
  readonly id: ApprovalId;
  /** What is to be done, as JSON of one form: the same thing asked twice is one request. */
  readonly content: string;
  readonly statement: string;
  /** Keys, the first of who asks. */
  readonly signers: readonly string[];
  readonly used: boolean;
  readonly expiresAt: string;
}

export class ApprovalStore {
  readonly #db: DatabaseSync;

  constructor(db: DatabaseSync) {
    this.#db = db;
  }

  people(): Person[] {
    const rows = this.#db.prepare('SELECT * FROM person ORDER BY name').all();
    return rows.map((row) => ({ name: textOf(row, 'name'), key: textOf(row, 'key'), at: textOf(row, 'at') }));
  }

  setPerson(name: string, key: string | null, at: Date): void {
    if (key === null) this.#db.prepare('DELETE FROM person WHERE name = ?').run(name);
    else this.#db.prepare('INSERT INTO person (name, key, at) VALUES (?, ?, ?)').run(name, key, at.toISOString());
  }

  /** Whose exports need the word of two people. */
  machines(): MachineId[] {
    const rows = this.#db.prepare('SELECT id FROM machine WHERE needs_approval = 1 ORDER BY id').all();
    return rows.map((row) => machineIdSchema.parse(row['id']));
  }

  require(machine: MachineId, required: boolean): void {
    this.#db.prepare('UPDATE machine SET needs_approval = ? WHERE id = ?').run(required ? 1 : 0, machine);
  }

  find(id: ApprovalId): KeptApproval | undefined {
    const row = this.#db.prepare('SELECT * FROM approval WHERE id = ?').get(id);
    return row === undefined ? undefined : asApproval(row);
  }

  /** Not used, and not too old. */
  open(now: Date): KeptApproval[] {
    const rows = this.#db.prepare('SELECT * FROM approval WHERE used = 0 AND expires_at > ?').all(now.toISOString());
    return rows.map(asApproval);
  }

  /** Those that are too old go then. */
  add({ id, content, statement, expiresAt }: Omit<KeptApproval, 'signers' | 'used'>, now: Date): void {
    this.#db.prepare('DELETE FROM approval WHERE expires_at <= ?').run(now.toISOString());
    this.#db
      .prepare(`INSERT INTO approval (id, content, statement, signers, expires_at) VALUES (?, ?, ?, '[]', ?)`)
      .run(id, content, statement, expiresAt);
  }

  sign(id: ApprovalId, signers: readonly string[]): void {
    this.#db.prepare('UPDATE approval SET signers = ? WHERE id = ?').run(JSON.stringify(signers), id);
  }

  use(id: ApprovalId): void {
    this.#db.prepare('UPDATE approval SET used = 1 WHERE id = ?').run(id);
  }
}

/** As the store has it. */
export function contentOf({ content }: KeptApproval): Readonly<Record<string, unknown>> {
  return asObject(JSON.parse(content), 'approval.content');
}

function asApproval(row: Row): KeptApproval {
  return {
    id: approvalIdSchema.parse(row['id']),
    content: textOf(row, 'content'),
    statement: textOf(row, 'statement'),
    signers: texts(row, 'signers'),
    used: row['used'] === 1,
    expiresAt: textOf(row, 'expires_at'),
  };
}
