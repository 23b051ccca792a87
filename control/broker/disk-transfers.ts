// Keys of imported disks that leave with their machine, and that come with one. A key leaves only by the word of the host that has the disk that
// it is this machine's, sealed to whom the machine is exported; where it comes to, it is bound to the host that has received the machine.
import { RingwallError, type DiskId } from '@ringwall/api';
import type { BrokerRequest } from '@ringwall/api/broker';
import { diskIdSchema } from '@ringwall/api/objects';
import { equalBytes, utf8 } from '@ringwall/bytes';
import {
  EXPORT_FORMAT,
  exportContext,
  type ExportContent,
  type SealedDisk,
  type SignedExport,
} from '@ringwall/evidence';
import { openWith, sealTo } from '@ringwall/seal';
import { isSignedByItsHost, Secret, unwrapKey, wrapKey } from '../keys/index.ts';
import type { MachineRecord } from './machine-records.ts';
import { vmmKeyIdentity, type VmmKeys } from './vmm-keys.ts';
import type { KeptKey } from './vmm-key-store.ts';

/** As QEMU takes them (vmm-keys.ts): 32 random bytes in hexadecimal. */
const PASSPHRASE = /^[0-9a-f]{64}$/;

type Keys = Pick<VmmKeys, 'store' | 'root'>;
type Leaving = NonNullable<Extract<BrokerRequest, { op: 'export-snapshot' }>['disks']>[number];

/** Throws where the host that has the disks has not signed that they are this machine's, or where one has no key any more. */
export async function requireLeaving(
  { store }: Keys,
  machine: MachineRecord,
  disks: readonly Leaving[],
): Promise<readonly (Leaving & { readonly kept: KeptKey })[]> {
  const leaving: (Leaving & { readonly kept: KeptKey })[] = [];
  for (const disk of disks) {
    const { request, name } = disk;
    if (request.use !== 'export' || request.machine !== machine.id || !(await isSignedByItsHost(request))) {
      throw new RingwallError('unauthorized', `no host has signed that ${name} leaves with ${machine.name}`);
    }
    const kept = store.vmmKeys.find(request.disk);
    if (kept === undefined) {
      throw new RingwallError('not-found', `the broker has no key of ${name}`, {
        hint: 'it was destroyed: nothing opens this disk, here or elsewhere',
      });
    }
    if (!equalBytes(kept.host, Buffer.from(request.host, 'base64'))) {
      throw new RingwallError('unauthorized', `${name} is bound to another host`);
    }
    leaving.push({ ...disk, kept });
  }
  return leaving;
}

/** With their keys, for the recipient alone. */
export async function sealDisks(
  { root }: Keys,
  leaving: Awaited<ReturnType<typeof requireLeaving>>,
  says: ExportContent,
): Promise<readonly SealedDisk[]> {
  const sealed: SealedDisk[] = [];
  for (const { request, name, sizeBytes, digest, source, kept } of leaving) {
    using key = unwrapKey(root, vmmKeyIdentity(request.disk), kept.wrapped);
    const bound = { info: infoOf(request.disk), aad: exportContext(says) };
    sealed.push({
      ...{ id: request.disk, name, sizeBytes, digest, source },
      key: await sealTo(says.recipient, key.expose(), bound),
    });
  }
  return sealed;
}

interface ArrivingDisk extends Disposable {
  readonly disk: DiskId;
  readonly key: Secret;
}

/** The keys in a ticket. Throws where one does not open, or is none. */
export async function openDisks(
  ticket: SignedExport,
  pair: Parameters<typeof openWith>[0],
): Promise<readonly ArrivingDisk[]> {
  using opened = new DisposableStack();
  const disks: ArrivingDisk[] = [];
  for (const { id, key: sealed } of ticket.disks) {
    const disk = diskIdSchema.parse(id);
    const bytes = await openWith(pair, sealed, { info: infoOf(disk), aad: exportContext(ticket) });
    if (bytes === undefined || !PASSPHRASE.test(Buffer.from(bytes).toString('latin1'))) {
      throw new RingwallError('proof-invalid', 'the key of an imported disk in its ticket does not open');
    }
    const key = opened.use(Secret.take(bytes));
    disks.push({ disk, key, [Symbol.dispose]: () => key[Symbol.dispose]() });
  }
  opened.move();
  return disks;
}

/** What the broker keeps of them; nothing of one that it has. Throws where it has another key of one, or for another host. */
export function keepable(
  { store, root }: Keys,
  disks: readonly ArrivingDisk[],
  host: Uint8Array,
): readonly (KeptKey & { readonly disk: DiskId })[] {
  return disks.flatMap(({ disk, key }) => {
    const kept = store.vmmKeys.find(disk);
    if (kept === undefined) return [{ disk, host, wrapped: wrapKey(root, vmmKeyIdentity(disk), key) }];
    using known = unwrapKey(root, vmmKeyIdentity(disk), kept.wrapped);
    if (!equalBytes(known.expose(), key.expose())) {
      throw new RingwallError('proof-invalid', `the key of ${disk} is another than the one that is here`);
    }
    if (equalBytes(kept.host, host)) return [];
    throw new RingwallError('conflict', `${disk} is on another host of this broker`, {
      hint: 'import the machine there, or remove the disk there first: ringwall disk rm',
    });
  });
}

/** So that no key can be taken for another’s. */
function infoOf(disk: string): Uint8Array<ArrayBuffer> {
  return utf8(`${EXPORT_FORMAT} imported disk key\n${disk}`);
}
