// Puts a stopped machine back to a snapshot. Nothing is touched before the snapshot was found to be for this machine and this
// host; disks and TPM of before lie aside until the machine runs, and come back by themselves where it does not: the mark
// `restoring` says which of the two counts, and a crash at any moment leaves one of them.
import { open, rename, rm, type FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { RingwallError } from '@ringwall/api';
import type { VmSpec, WardenResponse } from '@ringwall/api/warden';
import { makeSharedMemory, type SharedMemory } from '@ringwall/host/memory';
import { SealError } from '@ringwall/seal';
import { isThere, makeDirectory, syncDirectory, writeFileAtomic } from '../files/index.ts';
import { requireSpec, startMachine, type StartOrder } from './boots.ts';
import type { WardenContext } from './context.ts';
import { machineWith, requireImportedDisk } from './disks.ts';
import { endBoot } from './end-boot.ts';
import { explainFull, freeDiskBytes } from './full.ts';
import { diskLayout, machineLayout, type DiskLayout, type MachineLayout } from './layout.ts';
import type { ProgressListener, SavedState } from './parts.ts';
import { runsNow } from './running.ts';
import { SnapshotChain, type ChainedSnapshot } from './snapshot-chain.ts';
import type { OpenedAbout, Platform, SnapshotAbout } from './snapshot-contents.ts';
import { platformOf } from './snapshots.ts';

const MIB = 2 ** 20;
const UNTOUCHED = 'a state goes on only where it was: nothing was changed';

export interface RestoreOrder extends Omit<StartOrder, 'card'>, ChainedSnapshot {
  /** What it continues, from the whole one on to the one right before it. */
  readonly ancestors: readonly ChainedSnapshot[];
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
  progress({ step: 'opening the snapshot' });
  const here = context.parts.host.accelerator().then((accelerator) => platformOf(context, spec, accelerator));
  here.catch(() => undefined); // told below
  await using chain = await SnapshotChain.open(context, order.machine, [...order.ancestors, order]).catch(
    (error: unknown) => {
      throw asRestoreError(error);
    },
  );
  const { about } = chain.newest;
  refuseOther(spec, about, await here);
  const imported = await requireSameDisks(context, order, chain.newest);
  try {
    await endBoot(context, machine);
    await setAside(context, machine, imported);
    return await putInPlace(context, { machine, imported, order, chain, progress });
  } catch (error) {
    const explained = asRestoreError(await explainFull(context, error));
    await sweepRestore(context, machine);
    throw explained;
  }
}

/** What a restore that was broken off has left: a machine that runs is what it was put back to, any other what it was before. */
export async function sweepRestore(context: WardenContext, machine: MachineLayout): Promise<void> {
  const { disks = [] } = await requireSpec(machine);
  const imported = disks.map((id) => diskLayout(context.layout, id));
  if ((await isThere(markOf(machine))) && !(await runsNow(context, machine))) {
    context.note(`${machine.id}: it was not put back to a snapshot, and is what it was before`);
    for (const { place, aside } of layingAside(machine, imported)) {
      if (!(await isThere(aside))) continue;
      await rm(place, { recursive: true, force: true });
      await rename(aside, place);
      await syncDirectory(dirname(place));
    }
  }
  await leaveBehind(machine, imported);
}

export function refuseOther(spec: VmSpec, about: SnapshotAbout, here: Platform): void {
  const { platform } = about;
  const differences = [
    ...(['image', 'cpus', 'memoryMiB', 'diskMiB'] as const)
      .filter((field) => spec[field] !== about.spec[field])
      .map((field) => `${field} ${String(about.spec[field])}, the machine has ${String(spec[field])}`),
    ...(namesOf(spec) === namesOf(about.spec) ? [] : [`${namesOf(about.spec)}, the machine has ${namesOf(spec)}`]),
    ...(['accelerator', 'qemu', 'firmware', 'image', 'cpu'] as const)
      .filter((field) => platform[field] !== here[field])
      .map((field) => `${NAMES[field]} ${platform[field]}, here is ${here[field]}`),
  ];
  if (differences.length === 0) return;
  throw new RingwallError('conflict', `the snapshot was taken with ${differences.join('; with ')}`, {
    hint: UNTOUCHED,
  });
}

const NAMES: Readonly<Record<keyof Platform, string>> = {
  accelerator: 'the accelerator',
  qemu: 'QEMU',
  firmware: 'the firmware',
  image: 'the image',
  cpu: 'the processor',
};

function namesOf({ disks = [] }: VmSpec): string {
  return disks.length === 0 ? 'no imported disks' : `the imported disks ${disks.join(' and ')}`;
}

/** Each is here, whole, of that size and nobody else's, and comes with its key; and there is room for them beside what they are now. */
async function requireSameDisks(
  context: WardenContext,
  { machine, diskKeys }: RestoreOrder,
  { about, diskBytes }: OpenedAbout,
): Promise<DiskLayout[]> {
  const [, ...importedBytes] = diskBytes;
  const imported: DiskLayout[] = [];
  for (const [index, id] of (about.spec.disks ?? []).entries()) {
    const disk = await requireImportedDisk(context, id);
    const other = await machineWith(context, id, machine);
    if (other !== undefined) throw new RingwallError('conflict', `${other} has ${id} now`, { hint: UNTOUCHED });
    const { fileBytes } = disk;
    if (fileBytes !== importedBytes[index]) {
      throw new RingwallError('conflict', `${id} has ${fileBytes} bytes, and ${importedBytes[index]} in the snapshot`, {
        hint: UNTOUCHED,
      });
    }
    if (diskKeys?.some((key) => key.disk === id) !== true) {
      throw new RingwallError('bad-request', `no key of ${id} came with the restore`);
    }
    imported.push(disk);
  }
  const neededBytes = importedBytes.reduce((sum, bytes) => sum + bytes, 0);
  const freeBytes = await freeDiskBytes(context);
  if (neededBytes <= freeBytes) return imported;
  const [needed, free] = [neededBytes, freeBytes].map((bytes) => Math.ceil(bytes / MIB));
  throw new RingwallError(
    'host-full',
    `its imported disks take ${needed} MiB beside what they are, ${free} MiB are free`,
    {
      hint: 'make room on the file system of the state directory: nothing was changed',
    },
  );
}

interface Placing {
  readonly machine: MachineLayout;
  readonly imported: readonly DiskLayout[];
  readonly order: RestoreOrder;
  readonly chain: SnapshotChain;
  readonly progress: ProgressListener;
}

/**
 * Memory and disks are opened straight to where they belong. A VMM that is started meanwhile waits for its devices, which it gets when all
 * was found to be what was sealed (docs/decisions/2026-11-22-a-vmm-waits-for-its-memory.md).
 */
async function putInPlace(context: WardenContext, placing: Placing): Promise<WardenResponse<'restore-machine'>> {
  const { machine, imported, order, chain, progress } = placing;
  await using opened = new AsyncDisposableStack();
  const disks: FileHandle[] = [];
  for (const [index, path] of [machine.disk, ...imported.map(({ file }) => file)].entries()) {
    const disk = opened.use(await open(path, 'wx', 0o600));
    // A VMM may write no file that is longer than the longest it was started with.
    await disk.truncate(chain.newest.diskBytes[index] ?? 0);
    disks.push(disk);
  }
  await makeDirectory(machine.tpmState, 0o700);
  const { devicesBytes, witnessBytes, about } = chain.newest;
  const { card } = about;
  const devices = makeSharedMemory(devicesBytes);
  const witness = witnessBytes === 0 ? undefined : makeSharedMemory(witnessBytes);
  const state: SavedState = {
    fillMemory: async (memory, signal) => {
      const places = {
        memory,
        disks: disks.map(({ fd }) => fd),
        devices,
        ...(witness === undefined ? {} : { witness }),
      };
      await chain.openInto(places, (fraction) => progress({ step: 'opening memory and disks', fraction }), signal);
      for (const disk of disks) await disk.sync();
    },
    devices: () => bytesOf(devices),
    ...(witness === undefined ? {} : { witness: () => bytesOf(witness) }),
    ...(card === undefined ? {} : { card }),
  };
  const started = await startMachine(context, order, progress, state);
  await leaveBehind(machine, imported);
  return started;
}

function bytesOf(memory: SharedMemory): Uint8Array {
  return Buffer.concat(memory.map((segment) => Buffer.from(segment)));
}

/** The mark counts for what lies aside from then on: nothing of an earlier time may lie there, and what counts still is put back. */
async function setAside(
  context: WardenContext,
  machine: MachineLayout,
  imported: readonly DiskLayout[],
): Promise<void> {
  await sweepRestore(context, machine);
  await writeFileAtomic(markOf(machine), '');
  await makeDirectory(machine.before, 0o700);
  for (const { place, aside } of layingAside(machine, imported)) {
    await rename(place, aside);
    await syncDirectory(dirname(aside));
    await syncDirectory(dirname(place));
  }
}

/** The mark first: from then on what lies in place is what counts. */
async function leaveBehind(machine: MachineLayout, imported: readonly DiskLayout[]): Promise<void> {
  if (await isThere(markOf(machine))) {
    await rm(markOf(machine));
    await syncDirectory(machine.record);
  }
  await rm(machine.before, { recursive: true, force: true });
  for (const { before } of imported) await rm(before, { force: true });
}

/** Imported disks stay in their own directories, which may be another file system. */
function layingAside(
  { disk, tpmState, before }: MachineLayout,
  imported: readonly DiskLayout[],
): readonly { readonly place: string; readonly aside: string }[] {
  return [
    { place: disk, aside: join(before, 'disk.img') },
    { place: tpmState, aside: join(before, 'tpm') },
    ...imported.map((each) => ({ place: each.file, aside: each.before })),
  ];
}

function markOf({ record }: MachineLayout): string {
  return join(record, 'restoring');
}

export function asRestoreError(error: unknown): unknown {
  if (!(error instanceof SealError)) return error;
  return new RingwallError('proof-invalid', `the snapshot is not what was sealed: ${error.message}`, {
    hint: 'nothing of it was used; the machine is as it was',
    cause: error,
  });
}
