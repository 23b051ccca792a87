// Takes a snapshot of a machine that runs, and keeps it: one sealed object, whole or not there. Memory and disk are copied while the
// guest works; while it stands still, only what has changed since; and all of it is sealed when it works again.
import { open, rename, rm, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { FOREIGN_IMAGE, RingwallError, type MachineId, type SnapshotId } from '@ringwall/api';
import type { SnapshotReport } from '@ringwall/api/snapshots';
import type { SealedKey, VmSpec, WardenResponse } from '@ringwall/api/warden';
import { sharedMemoryOf } from '@ringwall/host/memory';
import { sealFiles, type SealedFiles, type SealSource } from '@ringwall/host/seal';
import { scrub, SealError } from '@ringwall/seal';
import { makeDirectory, namesIn, syncDirectory, writeFileAtomic } from '../files/index.ts';
import { requireSpec } from './boots.ts';
import type { WardenContext } from './context.ts';
import { DiskCopy } from './disk-copy.ts';
import { explainFull } from './full.ts';
import { imageDir, machineLayout, snapshotFile, type MachineLayout } from './layout.ts';
import type { ProgressListener, StoppedMachine } from './parts.ts';
import { isRunningBoot, readBoot, type RunningBoot } from './records.ts';
import { healthOf, MEMORY_RESERVE_MIB } from './running.ts';
import { PARTS, renderAbout, type Platform, type SnapshotAbout } from './snapshot-contents.ts';

/** Read at a time for a look at it. */
const READ_BYTES = 2 ** 20;
const MIB = 2 ** 20;
/** Behind the name of what is not whole, or only there while one is made. */
const UNFINISHED = '.new';
/** For what hears us on its way to a VMM that is about to stand still: it takes it in within a turn of its loop. */
const SETTLE_MS = 5;

export interface SnapshotOrder {
  readonly machine: MachineId;
  readonly boot: string;
  readonly snapshot: SnapshotId;
  readonly sequence: number;
  readonly key: SealedKey;
}

export interface TakingCall {
  readonly progress: ProgressListener;
  /** In the machine's queue. */
  readonly inTurn: <T>(work: () => Promise<T>) => Promise<T>;
}

/** The machine's queue is held until the guest goes on; what is left then is sealed beside whatever happens to the machine. */
export async function takeSnapshot(
  context: WardenContext,
  order: SnapshotOrder,
  { progress, inTurn }: TakingCall,
): Promise<WardenResponse<'take-snapshot'>> {
  using key = context.keys.open(order.key, { snapshot: order.snapshot, machine: order.machine, use: 'take' });
  const machine = machineLayout(context.layout, order.machine);
  const file = snapshotFile(context.layout, order.machine, order.snapshot);
  const [unfinished, diskCopy] = [`${file}${UNFINISHED}`, `${file}.disk${UNFINISHED}`];
  await makeDirectory(machine.snapshots, 0o700);
  const startedMs = performance.now();
  try {
    await using object = await open(unfinished, 'wx+', 0o600);
    const seal = async (about: SnapshotAbout, disk: DiskCopy, state: StoppedMachine): Promise<SealedFiles> => {
      const sources = sourcesOf({ about, disk, state });
      const total = sources.reduce((sum, { bytes }) => sum + bytes, 0);
      return sealFiles(sources, object.fd, {
        recipients: [{ kind: 'key', key: key.expose() }],
        about: { kind: 'machine', machine: order.machine, snapshot: order.snapshot, sequence: order.sequence },
        onDone: (done) => progress({ step: 'sealing what was copied', fraction: Math.min(1, done / total) }),
      });
    };
    await using copied = await inTurn(() => copyMachine(context, { machine, order, diskCopy, progress, seal }));
    const { root, stored: bytes } = copied.sealed ?? (await seal(copied.about, copied.disk, copied.state));
    await object.sync();
    await rename(unfinished, file);
    await syncDirectory(machine.snapshots);
    const { pauseMs } = copied;
    context.note(`${machine.id}: ${order.snapshot} was taken, its guest stood still for ${pauseMs.toFixed(0)} ms`);
    return { root, bytes, pauseMs, tookMs: performance.now() - startedMs };
  } catch (error) {
    const explained = await explainFull(context, error);
    await rm(unfinished, { force: true });
    throw explained;
  } finally {
    await rm(diskCopy, { force: true });
  }
}

/** Looks at every byte of it, against the root that was kept elsewhere. No key is needed. */
export async function checkSnapshot(
  { layout }: WardenContext,
  { machine, snapshot, root }: { readonly machine: MachineId; readonly snapshot: SnapshotId; readonly root: string },
): Promise<SnapshotReport> {
  await using object = await openSnapshot(snapshotFile(layout, machine, snapshot));
  try {
    const report = await scrub(object.createReadStream({ autoClose: false, highWaterMark: READ_BYTES }));
    const { records, damaged, damages } = report;
    const isIt = report.rootFits && report.root === root;
    const reason = damaged === 0 && !isIt ? { reason: 'it is another object than the one that was sealed' } : {};
    return { whole: damaged === 0 && isIt, records, damaged, at: damages.map(({ offset }) => offset), ...reason };
  } catch (error) {
    if (!(error instanceof SealError)) throw error;
    const at = error.offset === undefined ? [] : [error.offset];
    return { whole: false, records: 0, damaged: 0, at, reason: error.message };
  }
}

/** Idempotent. */
export async function removeSnapshot(
  { layout }: WardenContext,
  { machine, snapshot }: { readonly machine: MachineId; readonly snapshot: SnapshotId },
): Promise<Record<string, never>> {
  await rm(snapshotFile(layout, machine, snapshot), { force: true });
  return {};
}

/** What a crash left half written. */
export async function sweepSnapshots({ note, underWay }: WardenContext, machine: MachineLayout): Promise<void> {
  for (const name of await namesIn(machine.snapshots)) {
    const [snapshot = ''] = name.split('.');
    if (!name.endsWith(UNFINISHED) || underWay(snapshot)) continue;
    note(`${machine.id}: what is left of a snapshot that was not taken whole is removed`);
    await rm(join(machine.snapshots, name), { force: true });
  }
}

export async function openSnapshot(file: string): Promise<FileHandle> {
  return open(file, 'r').catch((cause: unknown) => {
    throw new RingwallError('not-found', `the snapshot ${file} is gone`, {
      hint: 'restore it from a backup, or remove it: ringwall snapshot rm',
      cause,
    });
  });
}

/** What must be the same where a state is loaded that was saved here. */
export async function platformOf(
  { layout, parts }: WardenContext,
  spec: VmSpec,
  accelerator: Platform['accelerator'],
): Promise<Platform> {
  const { qemu, firmware, cpu } = await parts.host.platform();
  const image = await parts.images.read(imageDir(layout, spec.image));
  return { accelerator, qemu, firmware, image: image?.digest ?? 'none', cpu: accelerator === 'kvm' ? cpu : 'emulated' };
}

function refuseUnsaved(spec: VmSpec): void {
  if (spec.image === FOREIGN_IMAGE) {
    throw new RingwallError('conflict', 'a machine with a system of its own cannot be saved yet', {
      hint: 'what stands between it and its TPM keeps a state of its own; copy its disk while it is stopped',
    });
  }
  if ((spec.disks ?? []).length > 0) {
    throw new RingwallError('conflict', 'a machine with imported disks cannot be saved yet');
  }
}

async function requireRunning(context: WardenContext, machine: MachineLayout, boot: string): Promise<RunningBoot> {
  const record = await readBoot(machine);
  const runs = record !== undefined && isRunningBoot(record) && record.boot === boot;
  if (runs && (await healthOf(context, machine, record)) === 'running') return record;
  throw new RingwallError('conflict', 'the machine does not run in this boot', {
    hint: 'see what it does: ringwall show NAME',
  });
}

interface Taking {
  readonly machine: MachineLayout;
  readonly order: SnapshotOrder;
  /** Where its disk is copied to. */
  readonly diskCopy: string;
  readonly progress: ProgressListener;
  readonly seal: (about: SnapshotAbout, disk: DiskCopy, state: StoppedMachine) => Promise<SealedFiles>;
}

interface CopiedMachine extends AsyncDisposable {
  readonly about: SnapshotAbout;
  readonly disk: DiskCopy;
  readonly state: StoppedMachine;
  readonly pauseMs: number;
  /** Where there was no room for a copy of its memory: it is sealed already, while the guest stood still. */
  readonly sealed: SealedFiles | undefined;
}

async function copyMachine(context: WardenContext, taking: Taking): Promise<CopiedMachine> {
  const { machine, order, diskCopy, progress, seal } = taking;
  const spec = await requireSpec(machine);
  refuseUnsaved(spec);
  const record = await requireRunning(context, machine, order.boot);
  if (record.card !== undefined) {
    throw new RingwallError('conflict', 'a machine with a card in a network cannot be saved yet');
  }
  const platform = await platformOf(context, spec, record.accelerator);
  const about: SnapshotAbout = { version: 1, takenAt: new Date().toISOString(), spec, platform };

  await using opened = new AsyncDisposableStack();
  const disk = opened.use(await DiskCopy.open(machine.disk, diskCopy));
  await using copy = await context.parts.vmm.copy(machine, record, spec.memoryMiB);
  progress({ step: 'copying its disk while it runs' });
  await disk.follow(copy);
  progress({ step: 'copying its memory while it runs' });
  const isCopied = await copy.copyMemory(await freeBytes(context));
  if (!isCopied) {
    context.note(`${machine.id}: no room for a copy of its memory, it stands still until that is sealed`);
    progress({ step: 'sealing its memory while it stands still: there is no room for a copy' });
  }
  const taken = Promise.withResolvers<Pick<CopiedMachine, 'state' | 'sealed'>>();
  const { pauseMs } = await stoodStill(context, { machine, record }, () =>
    copy.save({
      takeWritten: (extents) => disk.take(extents),
      takeState: async (state) => {
        taken.resolve({ state, sealed: isCopied ? undefined : await seal(about, disk, state) });
      },
    }),
  );
  const toDispose = opened.move();
  const { state, sealed } = await taken.promise;
  return { about, disk, state, sealed, pauseMs, [Symbol.asyncDispose]: () => toDispose.disposeAsync() };
}

/** Around a stop: nothing reaches the guest meanwhile, and should we die in it, the next of us lets the guest go on. */
async function stoodStill<T>(
  { parts, holders }: WardenContext,
  { machine, record }: { readonly machine: MachineLayout; readonly record: RunningBoot },
  work: () => Promise<T>,
): Promise<T> {
  // What QEMU puts into a guest's queue after its devices are out would be in its memory, and not in them.
  using _ = holders.hold(machine.id);
  await sleep(SETTLE_MS);
  await writeFileAtomic(machine.saving, '');
  try {
    return await work();
  } finally {
    if ((await parts.vmm.status(machine, record)) === 'running') await rm(machine.saving, { force: true });
  }
}

/** What may be held at once of a guest's memory. */
async function freeBytes({ parts }: WardenContext): Promise<number> {
  const { memoryMiB } = await parts.host.capacity();
  return Math.max(0, memoryMiB - MEMORY_RESERVE_MIB) * MIB;
}

function sourcesOf(taken: Pick<CopiedMachine, 'about' | 'disk' | 'state'>): SealSource[] {
  const { about, disk, state } = taken;
  const aboutBytes = renderAbout(about);
  return [
    { name: PARTS.about, place: sharedMemoryOf(aboutBytes), bytes: aboutBytes.length },
    { name: PARTS.devices, place: sharedMemoryOf(state.devices), bytes: state.devices.length },
    { name: PARTS.memory, place: state.memory, bytes: about.spec.memoryMiB * MIB },
    { name: PARTS.disk, place: disk.descriptor, bytes: disk.bytes },
  ];
}
