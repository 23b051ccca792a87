// Destroys the keys of a machine, and gives a signed record of it. What the record says is written in the commit that removes
// the keys, so that a broker which is killed in between can still sign it.
import { createHash } from 'node:crypto';
import { RingwallError } from '@ringwall/api';
import { diskKeyId, encodeErasure, signErasure, type ErasedKey, type Erasure } from '@ringwall/evidence';
import type { SigningKey } from '../keys/index.ts';
import type { DiskKeys } from './disk-keys.ts';
import { asObject, damaged } from './rows.ts';
import type { BrokerStore, MachineRecord } from './store.ts';

/** In a wrapped key: format and version, which every one begins with. */
const WRAPPED_MAGIC_BYTES = 4;

export class Erasures {
  readonly #store: BrokerStore;
  readonly #keys: DiskKeys;
  readonly #signer: SigningKey;
  readonly #now: () => Date;

  constructor(parts: { store: BrokerStore; keys: DiskKeys; signer: SigningKey; now: () => Date }) {
    this.#store = parts.store;
    this.#keys = parts.keys;
    this.#signer = parts.signer;
    this.#now = parts.now;
  }

  async erase(machine: MachineRecord): Promise<void> {
    const at = this.#now();
    const proof = this.#store.readProof(machine.id, 'confirmed');
    const erasure: Erasure = {
      machine: { id: machine.id, name: machine.name },
      keys: [...this.#ended(machine), ...(await this.#live(machine, at))],
      ...(proof === undefined ? {} : { lastProof: createHash('sha256').update(proof).digest('hex') }),
      at,
    };
    this.#store.keys.removeMachine(machine.id, machine.name, JSON.stringify(erasure));
    const wrapped = [machine.wrappedKey, machine.nextKey].filter((key) => key !== undefined);
    const searched = await this.#store.keys.search(wrapped.map((key) => key.subarray(WRAPPED_MAGIC_BYTES)));
    await this.#sign({ ...erasure, searched });
  }

  /** The record as JSON, of a machine by its id, or of the last one that had this name. */
  async read(subject: string): Promise<unknown> {
    const kept = this.#store.keys.findErasure(subject);
    if (kept === undefined) {
      throw new RingwallError('not-found', `the broker has destroyed no key of a machine ${subject}`, {
        hint: 'records are kept by id and by name; a machine that is there still has its key',
      });
    }
    return JSON.parse(kept.record ?? (await this.#sign(asErasure(kept.content))));
  }

  async #sign(erasure: Erasure): Promise<string> {
    const record = encodeErasure(await signErasure(erasure, this.#signer));
    this.#store.keys.writeErasure(erasure.machine.id, record);
    return record;
  }

  #ended(machine: MachineRecord): ErasedKey[] {
    const ended = this.#store.keys.ended(machine.id);
    return ended.map(({ version, id, at }) => ({ version, id, how: 'rotated', at: new Date(at) }));
  }

  async #live(machine: MachineRecord, at: Date): Promise<ErasedKey[]> {
    using keys = this.#keys.open(machine);
    const live = [keys.current, ...(keys.next === undefined ? [] : [keys.next])];
    return Promise.all(
      live.map(async (key, index) => ({
        version: machine.keyVersion + index,
        id: await diskKeyId(key.expose()),
        how: 'erased' as const,
        at,
      })),
    );
  }
}

/** As `erase` has written it. */
function asErasure(content: string): Erasure {
  const { machine, keys, lastProof, at } = asObject(JSON.parse(content), 'erasure.content');
  const { id, name } = asObject(machine, 'erasure.content');
  if (typeof id !== 'string' || typeof name !== 'string' || !Array.isArray(keys)) throw damaged('erasure.content');
  return {
    machine: { id, name },
    keys: keys.map((key) => asErasedKey(asObject(key, 'erasure.content'))),
    ...(typeof lastProof === 'string' ? { lastProof } : {}),
    at: new Date(String(at)),
  };
}

function asErasedKey({ version, id, how, at }: Readonly<Record<string, unknown>>): ErasedKey {
  if (typeof id !== 'string') throw damaged('erasure.content');
  return { version: Number(version), id, how: how === 'rotated' ? 'rotated' : 'erased', at: new Date(String(at)) };
}
