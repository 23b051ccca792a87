// Imported disks that leave with their machine, and that come with one, as the daemon remembers them. Their keys go from broker to broker.
import { type Machine, RingwallError } from '@ringwall/api';
import { type Disk, diskSchema } from '@ringwall/api/disks';
import { FOREIGN_IMAGE } from '@ringwall/api/ids';
import { diskIdSchema } from '@ringwall/api/objects';
import type { BrokerRequest } from '@ringwall/api/broker';
import type { WardenRequest } from '@ringwall/api/warden';
import type { SignedExport } from '@ringwall/evidence';
import { freeName } from './names.ts';
import type { WorkParts } from './work.ts';

type Leaving = Extract<BrokerRequest, { op: 'export-snapshot' }>['disks'];
type Arriving = Extract<WardenRequest, { op: 'settle-import' }>['disks'];

/** What the broker is told of them, each with the word of this host that it is this machine's. */
export async function leavingDisks(
  { store, warden }: Pick<WorkParts, 'store' | 'warden'>,
  { id: machine, name: machineName, spec }: Machine,
): Promise<{ readonly disks?: Leaving }> {
  if (spec.image === FOREIGN_IMAGE) {
    throw new RingwallError('conflict', `${machineName} has a system of its own, which does not leave this host`, {
      hint: 'its TPM is encrypted for this host, and what it may boot was accepted here: import its image there',
    });
  }
  if (spec.disks === undefined || spec.disks.length === 0) return {};
  const disks: NonNullable<Leaving> = [];
  for (const id of spec.disks) {
    const disk = await store.disks.find(id);
    if (disk?.status.digest === undefined) throw new RingwallError('conflict', `${id} is not whole`);
    const { request } = await warden.call({ op: 'ask-disk-key', disk: id, use: 'export', machine });
    const { sizeBytes, source } = disk.spec;
    disks.push({ request, name: disk.name, sizeBytes, digest: disk.status.digest, source });
  }
  return { disks };
}

/** Those of a machine that is new here, each with a name that is free. Throws where one is here already. */
export async function planDisks(
  { store }: Pick<WorkParts, 'store'>,
  tenant: string,
  { disks, at }: SignedExport,
): Promise<readonly Disk[]> {
  const here = await store.disks.list();
  const names = new Set(here.map(({ name }) => name));
  return disks.map(({ id, name: wanted, sizeBytes, digest, source }) => {
    const same = here.find((each) => each.id === id);
    if (same !== undefined) {
      throw new RingwallError('conflict', `the disk ${same.name} of it is here already, without its machine`, {
        hint: `if it is not wanted any more: ringwall disk rm ${same.name}; then import the machine again`,
      });
    }
    const name = freeName(wanted, names);
    names.add(name);
    const disk = diskSchema.safeParse({
      ...{ id, tenant, name, version: 1, createdAt: new Date().toISOString() },
      spec: { sizeBytes, source },
      status: { phase: 'ready', digest, importedAt: at.toISOString() },
    });
    if (disk.success) return disk.data;
    throw new RingwallError('spec-invalid', 'the ticket is for a disk that cannot be made here');
  });
}

/** What the warden is to make of them. */
export function arrivingDisks({ disks }: SignedExport): { readonly disks?: NonNullable<Arriving> } {
  if (disks.length === 0) return {};
  return { disks: disks.map(({ id, sizeBytes, digest }) => ({ disk: diskIdSchema.parse(id), sizeBytes, digest })) };
}
