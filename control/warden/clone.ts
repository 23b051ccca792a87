// Gives a machine that has never run the disk of a snapshot of another. Its TPM, its id and its card are its own, and so is the key
// that its first start gives the disk: it proves itself like any machine, and is mistaken for none.
import { open, rename, rm } from 'node:fs/promises';
import { RingwallError, type MachineId } from '@ringwall/api';
import type { SnapshotKeyRequest } from '@ringwall/api/snapshots';
import type { VmSpec } from '@ringwall/api/warden';
import { isThere, syncDirectory } from '../files/index.ts';
import { requireSpec } from './boots.ts';
import type { WardenContext } from './context.ts';
import { explainFull } from './full.ts';
import { machineLayout, type MachineLayout } from './layout.ts';
import type { ProgressListener } from './parts.ts';
import { readBoot } from './records.ts';
import { asRestoreError } from './restore.ts';
import { SnapshotChain, type ChainedSnapshot } from './snapshot-chain.ts';
import { UNFINISHED } from './template-disk.ts';

export interface CloneOrder extends ChainedSnapshot {
  readonly machine: MachineId;
  readonly from: MachineId;
  /** What it continues, from the whole one on to the one right before it. */
  readonly ancestors: readonly ChainedSnapshot[];
}

/** Before this host signs that it wants a copy: the disk comes to a machine of the same image alone. */
export async function requireAlike(
  { layout }: WardenContext,
  { machine, clone }: Pick<SnapshotKeyRequest, 'machine' | 'clone'>,
): Promise<void> {
  if (clone === undefined) throw new RingwallError('bad-request', 'no machine is named that the copy is for');
  const [here, there] = await Promise.all([
    requireSpec(machineLayout(layout, clone)),
    requireSpec(machineLayout(layout, machine)),
  ]);
  refuseUnlike(here, there);
}

export async function cloneDisk(
  context: WardenContext,
  order: CloneOrder,
  progress: ProgressListener,
): Promise<Record<string, never>> {
  const clone = machineLayout(context.layout, order.machine);
  const spec = await requireSpec(clone);
  await refuseUsed(clone);
  const unfinished = `${clone.disk}${UNFINISHED}`;
  try {
    const last = { use: 'clone', clone: order.machine } as const;
    await using chain = await SnapshotChain.open(context, order.from, [...order.ancestors, order], last);
    const { about, diskBytes } = chain.newest;
    refuseUnlike(spec, about.spec);
    const [ownBytes] = diskBytes;
    await rm(unfinished, { force: true }); // of a copy that was broken off
    await using disk = await open(unfinished, 'wx', 0o600);
    await disk.truncate(ownBytes);
    await chain.openInto({ disks: [disk.fd] }, (fraction) => progress({ step: 'copying its disk', fraction }));
    await disk.sync();
    await rename(unfinished, clone.disk);
    await syncDirectory(clone.data);
    return {};
  } catch (error) {
    const explained = asRestoreError(await explainFull(context, error));
    await rm(unfinished, { force: true });
    throw explained;
  }
}

/** What it has written is never written over. Of one that has booted and was stopped, the broker knows. */
export async function refuseUsed(clone: MachineLayout): Promise<void> {
  if ((await readBoot(clone)) === undefined && !(await isThere(clone.used))) return;
  throw new RingwallError('conflict', 'the machine was started: its disk is its own');
}

export function refuseImported({ disks = [] }: VmSpec): void {
  if (disks.length === 0) return;
  throw new RingwallError('conflict', 'a machine with imported disks cannot be cloned', {
    hint: 'each of them has one key and one machine: import their images once more, for another machine',
  });
}

/** Memory and processors may be others: nothing of them is taken over. */
function refuseUnlike(clone: VmSpec, from: VmSpec): void {
  refuseImported(from);
  if (clone.image === from.image && clone.diskMiB === from.diskMiB) return;
  throw new RingwallError('conflict', 'a clone has the image and the size of the disk that it is a copy of');
}
