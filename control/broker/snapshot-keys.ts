// Keys of snapshots, and the record of which state of a machine is the newest. A key is made for one object, which the host that
// takes the snapshot seals with it, and is released again to that host alone. What decides about going back is kept here,
// outside of everything that goes back: numbers that only grow, and what each snapshot was used for.
import { RingwallError, type SnapshotId } from '@ringwall/api';
import type { BrokerRequest } from '@ringwall/api/broker';
import type { SnapshotKeyRequest } from '@ringwall/api/snapshots';
import { equalBytes } from '@ringwall/bytes';
import { isSignedByItsHost, sealKey, Secret, unwrapKey, wrapKey, type KeyIdentity } from '../keys/index.ts';
import type { KeptSnapshot } from './snapshot-store.ts';
import type { MachineRecord } from './machine-records.ts';
import type { BrokerStore } from './store.ts';
import type { VmmKeys } from './vmm-keys.ts';

const KEY_BYTES = 32;
const KEY_VERSION = 1;

export async function beginSnapshot(
  { store, root, watches, now }: VmmKeys,
  request: SnapshotKeyRequest,
): Promise<{ sealed: string; sequence: number }> {
  await requireSigned(request, 'take');
  requireTrusted({ store, watches }, request);
  if (store.snapshots.find(request.snapshot) !== undefined) {
    throw new RingwallError('conflict', `${request.snapshot} was begun already: a key seals one object`);
  }
  using key = Secret.random(KEY_BYTES);
  const { snapshot: id, machine } = request;
  const kept = { id, machine, host: hostOf(request), wrapped: wrapKey(root, snapshotKeyIdentity(id), key) };
  const sequence = store.snapshots.add(kept, now());
  return { sealed: Buffer.from(sealKey(key, request)).toString('base64'), sequence };
}

/** Of a machine that may leave, or a copy of it: the newest state for the one, any that is whole for the other. */
export function requireExportable(
  { store, watches }: Pick<VmmKeys, 'store' | 'watches'>,
  request: Extract<BrokerRequest, { op: 'export-snapshot' }>,
): {
  readonly machine: MachineRecord;
  readonly kept: KeptSnapshot;
  readonly object: string;
  /** All that it continues, from the whole one on. */
  readonly bases: readonly WholeSnapshot[];
} {
  const kept = requireKnown(store, request.snapshot);
  const machine = requireTrusted({ store, watches }, request, { evenGone: true });
  refuseOther(machine, kept);
  const gone = store.transfers.departure(machine.id);
  const again = request.mode === 'move' && gone?.recipient === request.recipient && gone.snapshot === kept.id;
  if (gone !== undefined && !again) {
    throw new RingwallError('conflict', `${store.transfers.whyGone(machine) ?? ''}: only that is exported again`);
  }
  const object = requireWhole(kept);
  const bases = basesOf(store, kept);
  for (const each of [...bases, kept]) refuseDeadKey(machine, each);
  if (request.mode === 'move' && kept.sequence < store.snapshots.newest(machine.id)) {
    throw new RingwallError('conflict', `${machine.name}@${kept.sequence} is not the newest state of ${machine.name}`, {
      hint: 'a machine moves with its newest; an older one leaves as a copy, without --move',
    });
  }
  if (request.mode === 'move' && kept.openedAt !== undefined) {
    throw new RingwallError(
      'conflict',
      `${machine.name}@${kept.sequence} was put back here: its machine has lived on`,
      {
        hint: 'take another snapshot, and move that',
      },
    );
  }
  return { machine, kept, object, bases };
}

export interface WholeSnapshot extends KeptSnapshot {
  readonly root: string;
}

/** Parents were whole, and older, when they were written down: it ends. */
function basesOf(store: BrokerStore, kept: KeptSnapshot): readonly WholeSnapshot[] {
  const bases: WholeSnapshot[] = [];
  for (let { parent } = kept; parent !== undefined;) {
    const base = requireKnown(store, parent);
    bases.unshift({ ...base, root: requireWhole(base) });
    ({ parent } = base);
  }
  return bases;
}

export function finishSnapshot(
  store: BrokerStore,
  { snapshot, root, parent }: Extract<BrokerRequest, { op: 'finish-snapshot' }>,
): Record<string, never> {
  const kept = requireKnown(store, snapshot);
  if (kept.root !== undefined && kept.root !== root) {
    throw new RingwallError('conflict', `${snapshot} is another object, with the root ${kept.root}`);
  }
  if (parent !== undefined) refuseParent(kept, requireKnown(store, parent));
  store.snapshots.finish(kept, root, parent);
  return {};
}

/** Not while another needs it. Idempotent. */
export function forgetSnapshot(store: BrokerStore, id: SnapshotId): Record<string, never> {
  const continuer = store.snapshots.continuedBy({ id });
  if (continuer !== undefined) {
    throw new RingwallError('conflict', `snapshot ${String(continuer)} of the machine continues ${id}`, {
      hint: 'without its key that one could not be opened either: remove that one first',
    });
  }
  store.transfers.dropArriving(id);
  store.snapshots.remove(id);
  return {};
}

export async function releaseSnapshotKey(
  { store, root, watches, now }: VmmKeys,
  { request, rewind }: Pick<Extract<BrokerRequest, { op: 'release-snapshot-key' }>, 'request' | 'rewind'>,
): Promise<{ sealed: string; root: string }> {
  const isBase = request.use === 'base';
  const isBack = store.transfers.departure(request.machine)?.returned === request.snapshot;
  const gone = { evenGone: rewind || isBack };
  const use = isBase ? 'base' : 'restore';
  const { machine, kept, object } = await requireOpenable({ store, watches }, request, use, gone);
  // Opened below another, it is nothing to go back to: the host that has signed for this use opens it nowhere else.
  if (isBase) requireContinued(store, kept);
  else if (!rewind) refuseRewind(store, machine, kept);
  using key = unwrapKey(root, snapshotKeyIdentity(kept.id), kept.wrapped);
  const sealed = Buffer.from(sealKey(key, request)).toString('base64');
  if (!isBase) store.snapshots.markOpened(kept, now());
  return { sealed, root: object };
}

/** Not before the machine is back: one that is not put back after all keeps its TPM, and must not fall behind what that was. */
export function confirmRestore({ store, watches, now }: VmmKeys, id: SnapshotId): Record<string, never> {
  const kept = requireKnown(store, id);
  if (kept.openedAt === undefined) {
    throw new RingwallError('conflict', `nobody was given the key of ${id}: nothing was put back to it`);
  }
  if (kept.restoredAt !== undefined && kept.restoredAt >= kept.openedAt) return {};
  store.snapshots.putBack(kept, now());
  store.transfers.comeBack(kept.machine);
  watches.forgetClock(kept.machine);
  return {};
}

export function snapshotKeyIdentity(snapshot: SnapshotId): KeyIdentity {
  return { kind: 'snapshot-key', id: snapshot, version: KEY_VERSION };
}

async function requireSigned(request: SnapshotKeyRequest, use: SnapshotKeyRequest['use']): Promise<void> {
  if (request.use !== use || !(await isSignedByItsHost(request))) {
    throw new RingwallError(
      'unauthorized',
      'the request for a snapshot’s key is not signed for this by the host it names',
    );
  }
}

function requireTrusted(
  { store, watches }: Pick<VmmKeys, 'store' | 'watches'>,
  request: Pick<SnapshotKeyRequest, 'machine'>,
  { evenGone = false }: { readonly evenGone?: boolean } = {},
): MachineRecord {
  const machine = store.readMachine(request.machine);
  if (machine === undefined) throw new RingwallError('not-found', `the broker knows no machine ${request.machine}`);
  const withheld = watches.withholds(machine);
  if (withheld !== undefined) throw new RingwallError('conflict', `no snapshot of it is opened or taken: ${withheld}`);
  const gone = evenGone ? undefined : store.transfers.whyGone(machine);
  if (gone !== undefined) {
    throw new RingwallError('conflict', gone, {
      hint: `if it never arrived there, say so, and it is written down: ringwall restore ${machine.name} --rewind`,
    });
  }
  return machine;
}

function requireWhole({ id, root }: KeptSnapshot): string {
  if (root === undefined) throw new RingwallError('conflict', `${id} was never taken whole`);
  return root;
}

/** For the host that has taken it, of a machine that is trusted, whole, and of a disk whose key is there. */
export async function requireOpenable(
  { store, watches }: Pick<VmmKeys, 'store' | 'watches'>,
  request: SnapshotKeyRequest,
  use: SnapshotKeyRequest['use'],
  gone: Parameters<typeof requireTrusted>[2] = {},
): Promise<{ readonly machine: MachineRecord; readonly kept: KeptSnapshot; readonly object: string }> {
  await requireSigned(request, use);
  const machine = requireTrusted({ store, watches }, request, gone);
  const kept = requireKnown(store, request.snapshot);
  refuseOther(machine, kept);
  if (!equalBytes(kept.host, hostOf(request))) {
    throw new RingwallError('unauthorized', `${kept.id} is bound to the host that has taken it`);
  }
  const object = requireWhole(kept);
  refuseDeadKey(machine, kept);
  return { machine, kept, object };
}

function refuseOther({ id, name }: MachineRecord, kept: KeptSnapshot): void {
  if (kept.machine === id) return;
  throw new RingwallError('unauthorized', `${kept.id} is of another machine than ${name}`);
}

function requireKnown(store: BrokerStore, id: SnapshotId): KeptSnapshot {
  const kept = store.snapshots.find(id);
  if (kept !== undefined) return kept;
  throw new RingwallError('not-found', `the broker has no key of ${id}`, {
    hint: 'it was destroyed, or is with another broker: nothing else opens this snapshot',
  });
}

function refuseParent(child: KeptSnapshot, parent: KeptSnapshot): void {
  const isIt = parent.machine === child.machine && parent.root !== undefined && parent.sequence < child.sequence;
  if (isIt) return;
  throw new RingwallError('conflict', `${child.id} cannot continue ${parent.id}: that is no whole one before it`);
}

function requireContinued(store: BrokerStore, kept: KeptSnapshot): void {
  if (store.snapshots.continuedBy(kept) !== undefined) return;
  throw new RingwallError('conflict', `${kept.id} is continued by none`);
}

/** The disk in it opens with a key that is gone, which is what its rotation was for. */
function refuseDeadKey({ name, keyVersion }: MachineRecord, { sequence, diskKeyVersion }: KeptSnapshot): void {
  if (keyVersion === diskKeyVersion) return;
  throw new RingwallError('conflict', `the key of the disk was rotated since ${name}@${sequence} was taken`, {
    hint: 'the key that opened that disk is destroyed: take the newest snapshot',
  });
}

function refuseRewind(store: BrokerStore, { name, id }: MachineRecord, { sequence, openedAt }: KeptSnapshot): void {
  const newest = store.snapshots.newest(id);
  const hint = `if this state is what you want, say so: ringwall restore ${name}@${sequence} --rewind`;
  if (sequence < newest) {
    throw new RingwallError('conflict', `${name}@${sequence} is not the newest state of ${name}: that is ${newest}`, {
      hint,
    });
  }
  // Given out is used, whatever came of it: who has the key once can use it twice.
  if (openedAt !== undefined) {
    throw new RingwallError('conflict', `the key of ${name}@${sequence} was given out already, at ${openedAt}`, {
      hint,
    });
  }
}

function hostOf({ host }: SnapshotKeyRequest): Uint8Array {
  return Buffer.from(host, 'base64');
}
