// Destroys the keys of a machine or of an imported disk, and gives a signed record of it. What the record says is written in the commit that removes
// the keys, so that a broker which is killed in between can still sign it.
import { createHash } from 'node:crypto';
import { RingwallError, type DiskId, type MachineId } from '@ringwall/api';
import {
  diskKeyId,
  encodeErasure,
  MAX_ERASED_SNAPSHOTS,
  signErasure,
  type ErasedKey,
  type ErasedSnapshot,
  type Erasure,
} from '@ringwall/evidence';
import { unwrapKey, type Secret, type SigningKey } from '../keys/index.ts';
import { refuseLent, type DiskKeys } from './disk-keys.ts';
import { BORROWED_KEY_VERSION } from './key-store.ts';
import { asObject, damaged } from './rows.ts';
import type { MachineRecord } from './machine-records.ts';
import type { BrokerStore } from './store.ts';
import { vmmKeyIdentity } from './vmm-keys.ts';

/** In a wrapped key: format and version, which every one begins with. */
const WRAPPED_MAGIC_BYTES = 4;

export class Erasures {
  readonly #store: BrokerStore;
  readonly #root: Secret;
  readonly #keys: DiskKeys;
  readonly #signer: SigningKey;
  readonly #now: () => Date;

  constructor(parts: { store: BrokerStore; root: Secret; keys: DiskKeys; signer: SigningKey; now: () => Date }) {
    this.#root = parts.root;
    this.#store = parts.store;
    this.#keys = parts.keys;
    this.#signer = parts.signer;
    this.#now = parts.now;
  }

  /** Throws where a machine's keys cannot be destroyed now. */
  refuseLent(id: MachineId): void {
    const machine = this.#store.readMachine(id);
    if (machine !== undefined) refuseLent(this.#store, machine);
  }

  /** `keeps`: the imported disks that it had. */
  async erase(machine: MachineRecord, keeps: NonNullable<Erasure['keeps']>): Promise<void> {
    const { id, name } = machine;
    refuseLent(this.#store, machine);
    const at = this.#now();
    const proof = this.#store.readProof(id, 'confirmed');
    const snapshots = this.#store.snapshots.of(id);
    const told = snapshots.slice(0, MAX_ERASED_SNAPSHOTS).map(({ sequence, root }) => ({ sequence, root }));
    const erasure: Erasure = {
      subject: { kind: 'machine', id, name },
      keys: [...this.#ended(machine), ...(await this.#live(machine, at))],
      ...(keeps.length === 0 ? {} : { keeps }),
      ...(told.length === 0 ? {} : { snapshots: told }),
      ...(proof === undefined ? {} : { lastProof: createHash('sha256').update(proof).digest('hex') }),
      at,
    };
    const arriving = this.#store.transfers.arriving(id);
    this.#store.keys.removeMachine(id, name, JSON.stringify(erasure));
    const wrapped = [
      machine.wrappedKey,
      machine.nextKey,
      ...snapshots.map((snapshot) => snapshot.wrapped),
      ...arriving,
    ];
    await this.#searchAndSign(erasure, wrapped);
  }

  /** Of a disk whose key the VMM gets. Nothing where there is none. */
  async eraseDisk(id: DiskId, name: string): Promise<void> {
    const kept = this.#store.vmmKeys.find(id);
    if (kept === undefined) return;
    const at = this.#now();
    using key = unwrapKey(this.#root, vmmKeyIdentity(id), kept.wrapped);
    const keys = [{ version: 1, id: await diskKeyId(key.expose()), how: 'erased' as const, at }];
    const erasure: Erasure = { subject: { kind: 'disk', id, name }, keys, at };
    this.#store.keys.removeDisk(id, name, JSON.stringify(erasure));
    await this.#searchAndSign(erasure, [kept.wrapped]);
  }

  /** The record as JSON, by the id of what is gone, or of the last one that had this name. */
  async read(kind: Erasure['subject']['kind'], subject: string): Promise<unknown> {
    const kept = this.#store.keys.findErasure(kind, subject);
    if (kept === undefined) {
      throw new RingwallError('not-found', `the broker has destroyed no key of a ${kind} ${subject}`, {
        hint: `records are kept by id and by name; a ${kind} that is there still has its key`,
      });
    }
    return JSON.parse(kept.record ?? (await this.#sign(asErasure(kept.content))));
  }

  async #searchAndSign(erasure: Erasure, wrapped: readonly (Uint8Array | undefined)[]): Promise<void> {
    const needles = wrapped.flatMap((key) => (key === undefined ? [] : [key.subarray(WRAPPED_MAGIC_BYTES)]));
    await this.#sign({ ...erasure, searched: await this.#store.keys.search(needles) });
  }

  async #sign(erasure: Erasure): Promise<string> {
    const record = encodeErasure(await signErasure(erasure, this.#signer));
    this.#store.keys.writeErasure(erasure.subject.id, record);
    return record;
  }

  #ended(machine: MachineRecord): ErasedKey[] {
    const ended = this.#store.keys.ended(machine.id);
    return ended.map(({ version, id, at }) => ({ version, id, how: 'rotated', at: new Date(at) }));
  }

  async #live(machine: MachineRecord, at: Date): Promise<ErasedKey[]> {
    using keys = this.#keys.open(machine);
    const live = [keys.current, ...(keys.next === undefined ? [] : [keys.next])].map((key, index) => ({
      key,
      version: machine.keyVersion + index,
    }));
    // One that was lent is still with the machine that it is of.
    const own = live.filter(({ version }) => version !== BORROWED_KEY_VERSION);
    return Promise.all(
      own.map(async ({ key, version }) => ({
        version,
        id: await diskKeyId(key.expose()),
        how: 'erased' as const,
        at,
      })),
    );
  }
}

/** As `erase` and `eraseDisk` have written it; brokers of before wrote the machine alone. */
function asErasure(content: string): Erasure {
  const stored = asObject(JSON.parse(content), 'erasure.content');
  const { keys, keeps, snapshots, lastProof, at } = stored;
  const { kind, ...subject } = asObject(stored['subject'] ?? stored['machine'], 'erasure.content');
  if (!Array.isArray(keys)) throw damaged('erasure.content');
  return {
    subject: { kind: kind === 'disk' ? 'disk' : 'machine', ...asNamed(subject) },
    keys: keys.map((key) => asErasedKey(asObject(key, 'erasure.content'))),
    ...(Array.isArray(keeps) ? { keeps: keeps.map((disk) => asNamed(asObject(disk, 'erasure.content'))) } : {}),
    ...(Array.isArray(snapshots) ? { snapshots: snapshots.map(asErasedSnapshot) } : {}),
    ...(typeof lastProof === 'string' ? { lastProof } : {}),
    at: new Date(String(at)),
  };
}

function asNamed({ id, name }: Readonly<Record<string, unknown>>): { readonly id: string; readonly name: string } {
  if (typeof id !== 'string' || typeof name !== 'string') throw damaged('erasure.content');
  return { id, name };
}

function asErasedSnapshot(value: unknown): ErasedSnapshot {
  const { sequence, root } = asObject(value, 'erasure.content');
  return { sequence: Number(sequence), ...(typeof root === 'string' ? { root } : {}) };
}

function asErasedKey({ version, id, how, at }: Readonly<Record<string, unknown>>): ErasedKey {
  if (typeof id !== 'string') throw damaged('erasure.content');
  return { version: Number(version), id, how: how === 'rotated' ? 'rotated' : 'erased', at: new Date(String(at)) };
}
