// The disk keys of machines: made, wrapped under the root key, opened for one release, and replaced. A key that is to take the
// place of another exists beside it until the guest has said that the old one opens the disk no more; whatever breaks off, one
// of the two that the broker has does.
import { RingwallError, type MachineId } from '@ringwall/api';
import { diskKeyId, type ReleaseMode } from '@ringwall/evidence';
import { Secret, unwrapKey, wrapKey, type KeyIdentity } from '../keys/index.ts';
import { BORROWED_KEY_VERSION, type BorrowedKeys } from './key-store.ts';
import type { DiskKind, MachineRecord } from './machine-records.ts';
import type { BrokerStore } from './store.ts';

/** K of a machine: the keyfile of its LUKS2 disk. */
const DISK_KEY_BYTES = 32;
const FIRST_KEY_VERSION = 1;

/** What one release carries. */
export interface OpenedKeys extends Disposable {
  readonly mode: ReleaseMode;
  readonly current: Secret;
  /** Where the mode is to rotate. */
  readonly next: Secret | undefined;
}

export class DiskKeys implements Disposable {
  readonly #store: BrokerStore;
  readonly #root: Secret;

  /** Takes the root key over. */
  constructor(store: BrokerStore, root: Secret) {
    this.#store = store;
    this.#root = root;
  }

  [Symbol.dispose](): void {
    this.#root[Symbol.dispose]();
  }

  /** Of a new machine. */
  make(machine: MachineId): { readonly keyVersion: number; readonly wrappedKey: Uint8Array } {
    return { keyVersion: FIRST_KEY_VERSION, wrappedKey: this.#fresh(machine, FIRST_KEY_VERSION) };
  }

  open({ id }: MachineRecord): OpenedKeys {
    // As it is now: it may have been wrapped anew since the caller has looked.
    const machine = this.#store.readMachine(id);
    if (machine === undefined) throw new RingwallError('not-found', `the broker knows no machine ${id}`);
    const current = unwrapKey(this.#root, diskKeyIdentity(machine.id, machine.keyVersion), machine.wrappedKey);
    const next =
      machine.nextKey === undefined
        ? undefined
        : unwrapKey(this.#root, diskKeyIdentity(machine.id, machine.keyVersion + 1), machine.nextKey);
    return {
      mode: releaseMode(machine),
      current,
      next,
      [Symbol.dispose]: () => {
        current[Symbol.dispose]();
        next?.[Symbol.dispose]();
      },
    };
  }

  /** The machine's next start brings its disk another key. Idempotent until then. Answers the version of that key. */
  rotate(machine: MachineRecord): number {
    if (machine.disk === 'format') {
      throw new RingwallError('conflict', `the disk of ${machine.name} was never unlocked: nothing is on it yet`, {
        hint: `start it first: ringwall start ${machine.name}`,
      });
    }
    refuseLent(this.#store, machine);
    const version = machine.keyVersion + 1;
    if (machine.nextKey === undefined) this.#store.keys.setNext(machine.id, this.#fresh(machine.id, version));
    return version;
  }

  /** For a disk that is a copy of another's: it opens with that one's key, until the clone's first start brings it its own. */
  lend(original: MachineRecord, clone: MachineId): Pick<BorrowedKeys, 'lender' | 'borrowed' | 'nextKey'> {
    if (original.nextKey !== undefined) {
      throw new RingwallError('conflict', `the next start of ${original.name} gives its disk another key`, {
        hint: `start it first, and take a new snapshot: ringwall start ${original.name}`,
      });
    }
    using keys = this.open(original);
    return {
      lender: original.id,
      borrowed: wrapKey(this.#root, diskKeyIdentity(clone, BORROWED_KEY_VERSION), keys.current),
      nextKey: this.#fresh(clone, FIRST_KEY_VERSION),
    };
  }

  /** What a key is named by once it is gone. */
  async idOfCurrent(machine: MachineRecord): Promise<string> {
    using keys = this.open(machine);
    return diskKeyId(keys.current.expose());
  }

  #fresh(machine: MachineId, version: number): Uint8Array {
    using key = Secret.random(DISK_KEY_BYTES);
    return wrapKey(this.#root, diskKeyIdentity(machine, version), key);
  }
}

/** What is said to be destroyed must be: a clone that was never started has it still. */
export function refuseLent(store: BrokerStore, { id, name }: MachineRecord): void {
  const borrower = store.keys.borrowerOf(id);
  if (borrower === undefined) return;
  throw new RingwallError('conflict', `${borrower} is a clone of ${name} and has its key until it was started once`, {
    hint: `start it, or remove it: ringwall start ${borrower}, ringwall rm ${borrower}`,
  });
}

export function diskKindOf(encryption: 'guest' | 'authenticated'): DiskKind {
  return encryption === 'authenticated' ? 'authenticated' : 'encrypted';
}

function releaseMode({ disk, diskKind, nextKey }: MachineRecord): ReleaseMode {
  const mode = nextKey === undefined ? disk : 'rotate';
  return diskKind === 'authenticated' ? `${mode}-authenticated` : mode;
}

export function diskKeyIdentity(machine: MachineId, version: number): KeyIdentity {
  return { kind: 'disk-key', id: machine, version };
}
