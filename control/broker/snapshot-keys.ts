// Keys of snapshots, and the record of which state of a machine is the newest. A key is made for one object, which the host that
// takes the snapshot seals with it, and is released again to that host alone. What decides about going back is kept here,
// outside of everything that goes back: numbers that only grow, and what each snapshot was used for.
import { RingwallError, type SnapshotId } from '@ringwall/api';
import type { BrokerRequest } from '@ringwall/api/broker';
import type { SnapshotKeyRequest } from '@ringwall/api/snapshots';
import { equalBytes } from '@ringwall/bytes';
import { isSignedByItsHost, sealKey, Secret, unwrapKey, wrapKey, type KeyIdentity } from '../keys/index.ts';
import type { KeptSnapshot } from './snapshot-store.ts';
import type { BrokerStore, MachineRecord } from './store.ts';
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

export function finishSnapshot(
  store: BrokerStore,
  { snapshot, root }: Extract<BrokerRequest, { op: 'finish-snapshot' }>,
): Record<string, never> {
  const kept = requireKnown(store, snapshot);
  if (kept.root !== undefined && kept.root !== root) {
    throw new RingwallError('conflict', `${snapshot} is another object, with the root ${kept.root}`);
  }
  store.snapshots.finish(kept, root);
  return {};
}

export async function releaseSnapshotKey(
  { store, root, watches, now }: VmmKeys,
  { request, rewind }: Pick<Extract<BrokerRequest, { op: 'release-snapshot-key' }>, 'request' | 'rewind'>,
): Promise<{ sealed: string; root: string }> {
  await requireSigned(request, 'restore');
  const machine = requireTrusted({ store, watches }, request);
  const kept = requireKnown(store, request.snapshot);
  if (kept.machine !== machine.id) {
    throw new RingwallError('unauthorized', `${kept.id} is of another machine than ${machine.name}`);
  }
  if (!equalBytes(kept.host, hostOf(request))) {
    throw new RingwallError('unauthorized', `${kept.id} is bound to the host that has taken it`);
  }
  const object = kept.root;
  if (object === undefined) throw new RingwallError('conflict', `${kept.id} was never taken whole`);
  refuseDeadKey(machine, kept);
  if (!rewind) refuseRewind(store, machine, kept);
  using key = unwrapKey(root, snapshotKeyIdentity(kept.id), kept.wrapped);
  const sealed = Buffer.from(sealKey(key, request)).toString('base64');
  store.snapshots.markOpened(kept, now());
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
  request: SnapshotKeyRequest,
): MachineRecord {
  const machine = store.readMachine(request.machine);
  if (machine === undefined) throw new RingwallError('not-found', `the broker knows no machine ${request.machine}`);
  const withheld = watches.withholds(machine);
  if (withheld !== undefined) throw new RingwallError('conflict', `no snapshot of it is opened or taken: ${withheld}`);
  return machine;
}

function requireKnown(store: BrokerStore, id: SnapshotId): KeptSnapshot {
  const kept = store.snapshots.find(id);
  if (kept !== undefined) return kept;
  throw new RingwallError('not-found', `the broker has no key of ${id}`, {
    hint: 'it was destroyed, or is with another broker: nothing else opens this snapshot',
  });
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
