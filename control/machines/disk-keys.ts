// Keys of the imported disks of a machine, for one start of it: the warden asks, the broker answers sealed, and the daemon
// carries what it cannot open.
import type { BootId, DiskId, Machine, SnapshotId } from '@ringwall/api';
import type { SealedKey } from '@ringwall/api/warden';
import type { Work } from './work.ts';

type DiskKey = SealedKey & { readonly disk: DiskId };

/** Nothing where it has no such disk. `put`: where it is put back to a snapshot. */
export async function fetchDiskKeys(
  { warden, broker, signal }: Pick<Work, 'warden' | 'broker' | 'signal'>,
  { id: machine, spec }: Machine,
  boot: BootId,
  put: { readonly snapshot?: SnapshotId; readonly rewind?: boolean } = {},
): Promise<{ diskKeys?: DiskKey[] }> {
  if (spec.disks === undefined || spec.disks.length === 0) return {};
  const diskKeys: DiskKey[] = [];
  for (const disk of spec.disks) {
    const { request } = await warden.call({ op: 'ask-disk-key', disk, use: 'start', machine, boot }, { signal });
    const { sealed } = await broker.call({ op: 'release-disk-key', request, ...put }, { signal });
    diskKeys.push({ disk, publicKey: request.publicKey, sealed });
  }
  return { diskKeys };
}
