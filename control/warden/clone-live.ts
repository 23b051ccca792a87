// Lets a machine that has never run go on from the memory of a snapshot of another. Nothing of what it is known by is the other's: its id,
// its TPM, its registration; and it is trusted by nobody until it boots as itself.
import { timingSafeEqual } from 'node:crypto';
import { RingwallError, type MachineId, type SnapshotId } from '@ringwall/api';
import type { SealedKey, WardenResponse } from '@ringwall/api/warden';
import { writeFileAtomic } from '../files/index.ts';
import { answerRunning, requireSpec, startMachine } from './boots.ts';
import { refuseUsed } from './clone.ts';
import type { WardenContext } from './context.ts';
import { endBoot } from './end-boot.ts';
import { explainFull } from './full.ts';
import { machineLayout } from './layout.ts';
import type { ProgressListener } from './parts.ts';
import { refuseOther } from './restore.ts';
import { digestOfKey } from './snapshot-chain.ts';
import { platformOf } from './snapshots.ts';
import { putDisk } from './template-disk.ts';

export interface LiveCloneOrder {
  readonly machine: MachineId;
  readonly from: MachineId;
  readonly snapshot: SnapshotId;
  readonly boot: string;
  readonly brokerKey: string;
  /** The broker's word for this very machine. */
  readonly key: SealedKey;
}

export async function cloneLive(
  context: WardenContext,
  order: LiveCloneOrder,
  progress: ProgressListener,
): Promise<WardenResponse<'clone-live'>> {
  const { machine: id, from, snapshot, boot, brokerKey } = order;
  const clone = machineLayout(context.layout, id);
  const spec = await requireSpec(clone);
  const already = await answerRunning(context, clone, order);
  if (already !== undefined) return already;
  using borrowed = context.templates.borrow(snapshot);
  const { template } = borrowed;
  using key = context.keys.open(order.key, { snapshot, machine: from, use: 'live', clone: id });
  if (template.machine !== from || !timingSafeEqual(digestOfKey(key), template.keyDigest)) {
    throw new RingwallError('unauthorized', `the broker has not said that ${id} may go on from ${snapshot}`);
  }
  await refuseUsed(clone);
  const { about, disk, memory } = template;
  refuseOther(spec, about, await platformOf(context, spec, await context.parts.host.accelerator()));
  progress({ step: 'copying its disk' });
  try {
    const inPlace = await putDisk(disk, clone);
    await writeFileAtomic(clone.used, '');
    const syncing = inPlace.sync();
    syncing.catch(() => undefined); // told below
    const { card } = about;
    const state = { template: memory, ...(card === undefined ? {} : { card }) };
    const started = await startMachine(
      context,
      { machine: id, boot, brokerKey, goesOnFrom: snapshot },
      progress,
      state,
    );
    await syncing;
    return started;
  } catch (error) {
    const explained = await explainFull(context, error);
    await endBoot(context, clone);
    throw explained;
  }
}
