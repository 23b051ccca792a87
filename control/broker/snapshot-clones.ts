// Keys of snapshots for other machines than their own: whose disk is a copy of the one in it, and that go on from its memory. What the
// newest state of the original is stays as it was: nothing goes back.
import { RingwallError } from '@ringwall/api';
import type { SnapshotKeyRequest } from '@ringwall/api/snapshots';
import { sealKey, unwrapKey } from '../keys/index.ts';
import type { DiskKeys } from './disk-keys.ts';
import type { MachineRecord } from './machine-records.ts';
import { requireOpenable, snapshotKeyIdentity } from './snapshot-keys.ts';
import type { KeptSnapshot } from './snapshot-store.ts';
import type { VmmKeys } from './vmm-keys.ts';

interface Released {
  readonly sealed: string;
  readonly root: string;
}

/** For the host that will hold its memory: only where that may become other machines. */
export async function holdTemplate(parts: VmmKeys, request: SnapshotKeyRequest): Promise<Released> {
  const { store, watches } = parts;
  const { machine, kept, object } = await requireOpenable({ store, watches }, request, 'template');
  refuseUncloned(parts, machine);
  return released(parts, request, kept, object);
}

/**
 * Makes the disk of the clone open with the key of the original, once. `live`: the host has memory and disk of it, and compares the key
 * with the one that it opened them with, so that nobody but the broker lets a machine go on from them.
 */
export async function cloneMachine(
  parts: VmmKeys & { readonly keys: DiskKeys },
  request: SnapshotKeyRequest,
  use: 'clone' | 'live',
): Promise<Released> {
  const { store, watches, keys } = parts;
  const { machine, kept, object } = await requireOpenable({ store, watches }, request, use);
  refuseUncloned(parts, machine);
  const clone = request.clone === undefined ? undefined : store.readMachine(request.clone);
  if (clone === undefined) throw new RingwallError('not-found', 'the broker does not know the machine for the copy');
  if (clone.currentBoot !== undefined || (clone.clonedFrom ?? kept.id) !== kept.id) {
    throw new RingwallError('conflict', `${clone.name} has a disk of its own`, {
      hint: 'only a machine that was never started takes the disk of another',
    });
  }
  if (clone.clonedFrom === undefined) {
    const lent = keys.lend(machine, clone.id);
    const { diskKind } = machine;
    store.keys.borrow(clone.id, { ...lent, diskKind, snapshot: kept.id });
  }
  return released(parts, request, kept, object);
}

function refuseUncloned({ store }: Pick<VmmKeys, 'store'>, { id, name, clones }: MachineRecord): void {
  if (clones !== 'allow') {
    throw new RingwallError('conflict', `${name} may not be cloned`, {
      hint: 'that is decided when a machine is made, for good: ringwall run … --clones allow',
    });
  }
  // Nobody would be asked about a clone.
  if (store.approvals.machines().includes(id)) {
    throw new RingwallError('conflict', `copies of ${name} need the word of two people: it is not cloned`);
  }
}

function released(
  { root }: VmmKeys,
  request: SnapshotKeyRequest,
  { id, wrapped }: KeptSnapshot,
  object: string,
): Released {
  using key = unwrapKey(root, snapshotKeyIdentity(id), wrapped);
  return { sealed: Buffer.from(sealKey(key, request)).toString('base64'), root: object };
}
