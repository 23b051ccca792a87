// Keys of disks that the VMM encrypts: made here, kept wrapped, and released to the one host that the disk was made on, for a
// start of a machine. No evidence of a guest stands before such a key, since any operating system can be on such a disk:
// what is checked is who asks (the host's own key, for good), for which machine, and that it is not in quarantine, and lives here.
import { RingwallError, type DiskId } from '@ringwall/api';
import type { BrokerRequest } from '@ringwall/api/broker';
import type { DiskKeyRequest } from '@ringwall/api/disks';
import { equalBytes } from '@ringwall/bytes';
import { isSignedByItsHost, sealKey, Secret, unwrapKey, wrapKey, type KeyIdentity } from '../keys/index.ts';
import type { BrokerStore } from './store.ts';
import type { WatchBook } from './watch-book.ts';

/** The passphrase is what QEMU wants: text. Its 32 bytes are random, so that guessing is as hopeless as against a raw key. */
const KEY_BYTES = 32;
const KEY_VERSION = 1;

/** What they are released by. */
export interface VmmKeys {
  readonly store: BrokerStore;
  readonly watches: Pick<WatchBook, 'withholds' | 'forgetClock'>;
  readonly root: Secret;
  readonly now: () => Date;
}

/** `rewind`: a person says that a machine that was moved away goes on here. `snapshot`: to which it is put back. */
export async function releaseDiskKey(
  keys: VmmKeys,
  { request, ...put }: Omit<Extract<BrokerRequest, { op: 'release-disk-key' }>, 'op'>,
): Promise<{ sealed: string }> {
  const { store, root } = keys;
  // Signed for an export, it is the word that a disk is a machine's, and asks for nothing.
  if (request.use === 'export' || !(await isSignedByItsHost(request))) {
    throw new RingwallError('unauthorized', 'the request for a disk’s key is not signed by the host that it names');
  }
  if (request.use === 'start') requireTrusted(keys, request, put);
  const host = Buffer.from(request.host, 'base64');
  const kept = store.vmmKeys.find(request.disk);
  if (kept === undefined && request.use === 'start') {
    throw new RingwallError('not-found', `the broker has no key of ${request.disk}`, {
      hint: 'it was destroyed, or is with another broker: nothing else opens this disk',
    });
  }
  if (kept !== undefined && !equalBytes(kept.host, host)) {
    throw new RingwallError('unauthorized', `${request.disk} is bound to another host for good`, {
      hint: 'import its image on this host',
    });
  }
  using key =
    kept === undefined
      ? makeKey(keys, request.disk, host)
      : unwrapKey(root, vmmKeyIdentity(request.disk), kept.wrapped);
  return { sealed: Buffer.from(sealKey(key, request)).toString('base64') };
}

function requireTrusted(
  { store, watches }: VmmKeys,
  { machine: id, boot }: DiskKeyRequest,
  { rewind = false, snapshot }: Pick<Extract<BrokerRequest, { op: 'release-disk-key' }>, 'rewind' | 'snapshot'>,
): void {
  if (id === undefined || boot === undefined) {
    throw new RingwallError('bad-request', 'a disk’s key is released for one boot of one machine');
  }
  const machine = store.readMachine(id);
  if (machine === undefined) throw new RingwallError('not-found', `the broker knows no machine ${id}`);
  const withheld = watches.withholds(machine);
  if (withheld !== undefined) throw new RingwallError('conflict', `no disk is opened for it: ${withheld}`);
  const gone = store.transfers.whyGone(machine);
  // What has come back may be put back, and nothing else starts before that.
  const isBack = snapshot !== undefined && store.transfers.departure(id)?.returned === snapshot;
  if (gone === undefined || rewind || isBack) return;
  throw new RingwallError('conflict', `no disk is opened for it: ${gone}`, {
    hint: `if it never arrived there, say so, and it is written down: ringwall restore ${machine.name} --rewind`,
  });
}

function makeKey({ store, root, now }: VmmKeys, disk: DiskId, host: Uint8Array): Secret {
  using random = Secret.random(KEY_BYTES);
  const key = Secret.take(Buffer.from(Buffer.from(random.expose()).toString('hex'), 'latin1'));
  store.vmmKeys.add(disk, { host, wrapped: wrapKey(root, vmmKeyIdentity(disk), key) }, now());
  return key;
}

export function vmmKeyIdentity(disk: DiskId): KeyIdentity {
  return { kind: 'vmm-disk-key', id: disk, version: KEY_VERSION };
}
