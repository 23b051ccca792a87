// Puts a stopped machine back to a snapshot. Nothing is touched before the snapshot was found to be for this machine and this
// host; disk and TPM of before lie aside until the machine runs, and come back by themselves where it does not: the mark
// `restoring` says which of the two counts, and a crash at any moment leaves one of them.
import { open, rename, rm, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { RingwallError, type SnapshotId } from '@ringwall/api';
import type { SealedKey, VmSpec, WardenResponse } from '@ringwall/api/warden';
import { fromHex } from '@ringwall/bytes';
import { makeSharedMemory } from '@ringwall/host/memory';
import { openFiles, type OpenTarget } from '@ringwall/host/seal';
import { SealError, type Opener } from '@ringwall/seal';
import { isThere, makeDirectory, syncDirectory, writeFileAtomic } from '../files/index.ts';
import { requireSpec, startMachine, type StartOrder } from './boots.ts';
import type { WardenContext } from './context.ts';
import { endBoot } from './end-boot.ts';
import { explainFull } from './full.ts';
import { machineLayout, snapshotFile, type MachineLayout } from './layout.ts';
import type { ProgressListener, SavedState } from './parts.ts';
import { runsNow } from './running.ts';
import { PARTS, readAbout, type OpenedAbout, type Platform, type SnapshotAbout } from './snapshot-contents.ts';
import { openSnapshot, platformOf } from './snapshots.ts';

export interface RestoreOrder extends Omit<StartOrder, 'diskKeys'> {
  readonly snapshot: SnapshotId;
  /** As the broker has kept it. */
  readonly root: string;
  readonly key: SealedKey;
}

export async function restoreMachine(
  context: WardenContext,
  order: RestoreOrder,
  progress: ProgressListener,
): Promise<WardenResponse<'restore-machine'>> {
  const machine = machineLayout(context.layout, order.machine);
  const spec = await requireSpec(machine);
  if (await runsNow(context, machine)) {
    throw new RingwallError('conflict', 'the machine runs', { hint: 'stop it first: ringwall stop NAME' });
  }
  using key = context.keys.open(order.key, { snapshot: order.snapshot, machine: order.machine, use: 'restore' });
  await using object = await openSnapshot(snapshotFile(context.layout, order.machine, order.snapshot));
  progress({ step: 'opening the snapshot' });
  const openers = [{ kind: 'key', key: key.expose() }] as const;
  const opened = await readAbout(object, openers).catch((error: unknown) => {
    throw asRestoreError(error);
  });
  refuseStranger(opened, order);
  refuseOther(spec, opened.about, await platformOf(context, spec, await context.parts.host.accelerator()));
  try {
    await endBoot(context, machine);
    await setAside(machine);
    return await putInPlace(context, { machine, order, object, openers, opened, progress });
  } catch (error) {
    const explained = asRestoreError(await explainFull(context, error));
    await sweepRestore(context, machine);
    throw explained;
  }
}

/** What a restore that was broken off has left: a machine that runs is what it was put back to, any other what it was before. */
export async function sweepRestore(context: WardenContext, machine: MachineLayout): Promise<void> {
  if ((await isThere(markOf(machine))) && !(await runsNow(context, machine))) {
    context.note(`${machine.id}: it was not put back to a snapshot, and is what it was before`);
    const [disk, tpm] = aside(machine);
    if (await isThere(disk)) await rename(disk, machine.disk);
    if (await isThere(tpm)) {
      await rm(machine.tpmState, { recursive: true, force: true });
      await rename(tpm, machine.tpmState);
    }
    await syncDirectory(machine.data);
  }
  await leaveBehind(machine);
}

function refuseStranger({ named }: OpenedAbout, order: RestoreOrder): void {
  if (named.machine === order.machine && named.snapshot === order.snapshot) return;
  const [snapshot, machine] = [JSON.stringify(named.snapshot), JSON.stringify(named.machine)];
  throw new RingwallError('proof-invalid', `the object is ${snapshot} of ${machine}`);
}

function refuseOther(spec: VmSpec, about: SnapshotAbout, here: Platform): void {
  const { platform } = about;
  const differences = [
    ...(['image', 'cpus', 'memoryMiB', 'diskMiB'] as const)
      .filter((field) => spec[field] !== about.spec[field])
      .map((field) => `${field} ${String(about.spec[field])}, the machine has ${String(spec[field])}`),
    ...(['accelerator', 'qemu', 'firmware', 'image', 'cpu'] as const)
      .filter((field) => platform[field] !== here[field])
      .map((field) => `${NAMES[field]} ${platform[field]}, here is ${here[field]}`),
  ];
  if (differences.length === 0) return;
  throw new RingwallError('conflict', `the snapshot was taken with ${differences.join('; with ')}`, {
    hint: 'a state goes on only where it was: nothing was changed',
  });
}

const NAMES: Readonly<Record<keyof Platform, string>> = {
  accelerator: 'the accelerator',
  qemu: 'QEMU',
  firmware: 'the firmware',
  image: 'the image',
  cpu: 'the processor',
};

interface Placing {
  readonly machine: MachineLayout;
  readonly order: RestoreOrder;
  readonly object: FileHandle;
  readonly openers: readonly Opener[];
  readonly opened: OpenedAbout;
  readonly progress: ProgressListener;
}

/** Memory and disk are opened straight to where they belong. A VMM is started when all of it was found to be what was sealed. */
async function putInPlace(context: WardenContext, placing: Placing): Promise<WardenResponse<'restore-machine'>> {
  const { machine, order, object, openers, opened, progress } = placing;
  await using disk = await open(machine.disk, 'wx', 0o600);
  // A VMM may write no file that is longer than the longest it was started with.
  await disk.truncate(opened.diskBytes);
  await makeDirectory(machine.tpmState, 0o700);
  const devices = makeSharedMemory(opened.devicesBytes);
  const { size } = await object.stat();
  const state: SavedState = {
    fillMemory: async (memory) => {
      const targets: readonly OpenTarget[] = [
        { part: PARTS.devices, place: devices },
        { part: PARTS.memory, place: memory },
        { part: PARTS.disk, place: disk.fd },
      ];
      await openFiles(object.fd, () => targets, {
        openers,
        root: fromHex(order.root),
        onDone: (done) => progress({ step: 'opening memory and disk', fraction: Math.min(1, done / size) }),
      });
      await disk.sync();
    },
    devices: () => Buffer.concat(devices.map((segment) => Buffer.from(segment))),
  };
  const started = await startMachine(context, order, progress, state);
  await leaveBehind(machine);
  return started;
}

async function setAside(machine: MachineLayout): Promise<void> {
  await writeFileAtomic(markOf(machine), '');
  await makeDirectory(machine.before, 0o700);
  const [disk, tpm] = aside(machine);
  await rename(machine.disk, disk);
  await rename(machine.tpmState, tpm);
  await syncDirectory(machine.before);
  await syncDirectory(machine.data);
}

/** The mark first: from then on what lies in place is what counts. */
async function leaveBehind(machine: MachineLayout): Promise<void> {
  if (await isThere(markOf(machine))) {
    await rm(markOf(machine));
    await syncDirectory(machine.record);
  }
  await rm(machine.before, { recursive: true, force: true });
}

function aside({ before }: MachineLayout): [disk: string, tpm: string] {
  return [join(before, 'disk.img'), join(before, 'tpm')];
}

function markOf({ record }: MachineLayout): string {
  return join(record, 'restoring');
}

function asRestoreError(error: unknown): unknown {
  if (!(error instanceof SealError)) return error;
  return new RingwallError('proof-invalid', `the snapshot is not what was sealed: ${error.message}`, {
    hint: 'nothing of it was used; the machine is as it was',
    cause: error,
  });
}
