// Takes a snapshot of a machine that runs, and keeps it: one sealed object, whole or not there. Memory and disks are copied while the
// guest works; while it stands still, only what has changed since; and all of it is sealed when it works again.
import { open, rename, rm, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { RingwallError, type MachineId, type SnapshotId } from '@ringwall/api';
import type { SnapshotReport } from '@ringwall/api/snapshots';
import type { SealedKey, VmSpec, WardenResponse } from '@ringwall/api/warden';
import { sharedMemoryOf, type DigestedCopy } from '@ringwall/host/memory';
import { sealFiles, type SealedFiles, type SealSource } from '@ringwall/host/seal';
import { scrub, SealError } from '@ringwall/seal';
import { makeDirectory, namesIn, syncDirectory, syncMeanwhile, writeFileAtomic } from '../files/index.ts';
import { requireSpec } from './boots.ts';
import type { WardenContext } from './context.ts';
import type { Continuation } from './continuations.ts';
import { DiskCopies, type DiskFile } from './disk-copies.ts';
import { requireImportedDisk } from './disks.ts';
import { explainFull, freeDiskBytes } from './full.ts';
import { imageDir, machineLayout, snapshotFile, type MachineLayout } from './layout.ts';
import type { CopiedMemory, ProgressListener, StoppedMachine } from './parts.ts';
import { isRunningBoot, readBoot, type RunningBoot } from './records.ts';
import { healthOf, MEMORY_RESERVE_MIB } from './running.ts';
import { diskPart, PARTS, renderAbout, type Platform, type SnapshotAbout } from './snapshot-contents.ts';

/** Read at a time for a look at it. */
const READ_BYTES = 2 ** 20;
const MIB = 2 ** 20;
/** Behind the name of what is not whole, or only there while one is made. */
const UNFINISHED = '.new';
/** From the end of a VMM's monitor to the end of the VMM. */
const EXIT_MS = 500;
/** For what hears us on its way to a VMM that is about to stand still: it takes it in within a turn of its loop. */
const SETTLE_MS = 5;

export interface SnapshotOrder {
  readonly machine: MachineId;
  readonly boot: string;
  readonly snapshot: SnapshotId;
  readonly sequence: number;
  readonly key: SealedKey;
  /** The one that it may continue, where this boot has taken it last. */
  readonly after?: SnapshotId | undefined;
}

export interface TakingCall {
  readonly progress: ProgressListener;
  /** Whoever has asked for it wants it no more: there is none then. */
  readonly signal: AbortSignal;
  /** In the machine's queue. */
  readonly inTurn: <T>(work: () => Promise<T>) => Promise<T>;
}

/** The machine's queue is held until the guest goes on; what is left then is sealed beside whatever happens to the machine. */
export async function takeSnapshot(
  context: WardenContext,
  order: SnapshotOrder,
  { progress, inTurn, signal }: TakingCall,
): Promise<WardenResponse<'take-snapshot'>> {
  using key = context.keys.open(order.key, { snapshot: order.snapshot, machine: order.machine, use: 'take' });
  const machine = machineLayout(context.layout, order.machine);
  const file = snapshotFile(context.layout, order.machine, order.snapshot);
  const unfinished = `${file}${UNFINISHED}`;
  const diskCopy = (index: number): string => `${file}.${diskPart(index)}${UNFINISHED}`;
  await makeDirectory(machine.snapshots, 0o700);
  const startedMs = performance.now();
  try {
    await using object = await open(unfinished, 'wx+', 0o600);
    const seal = async ({ about, disks, state, before }: Copied): Promise<Sealed> => {
      const digested = before === undefined ? undefined : await state.copied?.digest();
      const sources = sourcesOf({ about, disks, state, before }, digested);
      const total = sources.reduce((sum, { bytes }) => sum + bytes, 0);
      const files = await syncMeanwhile(object, () =>
        sealFiles(sources, object.fd, {
          signal,
          crew: state.copied?.crew,
          recipients: [{ kind: 'key', key: key.expose() }],
          about: { kind: 'machine', machine: order.machine, snapshot: order.snapshot, sequence: order.sequence },
          ...(before === undefined ? {} : { parent: { object: before.object, root: before.root } }),
          onDone: (done) => progress({ step: 'sealing what was copied', fraction: Math.min(1, done / total) }),
        }),
      );
      return { files, digested };
    };
    await using copied = await inTurn(() => copyMachine(context, { machine, order, diskCopy, progress, seal, signal }));
    const { files, digested } = copied.sealed ?? (await seal(copied));
    await object.sync();
    await rename(unfinished, file);
    await syncDirectory(machine.snapshots);
    const { root, stored: bytes } = files;
    const { pauseMs, before } = copied;
    context.note(`${machine.id}: ${order.snapshot} was taken, its guest stood still for ${pauseMs.toFixed(0)} ms`);
    const tookMs = performance.now() - startedMs;
    const { boot, snapshot } = order;
    // A boot that has ended meanwhile is continued by nothing.
    const memory = (await readBoot(machine))?.boot === boot ? copied.letGo() : undefined;
    if (memory === undefined) context.continuations.forget(order.machine);
    else context.continuations.begin(order.machine, { boot, snapshot, object: files.object, root }, memory, digested);
    return { root, bytes, pauseMs, tookMs, ...(before === undefined ? {} : { parent: before.snapshot }) };
  } catch (error) {
    throw await explainFull(context, error);
  } finally {
    await removeUnfinished(machine, (snapshot) => snapshot === order.snapshot);
  }
}

export interface CheckOrder {
  readonly machine: MachineId;
  readonly snapshot: SnapshotId;
  readonly root: string;
  /** The root of the one that it continues. */
  readonly parent?: string | undefined;
}

/** Looks at every byte of it, against the root that was kept elsewhere. No key is needed. */
export async function checkSnapshot(
  { layout }: WardenContext,
  { machine, snapshot, root, parent }: CheckOrder,
): Promise<SnapshotReport> {
  await using object = await openSnapshot(snapshotFile(layout, machine, snapshot));
  try {
    const report = await scrub(object.createReadStream({ autoClose: false, highWaterMark: READ_BYTES }));
    const { records, damaged, damages, manifest } = report;
    const isIt = report.rootFits && report.root === root;
    const continued = manifest.parent?.root;
    const reason = !isIt
      ? 'it is another object than the one that was sealed'
      : continued === parent
        ? undefined
        : `it continues ${continued === undefined ? 'none' : `the object ${continued}`}, not what is recorded`;
    const at = damages.map(({ offset }) => offset);
    if (damaged > 0 || reason === undefined) return { whole: damaged === 0, records, damaged, at };
    return { whole: false, records, damaged, at, reason };
  } catch (error) {
    if (!(error instanceof SealError)) throw error;
    const at = error.offset === undefined ? [] : [error.offset];
    return { whole: false, records: 0, damaged: 0, at, reason: error.message };
  }
}

/** Idempotent. */
export async function removeSnapshot(
  { layout, continuations, templates }: WardenContext,
  { machine, snapshot }: { readonly machine: MachineId; readonly snapshot: SnapshotId },
): Promise<Record<string, never>> {
  await continuations.drop(machine, snapshot);
  await templates.release(snapshot, () => rm(snapshotFile(layout, machine, snapshot), { force: true }));
  return {};
}

/** What a crash left half written. */
export async function sweepSnapshots({ note, underWay }: WardenContext, machine: MachineLayout): Promise<void> {
  if (!(await removeUnfinished(machine, (snapshot) => !underWay(snapshot)))) return;
  note(`${machine.id}: what was left of a snapshot that was not taken whole is removed`);
}

/** Of the snapshots that are meant; whether there was anything. */
async function removeUnfinished(machine: MachineLayout, isMeant: (snapshot: string) => boolean): Promise<boolean> {
  const names = (await namesIn(machine.snapshots)).filter((name) => {
    const [snapshot = ''] = name.split('.');
    return name.endsWith(UNFINISHED) && isMeant(snapshot);
  });
  for (const name of names) await rm(join(machine.snapshots, name), { force: true });
  return names.length > 0;
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

/** Its own, then those that were imported. */
async function diskFilesOf(context: WardenContext, machine: MachineLayout, spec: VmSpec): Promise<DiskFile[]> {
  const imported = (spec.disks ?? []).map((id) => requireImportedDisk(context, id));
  return [{ file: machine.disk, fileBytes: spec.diskMiB * MIB }, ...(await Promise.all(imported))];
}

async function requireRunning(context: WardenContext, machine: MachineLayout, boot: string): Promise<RunningBoot> {
  const record = await readBoot(machine);
  const runs = record !== undefined && isRunningBoot(record) && record.boot === boot;
  if (runs && record.goesOnFrom !== undefined) {
    throw new RingwallError('conflict', 'the machine goes on from a template: its memory cannot be saved', {
      hint: 'stop it and start it, so that it boots as itself',
    });
  }
  if (runs && (await healthOf(context, machine, record)) === 'running') return record;
  throw new RingwallError('conflict', 'the machine does not run in this boot', {
    hint: 'see what it does: ringwall show NAME',
  });
}

interface Taking {
  readonly machine: MachineLayout;
  readonly order: SnapshotOrder;
  /** Where its disk at this index is copied to. */
  readonly diskCopy: (index: number) => string;
  readonly progress: ProgressListener;
  readonly seal: (copied: Copied) => Promise<Sealed>;
  readonly signal: AbortSignal;
}

interface Copied {
  readonly about: SnapshotAbout;
  readonly disks: DiskCopies;
  readonly state: StoppedMachine;
  /** What it continues; what is as it was there was not copied. */
  readonly before: Continuation | undefined;
}

interface Sealed {
  readonly files: SealedFiles;
  /** Of the copy of memory, where it had to be known. */
  readonly digested: DigestedCopy | undefined;
}

interface CopiedMachine extends AsyncDisposable, Copied {
  readonly pauseMs: number;
  /** Where there was no room for a copy of its memory: it is sealed already, while the guest stood still. */
  readonly sealed: Sealed | undefined;
  /** The copy of memory, whose end is another's business then. */
  readonly letGo: () => CopiedMemory | undefined;
}

async function copyMachine(context: WardenContext, taking: Taking): Promise<CopiedMachine> {
  const { machine, order, diskCopy, progress, seal, signal } = taking;
  const spec = await requireSpec(machine);
  const record = await requireRunning(context, machine, order.boot);
  await using opened = new AsyncDisposableStack();
  const disks = opened.use(await DiskCopies.open(await diskFilesOf(context, machine, spec), diskCopy));
  const { snapshot: name, after } = order;
  const known = await context.continuations.find(machine.id, record.boot, after);
  const { memoryMiB } = spec;
  const copying = { memoryMiB, name, disks: spec.disks ?? [], before: known?.snapshot };
  await using copy = await context.parts.vmm.copy(machine, record, copying);
  const continued = copy.continues ? known : undefined;
  progress({ step: 'copying its memory and its disks while it runs' });
  const work = [
    platformOf(context, spec, record.accelerator),
    // One after the other: what one takes, the next does not count on.
    context.copies.run('memory', async () => copy.copyMemory(await freeBytes(context), continued?.pages)),
    freeDiskBytes(context).then((most) => disks.follow(copy, most)),
  ] as const;
  // What fails is told when nothing works any more on what is ended then.
  await Promise.allSettled(work);
  const [platform, isCopied] = await Promise.all(work);
  signal.throwIfAborted();
  const saved: SnapshotAbout = { version: 1, takenAt: new Date().toISOString(), spec, platform };
  if (!isCopied) {
    context.note(`${machine.id}: no room for a copy of its memory, it stands still until that is sealed`);
    progress({ step: 'sealing its memory while it stands still: there is no room for a copy' });
  }
  const taken = Promise.withResolvers<Pick<CopiedMachine, 'about' | 'state' | 'sealed'>>();
  let memory: CopiedMemory | undefined;
  opened.defer(() => memory?.[Symbol.dispose]());
  const { pauseMs } = await stoodStill(context, { machine, record }, () =>
    copy.save({
      takeWritten: (extents) => disks.take(extents),
      takeState: async (state) => {
        memory = state.copied;
        const about = state.card === undefined ? saved : { ...saved, card: state.card };
        const sealed = isCopied ? undefined : await seal({ about, disks, state, before: continued });
        taken.resolve({ about, state, sealed });
      },
    }),
  ).catch((error: unknown) => tellEnded(context, record, error));
  const toDispose = opened.move();
  const { about, state, sealed } = await taken.promise;
  const letGo = (): CopiedMemory | undefined => {
    const given = memory;
    memory = undefined;
    return given;
  };
  const copied = { about, disks, state, before: continued, sealed, pauseMs, letGo };
  return { ...copied, [Symbol.asyncDispose]: () => toDispose.disposeAsync() };
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

/** Of a VMM that has ended meanwhile, what went wrong says only how that was noticed. */
async function tellEnded({ parts }: WardenContext, { vmm }: RunningBoot, error: unknown): Promise<never> {
  const isItsOwn = error instanceof RingwallError && (error.code === 'vmm-failed' || error.code === 'timeout');
  if (!isItsOwn || !(await parts.host.waitForExit(vmm, EXIT_MS))) throw error;
  throw new RingwallError('vmm-failed', 'QEMU ended while the machine stood still to be saved: there is no snapshot', {
    hint: 'start the machine, and take it again',
    cause: error,
  });
}

/** What may be held at once of a guest's memory. */
async function freeBytes({ parts }: WardenContext): Promise<number> {
  const { memoryMiB } = await parts.host.capacity();
  return Math.max(0, memoryMiB - MEMORY_RESERVE_MIB) * MIB;
}

/** Devices and witness last: they are of another length each time, and all others must lie where they lie in what this one continues. */
function sourcesOf({ about, disks, state, before }: Copied, digested: DigestedCopy | undefined): SealSource[] {
  const aboutBytes = renderAbout(about);
  const keptOfMemory = before === undefined ? undefined : digested?.kept;
  const zeros = state.copied?.zeros;
  const memory = {
    ...{ name: PARTS.memory, place: state.memory, bytes: about.spec.memoryMiB * MIB },
    ...(zeros === undefined ? {} : { zeros }),
  };
  const contents = disks.disks.map(({ descriptor, bytes, untaken }, index) => ({
    ...{ name: diskPart(index), place: descriptor, bytes },
    ...(before === undefined ? {} : { kept: untaken }),
  }));
  return [
    { name: PARTS.about, place: sharedMemoryOf(aboutBytes), bytes: aboutBytes.length },
    keptOfMemory === undefined ? memory : { ...memory, kept: keptOfMemory },
    ...contents,
    { name: PARTS.devices, place: sharedMemoryOf(state.devices), bytes: state.devices.length },
    ...(state.witness === undefined
      ? []
      : [{ name: PARTS.witness, place: sharedMemoryOf(state.witness), bytes: state.witness.length }]),
  ];
}
