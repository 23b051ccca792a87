// The broker's own store: machines and their wrapped keys, what each boot must measure, verdicts and proofs. One SQLite
// file (https://www.sqlite.org/wal.html), opened by one process alone; a change is committed as a whole before anything
// that rests on it leaves the broker, so kill -9 at any moment leaves the old or the new.
import { closeSync, openSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import type { BootId, Clones, DiskId, MachineId, SnapshotId } from '@ringwall/api';
import { ApprovalStore } from './approval-store.ts';
import { WatchStore } from './watch-store.ts';
import { EvidenceHistory } from './history.ts';
import { HostStore } from './host-store.ts';
import { ReferenceStore } from './reference-store.ts';
import { KeyStore } from './key-store.ts';
import {
  asBoot,
  asMachine,
  asMachineId,
  releaseText,
  type BootRecord,
  type BootState,
  type MachineRecord,
  type SentRelease,
} from './machine-records.ts';
import { SnapshotStore, type ArrivedSnapshot } from './snapshot-store.ts';
import { TransferStore } from './transfer-store.ts';
import { type KeptKey, VmmKeyStore } from './vmm-key-store.ts';
import { explained, textOf } from './rows.ts';
import { migrate } from './schema.ts';
import type { TpmStart } from './tpm-start.ts';

/** Boots of a machine whose verdict is kept. A daemon asks for the newest. */
const BOOTS_KEPT = 8;

type NewMachine = Omit<
  MachineRecord,
  'currentBoot' | 'unlockedAt' | 'akName' | 'seenAt' | 'nextKey' | 'clones' | 'clonedFrom'
> & { readonly clones?: Clones };

/** By a ticket that was begun with; what the record of its TPM was is with the snapshot. */
export interface Arriving {
  /** Under which each of its objects was begun. */
  readonly tickets: readonly string[];
  readonly machine: NewMachine;
  readonly akName: Uint8Array | undefined;
  /** Of its imported disks, those that are not known yet. */
  readonly vmmKeys: readonly (KeptKey & { readonly disk: DiskId })[];
  /** All that it continues, then the one that has come. */
  readonly snapshots: readonly ArrivedSnapshot[];
  readonly at: Date;
}

/** `confirmed`: the guest showed that it opened the release. `unconfirmed`: it was sent one. */
export type ProofKind = 'confirmed' | 'unconfirmed' | 'refused';

export interface Outcome {
  readonly state: BootState;
  readonly reasons: readonly string[];
  readonly proven: readonly string[];
  readonly at: Date;
  readonly proof?: { readonly kind: ProofKind; readonly text: string };
  /** Recorded with `accepted`: before the release leaves. */
  readonly release?: SentRelease;
  /** Recorded with `unlocked`, in the same commit. */
  readonly unlockedAt?: TpmStart;
  readonly akName?: Uint8Array;
  /** The id of the key whose place the next one has taken. */
  readonly endedKey?: string;
}

export class BrokerStore implements Disposable {
  readonly watches: WatchStore;
  readonly references: ReferenceStore;
  readonly hosts: HostStore;
  readonly history: EvidenceHistory;
  readonly keys: KeyStore;
  readonly vmmKeys: VmmKeyStore;
  readonly snapshots: SnapshotStore;
  readonly transfers: TransferStore;
  readonly approvals: ApprovalStore;
  readonly #db: DatabaseSync;

  private constructor(db: DatabaseSync, path: string) {
    this.#db = db;
    this.watches = new WatchStore(db);
    this.references = new ReferenceStore(db, (change) => this.#transact(change));
    this.hosts = new HostStore(db);
    this.history = new EvidenceHistory(db);
    this.vmmKeys = new VmmKeyStore(db);
    this.transfers = new TransferStore(db);
    this.approvals = new ApprovalStore(db);
    this.snapshots = new SnapshotStore(
      db,
      (change) => this.#transact(change),
      () => this.keys.scrubLog(),
    );
    this.keys = new KeyStore(db, path, (change) => this.#transact(change));
  }

  static open(path: string): BrokerStore {
    let db: DatabaseSync | undefined;
    try {
      // SQLite would make it readable by all that the umask lets; its journal and log take the mode of this file.
      closeSync(openSync(path, 'a', 0o600));
      db = new DatabaseSync(path, { enableForeignKeyConstraints: true, timeout: 0 });
      // Exclusive before WAL: a second broker is refused at once, and a killed one leaves no lock behind.
      db.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL');
      // A forgotten key is overwritten in the file, not only unlinked from its tree.
      db.exec('PRAGMA secure_delete = ON');
      migrate(db, path);
      return new BrokerStore(db, path);
    } catch (error) {
      db?.close();
      throw explained(error, path);
    }
  }

  [Symbol.dispose](): void {
    if (!this.#db.isOpen) return;
    this.keys.scrubLog();
    this.#db.close();
    this.keys[Symbol.dispose]();
  }

  listMachines(): readonly MachineId[] {
    const rows = this.#db.prepare('SELECT id FROM machine ORDER BY id').all();
    return rows.map((row) => asMachineId(textOf(row, 'id')));
  }

  countMachines(): number {
    return Number(this.#db.prepare('SELECT count(*) AS n FROM machine').get()?.['n'] ?? 0);
  }

  readMachine(id: MachineId): MachineRecord | undefined {
    const row = this.#db.prepare('SELECT * FROM machine WHERE id = ?').get(id);
    return row === undefined ? undefined : asMachine(id, row);
  }

  addMachine(machine: NewMachine, at: Date): void {
    this.#transact(() => this.#insertMachine(machine, at));
  }

  /** A snapshot that came from elsewhere, whole, and its machine, where that is not known here. */
  arrive({ tickets, machine, akName, vmmKeys, snapshots, at }: Arriving): void {
    const newest = snapshots.at(-1);
    if (newest === undefined) return;
    this.#transact(() => {
      if (this.readMachine(machine.id) === undefined) {
        this.#insertMachine(machine, at);
        const [unlockedAt, seenAt] = [newest.unlockedAt, newest.seenAt].map((start) => JSON.stringify(start) ?? null);
        this.#db
          .prepare('UPDATE machine SET ak_name = ?, tpm_start = ?, released_at = ? WHERE id = ?')
          .run(akName ?? null, unlockedAt ?? null, seenAt ?? null, machine.id);
      }
      for (const { disk, ...kept } of vmmKeys) this.vmmKeys.add(disk, kept, at);
      for (const snapshot of snapshots) this.snapshots.arrive(snapshot, at);
      this.transfers.welcome(machine.id, newest.id);
      for (const ticket of tickets) this.transfers.endArrival(ticket);
    });
    this.keys.scrubLog();
  }

  renameMachine(id: MachineId, name: string): void {
    this.#db.prepare('UPDATE machine SET name = ? WHERE id = ?').run(name, id);
  }

  /** The root key that everything here is wrapped under, once it was another than the first. */
  rootId(): string | undefined {
    const row = this.#db.prepare('SELECT id FROM root_key').get();
    return row === undefined ? undefined : textOf(row, 'id');
  }

  /** Every wrapped key as these make it, and the root key that it is wrapped under, in one commit. */
  rewrapKeys(
    rootId: string,
    disk: (machine: MachineId, version: number, wrapped: Uint8Array) => Uint8Array,
    vmm: (disk: DiskId, wrapped: Uint8Array) => Uint8Array,
    snapshot: (id: SnapshotId, wrapped: Uint8Array) => Uint8Array,
    recipient: (wrapped: Uint8Array) => Uint8Array,
  ): number {
    return this.#transact(() => {
      const machines = this.listMachines();
      for (const id of machines) {
        const machine = this.readMachine(id);
        if (machine === undefined) continue;
        const { keyVersion, wrappedKey, nextKey } = machine;
        const next = nextKey === undefined ? null : disk(id, keyVersion + 1, nextKey);
        this.#db
          .prepare('UPDATE machine SET wrapped_key = ?, next_key = ? WHERE id = ?')
          .run(disk(id, keyVersion, wrappedKey), next, id);
      }
      this.#db.prepare('INSERT OR REPLACE INTO root_key (only, id) VALUES (1, ?)').run(rootId);
      const snapshots = this.snapshots.rewrap(snapshot) + this.transfers.rewrap(recipient, snapshot);
      return machines.length + this.vmmKeys.rewrap(vmm) + snapshots;
    });
  }

  readBoot(machine: MachineId, boot: BootId): BootRecord | undefined {
    const row = this.#db.prepare('SELECT * FROM boot WHERE machine = ? AND boot = ?').get(machine, boot);
    return row === undefined ? undefined : asBoot(row);
  }

  /** Makes `boot` the one that may attest. */
  expectBoot(machine: MachineId, boot: BootId, reference: string): void {
    this.#transact(() => {
      this.#db
        .prepare(
          `INSERT INTO boot (machine, boot, reference, state, reasons, proven) VALUES (?, ?, ?, 'pending', '[]', '[]')`,
        )
        .run(machine, boot, reference);
      this.#db.prepare('UPDATE machine SET current_boot = ? WHERE id = ?').run(boot, machine);
      this.#db
        .prepare(
          `DELETE FROM boot WHERE machine = ?1 AND seq NOT IN
             (SELECT seq FROM boot WHERE machine = ?1 ORDER BY seq DESC LIMIT ${String(BOOTS_KEPT)})`,
        )
        .run(machine);
    });
  }

  /** From here on this is the start that the machine's TPM must not fall behind, whatever was seen of it before. */
  setTpmStart(machine: MachineId, start: TpmStart): void {
    const text = JSON.stringify(start);
    this.#db.prepare('UPDATE machine SET tpm_start = ?, released_at = ? WHERE id = ?').run(text, text, machine);
  }

  /** Evidence of this start was seen, and refused. */
  seeTpmStart(machine: MachineId, start: TpmStart): void {
    this.#db.prepare('UPDATE machine SET released_at = ? WHERE id = ?').run(JSON.stringify(start), machine);
  }

  /** Verdict, proof, disk state and TPM start in one commit. False where the machine was forgotten meanwhile. */
  recordOutcome(machine: MachineId, boot: BootId, outcome: Outcome): boolean {
    return this.#transact(() => {
      const { state, reasons, proven, at, proof, release, unlockedAt, akName, endedKey } = outcome;
      const { changes } = this.#db
        .prepare('UPDATE boot SET state = ?, reasons = ?, proven = ?, at = ? WHERE machine = ? AND boot = ?')
        .run(state, JSON.stringify(reasons), JSON.stringify(proven), at.toISOString(), machine, boot);
      if (Number(changes) === 0) return false;
      if (release !== undefined) {
        this.#db
          .prepare('UPDATE boot SET release = ? WHERE machine = ? AND boot = ?')
          .run(releaseText(release), machine, boot);
        // Counters signed by a key that nobody has shown to be in this TPM would be a stranger's word.
        this.#db
          .prepare('UPDATE machine SET released_at = ? WHERE id = ? AND ak_name IS NOT NULL')
          .run(JSON.stringify(release.tpmStart), machine);
      }
      if (proof !== undefined) this.#writeProof(machine, boot, proof.kind, proof.text);
      if (state === 'unlocked') this.#db.prepare(`UPDATE machine SET disk = 'open' WHERE id = ?`).run(machine);
      if (unlockedAt !== undefined) {
        this.#db.prepare('UPDATE machine SET tpm_start = ? WHERE id = ?').run(JSON.stringify(unlockedAt), machine);
      }
      if (akName !== undefined) {
        this.#db.prepare('UPDATE machine SET ak_name = coalesce(ak_name, ?) WHERE id = ?').run(akName, machine);
      }
      if (endedKey !== undefined) this.keys.endCurrent(machine, endedKey, at);
      return true;
    });
  }

  /** A refusal that must not change the verdict of a boot that is unlocked already: only its proof is kept. */
  recordProof(machine: MachineId, boot: BootId, kind: ProofKind, text: string): void {
    this.#transact(() => this.#writeProof(machine, boot, kind, text));
  }

  readProof(machine: MachineId, kind: ProofKind): string | undefined {
    const row = this.#db.prepare('SELECT proof FROM proof WHERE machine = ? AND kind = ?').get(machine, kind);
    return row === undefined ? undefined : textOf(row, 'proof');
  }

  #insertMachine(machine: NewMachine, at: Date): void {
    const { id, name, ekCertificate, vtpmCa, keyVersion, wrappedKey, disk, diskKind, clones = 'deny' } = machine;
    const certificates = JSON.stringify(vtpmCa.map((der) => Buffer.from(der).toString('base64')));
    this.#db
      .prepare(
        `INSERT INTO machine (id, name, ek_certificate, vtpm_ca, key_version, wrapped_key, disk, disk_kind,
           clones, registered_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      )
      .run(id, name, ekCertificate, certificates, keyVersion, wrappedKey, disk, diskKind, clones, at.toISOString());
  }

  #writeProof(machine: MachineId, boot: BootId, kind: ProofKind, proof: string): void {
    this.history.keep(machine, boot, { outcome: kind === 'refused' ? 'refused' : 'accepted', proof });
    this.#db
      .prepare(
        `INSERT INTO proof (machine, kind, boot, proof) VALUES (?, ?, ?, ?)
         ON CONFLICT (machine, kind) DO UPDATE SET boot = excluded.boot, proof = excluded.proof`,
      )
      .run(machine, kind, boot, proof);
  }

  #transact<T>(change: () => T): T {
    this.#db.exec('BEGIN IMMEDIATE');
    try {
      const result = change();
      this.#db.exec('COMMIT');
      return result;
    } catch (error) {
      // A full disk may have rolled back already.
      if (this.#db.isTransaction) this.#db.exec('ROLLBACK');
      throw explained(error, 'the store');
    }
  }
}
