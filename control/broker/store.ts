// The broker's own store: machines and their wrapped keys, what each boot must measure, verdicts and proofs. One SQLite
// file (https://www.sqlite.org/wal.html), opened by one process alone; a change is committed as a whole before anything
// that rests on it leaves the broker, so kill -9 at any moment leaves the old or the new.
import { closeSync, openSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { MACHINE_ID, type BootId, type DiskId, type MachineId, type SnapshotId } from '@ringwall/api';
import { fromHex, toHex } from '@ringwall/bytes';
import type { ReleaseMode } from '@ringwall/evidence';
import { WatchStore } from './watch-store.ts';
import { EvidenceHistory } from './history.ts';
import { HostStore } from './host-store.ts';
import { ReferenceStore } from './reference-store.ts';
import { KeyStore } from './key-store.ts';
import { SnapshotStore } from './snapshot-store.ts';
import { VmmKeyStore } from './vmm-key-store.ts';
import { asObject, blob, damaged, explained, textOf, texts, type Row } from './rows.ts';
import { migrate } from './schema.ts';
import { asTpmStart, type TpmStart } from './tpm-start.ts';

const RELEASE_MODES: readonly ReleaseMode[] = (['open', 'format', 'rotate'] as const).flatMap(
  (mode) => [mode, `${mode}-authenticated`] as const,
);

/** Boots of a machine whose verdict is kept. A daemon asks for the newest. */
const BOOTS_KEPT = 8;

/** Whether the disk was ever unlocked: until then a guest may format a blank one. */
export type DiskState = 'format' | 'open';

/** What its sectors are protected by: a cipher, or a cipher and a tag for each. */
export type DiskKind = 'encrypted' | 'authenticated';

export interface MachineRecord {
  readonly id: MachineId;
  readonly name: string;
  readonly ekCertificate: Uint8Array;
  readonly vtpmCa: readonly Uint8Array[];
  readonly keyVersion: number;
  readonly wrappedKey: Uint8Array;
  /** The wrapped key of the next version, until a guest says that it has taken the place of this one. */
  readonly nextKey: Uint8Array | undefined;
  readonly disk: DiskState;
  readonly diskKind: DiskKind;
  /** The boot that may attest; earlier ones may not. */
  readonly currentBoot: BootId | undefined;
  readonly unlockedAt: TpmStart | undefined;
  /** The Name of the attestation key that its TPM has shown to be its own; bound for good with the first unlocking. */
  readonly akName: Uint8Array | undefined;
  /** Its last start that evidence signed by that key has shown, whatever came of it. */
  readonly seenAt: TpmStart | undefined;
}

/** A release that was sent, as far as the guest's report of it is judged by it. No part of a key is in it. */
export interface SentRelease {
  /** What the guest must answer to show that its TPM opened the credential. */
  readonly activation: Uint8Array;
  readonly mode: ReleaseMode;
  readonly tpmStart: TpmStart;
}

export type BootState = 'pending' | 'accepted' | 'unlocked' | 'refused' | 'failed';

export interface BootRecord {
  readonly boot: BootId;
  /** JSON of a SignedReference, as the host proposed it. */
  readonly reference: string;
  readonly state: BootState;
  readonly reasons: readonly string[];
  readonly proven: readonly string[];
  readonly at: string | undefined;
  /** Kept in the store, so that a broker that was restarted still understands the guest's report. */
  readonly release: SentRelease | undefined;
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
  readonly #db: DatabaseSync;

  private constructor(db: DatabaseSync, path: string) {
    this.#db = db;
    this.watches = new WatchStore(db);
    this.references = new ReferenceStore(db, (change) => this.#transact(change));
    this.hosts = new HostStore(db);
    this.history = new EvidenceHistory(db);
    this.vmmKeys = new VmmKeyStore(db);
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

  addMachine(
    machine: Omit<MachineRecord, 'currentBoot' | 'unlockedAt' | 'akName' | 'seenAt' | 'nextKey'>,
    at: Date,
  ): void {
    this.#transact(() => {
      this.#db
        .prepare(
          `INSERT INTO machine (id, name, ek_certificate, vtpm_ca, key_version, wrapped_key, disk, disk_kind,
             registered_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
        )
        .run(
          machine.id,
          machine.name,
          machine.ekCertificate,
          JSON.stringify(machine.vtpmCa.map((der) => Buffer.from(der).toString('base64'))),
          machine.keyVersion,
          machine.wrappedKey,
          machine.disk,
          machine.diskKind,
          at.toISOString(),
        );
    });
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
      return machines.length + this.vmmKeys.rewrap(vmm) + this.snapshots.rewrap(snapshot);
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

function asMachineId(text: string): MachineId {
  if (!isMachineId(text)) throw damaged('machine.id');
  return text;
}

function isMachineId(text: string): text is MachineId {
  return MACHINE_ID.test(text);
}

function asMachine(id: MachineId, row: Row): MachineRecord {
  const disk = textOf(row, 'disk');
  const currentBoot = row['current_boot'];
  const tpmStart = row['tpm_start'];
  const akName = row['ak_name'];
  const seenAt = row['released_at'];
  return {
    id,
    name: textOf(row, 'name'),
    ekCertificate: blob(row, 'ek_certificate'),
    vtpmCa: texts(row, 'vtpm_ca').map((base64) => new Uint8Array(Buffer.from(base64, 'base64'))),
    keyVersion: Number(row['key_version']),
    wrappedKey: blob(row, 'wrapped_key'),
    nextKey: row['next_key'] === null ? undefined : blob(row, 'next_key'),
    diskKind: textOf(row, 'disk_kind') === 'authenticated' ? 'authenticated' : 'encrypted',
    disk: disk === 'open' ? 'open' : 'format',
    currentBoot: typeof currentBoot === 'string' ? currentBoot : undefined,
    unlockedAt: typeof tpmStart === 'string' ? asTpmStart(parseJson(tpmStart), 'machine.tpm_start') : undefined,
    akName: akName instanceof Uint8Array ? akName : undefined,
    seenAt: typeof seenAt === 'string' ? asTpmStart(parseJson(seenAt), 'machine.released_at') : undefined,
  };
}

function asBoot(row: Row): BootRecord {
  const at = row['at'];
  const release = row['release'];
  return {
    boot: textOf(row, 'boot'),
    reference: textOf(row, 'reference'),
    state: asBootState(textOf(row, 'state')),
    reasons: texts(row, 'reasons'),
    proven: texts(row, 'proven'),
    at: typeof at === 'string' ? at : undefined,
    release: typeof release === 'string' ? asRelease(release) : undefined,
  };
}

function asBootState(value: string): BootState {
  const state = (['pending', 'accepted', 'unlocked', 'refused', 'failed'] as const).find((known) => known === value);
  if (state === undefined) throw damaged('boot.state');
  return state;
}

function releaseText({ activation, mode, tpmStart }: SentRelease): string {
  return JSON.stringify({ activation: toHex(activation), mode, tpmStart });
}

function asRelease(json: string): SentRelease {
  const { activation, mode, tpmStart } = asObject(parseJson(json), 'boot.release');
  if (typeof activation !== 'string') throw damaged('boot.release');
  const known = RELEASE_MODES.find((each) => each === mode);
  if (known === undefined) throw damaged('boot.release');
  return { activation: fromHex(activation), mode: known, tpmStart: asTpmStart(tpmStart, 'boot.release') };
}

function parseJson(json: string): unknown {
  return JSON.parse(json);
}
