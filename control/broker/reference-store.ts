// Reference values and policies as the broker keeps them: what was proposed, what is accepted, what was accepted before.
import type { DatabaseSync } from 'node:sqlite';
import { encodeReference, policyJson, type Policy, type SignedReference } from '@ringwall/evidence';
import { damaged, textOf, type Row } from './rows.ts';
import { storedPolicy, storedReference } from './stored-texts.ts';

/** Of one image: its versions, each for the few sizes that its machines have. The oldest that is not accepted goes first. */
export const REFERENCES_KEPT = 64;
/** Policies that were in force before. */
const POLICIES_KEPT = 32;

export const REFERENCE_STATES = ['proposed', 'accepted', 'retired'] as const;
export type ReferenceState = (typeof REFERENCE_STATES)[number];

/** Why a reference is accepted: the first of its image, the same artefacts for another size of machine, or a person. */
export const ACCEPTED_BY = ['first-use', 'same-artefacts', 'command', 'not-yet'] as const;
export type AcceptedBy = (typeof ACCEPTED_BY)[number];

export interface KeptReference {
  readonly state: ReferenceState;
  readonly how: AcceptedBy;
  readonly at: string;
  readonly reference: SignedReference;
}

export class ReferenceStore {
  readonly #db: DatabaseSync;
  readonly #transact: <T>(change: () => T) => T;

  constructor(db: DatabaseSync, transact: <T>(change: () => T) => T) {
    this.#db = db;
    this.#transact = transact;
  }

  find(id: string): KeptReference | undefined {
    const row = this.#db.prepare('SELECT * FROM reference WHERE id = ?').get(id);
    return row === undefined ? undefined : asKept(row);
  }

  /** The newest first; of one image where it is named. */
  list(image?: string): readonly KeptReference[] {
    const rows =
      image === undefined
        ? this.#db.prepare('SELECT * FROM reference ORDER BY seq DESC').all()
        : this.#db.prepare('SELECT * FROM reference WHERE image = ? ORDER BY seq DESC').all(image);
    return rows.map((row) => asKept(row));
  }

  keep(reference: SignedReference, state: ReferenceState, how: AcceptedBy, at: Date): void {
    this.#transact(() => {
      this.#put(reference, state, how, at);
      this.#prune(reference.for.image.name);
    });
  }

  /** Those of `accepted` count from now on, and those of `retired` no longer, in one commit. */
  accept(accepted: readonly SignedReference[], retired: readonly SignedReference[], at: Date): void {
    this.#transact(() => {
      for (const reference of retired) this.#put(reference, 'retired', 'command', at);
      for (const reference of accepted) this.#put(reference, 'accepted', 'command', at);
      for (const image of new Set(accepted.map((reference) => reference.for.image.name))) this.#prune(image);
    });
  }

  signers(): readonly string[] {
    return this.#db
      .prepare('SELECT key FROM reference_signer ORDER BY at')
      .all()
      .map((row) => textOf(row, 'key'));
  }

  trust(key: string, at: Date): void {
    this.#db.prepare('INSERT OR IGNORE INTO reference_signer (key, at) VALUES (?, ?)').run(key, at.toISOString());
  }

  /** The policy in force; undefined where none was ever accepted. */
  policy(): Policy | undefined {
    const row = this.#db.prepare('SELECT policy FROM policy ORDER BY seq DESC LIMIT 1').get();
    return row === undefined ? undefined : storedPolicy(textOf(row, 'policy'));
  }

  setPolicy(policy: Policy, at: Date): void {
    this.#transact(() => {
      this.#db
        .prepare('INSERT INTO policy (policy, at) VALUES (?, ?)')
        .run(JSON.stringify(policyJson(policy)), at.toISOString());
      this.#db
        .prepare('DELETE FROM policy WHERE seq NOT IN (SELECT seq FROM policy ORDER BY seq DESC LIMIT ?)')
        .run(POLICIES_KEPT);
    });
  }

  #put(reference: SignedReference, state: ReferenceState, how: AcceptedBy, at: Date): void {
    this.#db
      .prepare(
        `INSERT INTO reference (id, image, state, how, reference, seq, at)
         VALUES (?1, ?2, ?3, ?4, ?5, (SELECT coalesce(max(seq), 0) + 1 FROM reference), ?6)
         ON CONFLICT (id) DO UPDATE SET state = ?3, how = ?4, reference = ?5, seq = excluded.seq, at = ?6`,
      )
      .run(reference.id, reference.for.image.name, state, how, encodeReference(reference), at.toISOString());
  }

  #prune(image: string): void {
    this.#db
      .prepare(
        `DELETE FROM reference WHERE image = ?1 AND id NOT IN
           (SELECT id FROM reference WHERE image = ?1 ORDER BY (state = 'accepted') DESC, seq DESC LIMIT ?2)`,
      )
      .run(image, REFERENCES_KEPT);
  }
}

function asKept(row: Row): KeptReference {
  const state = REFERENCE_STATES.find((known) => known === row['state']);
  const how = ACCEPTED_BY.find((known) => known === row['how']);
  if (state === undefined || how === undefined) throw damaged('reference.state');
  return { state, how, at: textOf(row, 'at'), reference: storedReference(textOf(row, 'reference')) };
}
