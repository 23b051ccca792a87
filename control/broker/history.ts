// Evidence that was judged, as proof bundles: what a change of policy or reference values is tried on, and what a boot that
// differs is compared with. It belongs to the transaction in which the verdict is written.
import type { DatabaseSync } from 'node:sqlite';
import type { BootId, MachineId } from '@ringwall/api';
import { textOf, type Row } from './rows.ts';

/** Boots of a machine: enough to see a change and what came before it. */
export const EVIDENCE_KEPT = 16;
/** A bundle has some 30 KiB; a log of a large platform may have ten times that. With 10,000 machines, 5 GiB at most. */
export const EVIDENCE_KEPT_BYTES: number = 512 * 1024;

export interface KeptEvidence {
  readonly machine: string;
  readonly boot: string;
  readonly outcome: 'accepted' | 'refused';
  /** A proof bundle. */
  readonly proof: string;
}

export class EvidenceHistory {
  readonly #db: DatabaseSync;

  constructor(db: DatabaseSync) {
    this.#db = db;
  }

  /** The bundle of an accepted boot is replaced by the one that says that its credential was opened. */
  keep(machine: MachineId, boot: BootId, { outcome, proof }: Pick<KeptEvidence, 'outcome' | 'proof'>): void {
    if (outcome === 'accepted') {
      this.#db
        .prepare(`DELETE FROM evidence WHERE machine = ? AND boot = ? AND outcome = 'accepted'`)
        .run(machine, boot);
    }
    this.#db
      .prepare('INSERT INTO evidence (machine, boot, outcome, proof) VALUES (?, ?, ?, ?)')
      .run(machine, boot, outcome, proof);
    this.#prune(machine);
  }

  /** The newest first. */
  read(machine: MachineId): readonly KeptEvidence[] {
    const rows = this.#db.prepare('SELECT * FROM evidence WHERE machine = ? ORDER BY seq DESC').all(machine);
    return rows.map((row) => asEvidence(row));
  }

  /** The last good boot stays, however many bad ones came after it: they are explained by it. */
  #prune(machine: MachineId): void {
    const rows = this.#db
      .prepare('SELECT seq, outcome, length(proof) AS bytes FROM evidence WHERE machine = ? ORDER BY seq DESC')
      .all(machine);
    const lastGood = rows.find(({ outcome }) => outcome === 'accepted')?.['seq'];
    let bytes = 0;
    for (const [place, row] of rows.entries()) {
      bytes += Number(row['bytes']);
      const fits = place === 0 || (place < EVIDENCE_KEPT && bytes <= EVIDENCE_KEPT_BYTES);
      if (!fits && row['seq'] !== lastGood)
        this.#db.prepare('DELETE FROM evidence WHERE seq = ?').run(row['seq'] ?? null);
    }
  }
}

function asEvidence(row: Row): KeptEvidence {
  const outcome = textOf(row, 'outcome') === 'accepted' ? 'accepted' : 'refused';
  return { machine: textOf(row, 'machine'), boot: textOf(row, 'boot'), outcome, proof: textOf(row, 'proof') };
}
