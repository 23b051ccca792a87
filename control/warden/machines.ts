// Makes and removes a machine. spec.json is written last and removed first: without it there is no machine, only what a
// crash left, which the next create makes anew and the next sweep removes. Both run inside the machine's queue.
import { open, rename, rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { FOREIGN_IMAGE, RingwallError, type DiskId, type MachineId } from '@ringwall/api';
import type { VmSpec, WardenResponse } from '@ringwall/api/warden';
import { isThere, makeDirectory, namesIn, readFileBounded, syncDirectory, writeFileAtomic } from '../files/index.ts';
import type { WardenContext } from './context.ts';
import { discardDisk } from './disk-records.ts';
import { requireImportedDisk } from './disks.ts';
import { endBoot } from './end-boot.ts';
import { DISK_RESERVE_MIB, explainFull } from './full.ts';
import { requireKnownImage } from './images.ts';
import { diskLayout, isDiskId, machineLayout, notYetBack, type MachineLayout } from './layout.ts';
import { sweepRestore } from './restore.ts';
import { MEMORY_RESERVE_MIB, runsNow } from './running.ts';
import { overwriteHeader } from './overwrite-header.ts';
import { readSpec, writeBoot, writeSpec } from './records.ts';
import { sweepSnapshots } from './snapshots.ts';

const MIB = 1024 * 1024;

/** An EK certificate must fit its NV index of the TPM, 1,024 bytes; the file has no reason to be larger. */
const CERTIFICATE_LIMIT_BYTES = 4096;
/** The ids of a machine's imported disks. */
const MARK_LIMIT_BYTES = 4096;

export async function createMachine(
  context: WardenContext,
  id: MachineId,
  spec: VmSpec,
): Promise<WardenResponse<'create-machine'>> {
  const machine = machineLayout(context.layout, id);
  const existing = await readSpec(machine);
  if (existing !== undefined) {
    if (!sameSpec(existing.spec, spec)) {
      throw new RingwallError('conflict', 'the machine exists with another specification');
    }
    await rm(creatingMark(machine), { force: true });
    return await answerCreated(context, machine);
  }
  await refuseLostRecord(machine);
  if (spec.image !== FOREIGN_IMAGE) requireKnownImage(context, spec.image);
  await checkHost(context, spec);
  for (const disk of spec.disks ?? []) await requireImportedDisk(context, disk);
  await discard(context, machine);
  try {
    await build(context, machine, spec);
  } catch (error) {
    const explained = await explainFull(context, error);
    await discard(context, machine);
    throw explained;
  }
  return await answerCreated(context, machine);
}

/** A machine that comes from another host: its disk and its TPM are in a snapshot, which `place` puts where it belongs. */
export async function makeArrived(
  context: WardenContext,
  machine: MachineLayout,
  { spec, ekCertificate, place }: Arrived,
): Promise<void> {
  await refuseLostRecord(machine);
  requireKnownImage(context, spec.image);
  await checkHost(context, spec);
  await discard(context, machine);
  try {
    await makeDirectory(machine.record, 0o700);
    // The imported disks that come with it are made with it: what a crash leaves of them goes with the rest.
    await writeFileAtomic(creatingMark(machine), (spec.disks ?? []).join('\n'));
    await makeDirectory(machine.data, 0o711);
    await makeDisk(machine, spec.diskMiB * MIB);
    await makeDirectory(machine.tpmState, 0o700);
    await writeFileAtomic(notYetBack(machine), '');
    await context.parts.tpm.expect(machine);
    await writeFileAtomic(machine.ekCertificate, ekCertificate);
    await place();
    await writeSpec(machine, { version: 1, machine: machine.id, spec, createdAt: new Date().toISOString() });
    await rm(creatingMark(machine), { force: true });
  } catch (error) {
    const explained = await explainFull(context, error);
    await discard(context, machine);
    throw explained;
  }
}

interface Arrived {
  readonly spec: VmSpec;
  readonly ekCertificate: Uint8Array;
  readonly place: () => Promise<void>;
}

/** Of one that goes to another host and comes back: what its state is of. Its network stays where it is. */
export function sameMachine(here: VmSpec, there: VmSpec): void {
  if (sameState(here, there)) return;
  throw new RingwallError('conflict', 'the machine here has another specification than the one in the snapshot');
}

export async function removeMachine(context: WardenContext, id: MachineId): Promise<WardenResponse<'remove-machine'>> {
  const machine = machineLayout(context.layout, id);
  if (await runsNow(context, machine)) {
    throw new RingwallError('conflict', 'the machine runs', { hint: 'stop it first: ringwall stop NAME' });
  }
  if (await isThere(machine.spec)) {
    await sweepRestore(context, machine); // imported disks stay, as they were before
    await rename(machine.spec, removingMark(machine));
    await syncDirectory(machine.record);
  }
  await refuseLostRecord(machine);
  // What is held of it in clear; without its specification nothing more can be.
  await context.templates.releaseAllOf(id);
  await overwriteHeader(machine.disk);
  await discard(context, machine);
  context.obituaries.delete(id);
  return {};
}

/** Finishes what a crash interrupted. A disk whose record is gone for no known reason is nobody's to delete. */
export async function sweepUnfinished(context: WardenContext, machine: MachineLayout): Promise<void> {
  if (await isThere(machine.spec)) {
    await rm(creatingMark(machine), { force: true });
    await sweepSnapshots(context, machine);
    await sweepRestore(context, machine);
    return;
  }
  if (await hasLostRecord(machine)) return;
  await discard(context, machine);
}

/** Memory, disk and processors that a new machine could have. */
export async function hostCapacity(context: WardenContext): Promise<WardenResponse<'host-capacity'>> {
  const { cpus, memoryMiB, diskMiB } = await context.parts.host.capacity();
  return {
    cpus,
    memoryMiB: Math.max(0, memoryMiB - MEMORY_RESERVE_MIB),
    diskMiB: Math.max(0, diskMiB - DISK_RESERVE_MIB),
  };
}

/** The disk is thin: it takes what the guest writes. What it asks for must be free now; later asks may overlap. */
async function checkHost(context: WardenContext, spec: VmSpec): Promise<void> {
  const { cpus, totalMemoryMiB, diskMiB } = await context.parts.host.capacity();
  const asks = [
    { what: 'processors', asked: spec.cpus, most: cpus, unit: '' },
    { what: 'memory', asked: spec.memoryMiB, most: totalMemoryMiB - MEMORY_RESERVE_MIB, unit: ' MiB' },
    { what: 'disk', asked: spec.diskMiB, most: diskMiB - DISK_RESERVE_MIB, unit: ' MiB' },
  ];
  for (const { what, asked, most, unit } of asks) {
    if (asked <= most) continue;
    throw new RingwallError(
      'host-full',
      `${asked}${unit} of ${what} asked for, this host has ${Math.max(0, most)}${unit}`,
      {
        hint: what === 'disk' ? 'make room on the file system of the state directory, or ask for less' : 'ask for less',
      },
    );
  }
}

async function build(context: WardenContext, machine: MachineLayout, spec: VmSpec): Promise<void> {
  await makeDirectory(machine.record, 0o700);
  await writeFileAtomic(creatingMark(machine), '');
  await makeDirectory(machine.data, 0o711);
  await makeDisk(machine, spec.diskMiB * MIB);
  const { ekCertificate } = await makeTpm(context, machine);
  await writeFileAtomic(machine.ekCertificate, ekCertificate);
  await writeSpec(machine, { version: 1, machine: machine.id, spec, createdAt: new Date().toISOString() });
  await rm(creatingMark(machine), { force: true });
}

async function makeDisk(machine: MachineLayout, bytes: number): Promise<void> {
  await using disk = await open(machine.disk, 'wx', 0o600);
  await disk.truncate(bytes);
  await disk.sync();
}

/** boot.json says what is going on before anything runs; endBoot removes what the making left. */
async function makeTpm(context: WardenContext, machine: MachineLayout): Promise<{ ekCertificate: Uint8Array }> {
  const { parts } = context;
  await makeDirectory(machine.runDir, 0o711);
  await writeBoot(machine, {
    version: 1,
    machine: machine.id,
    phase: 'making',
    hostBoot: parts.host.bootId,
    startedAt: new Date().toISOString(),
  });
  await makeDirectory(machine.tpmState, 0o700);
  const made = await parts.tpm.manufacture(machine);
  await endBoot(context, machine);
  return made;
}

async function answerCreated(
  context: WardenContext,
  machine: MachineLayout,
): Promise<WardenResponse<'create-machine'>> {
  const ekCertificate = await readFileBounded(machine.ekCertificate, CERTIFICATE_LIMIT_BYTES);
  if (ekCertificate === undefined) {
    throw new RingwallError('internal', `${machine.ekCertificate} is gone`, { hint: 'restore it from a backup' });
  }
  const certificates = await context.parts.tpm.certificates();
  return { ekCertificate: base64(ekCertificate), vtpmCa: certificates.map(base64) };
}

/** Removes everything that bears this id. The record's directory goes last, its marks last in it. */
async function discard(context: WardenContext, machine: MachineLayout): Promise<void> {
  await endBoot(context, machine);
  for (const disk of await disksMadeWith(machine)) await discardDisk(diskLayout(context.layout, disk));
  await rm(machine.data, { recursive: true, force: true });
  await rm(machine.snapshots, { recursive: true, force: true });
  const marks = [creatingMark(machine), removingMark(machine)];
  for (const name of await namesIn(machine.record)) {
    const path = join(machine.record, name);
    if (!marks.includes(path)) await rm(path, { recursive: true, force: true });
  }
  for (const mark of marks) await rm(mark, { force: true });
  if (await isThere(machine.record)) await rmdir(machine.record);
}

/** Of a machine that came with them, and was not made to its end. */
async function disksMadeWith(machine: MachineLayout): Promise<readonly DiskId[]> {
  const mark = await readFileBounded(creatingMark(machine), MARK_LIMIT_BYTES);
  return Buffer.from(mark ?? [])
    .toString('utf8')
    .split('\n')
    .filter(isDiskId);
}

async function refuseLostRecord(machine: MachineLayout): Promise<void> {
  if (!(await hasLostRecord(machine))) return;
  throw new RingwallError('conflict', `${machine.data} holds a disk, and its record ${machine.spec} is gone`, {
    hint: 'restore the record from a backup, or move that directory away',
  });
}

async function hasLostRecord(machine: MachineLayout): Promise<boolean> {
  if (await isThere(machine.spec)) return false;
  if ((await isThere(creatingMark(machine))) || (await isThere(removingMark(machine)))) return false;
  return isThere(machine.data);
}

const creatingMark = (machine: MachineLayout): string => join(machine.record, 'creating');
const removingMark = (machine: MachineLayout): string => join(machine.record, 'removing');

function sameSpec(a: VmSpec, b: VmSpec): boolean {
  return sameState(a, b) && a.network === b.network;
}

function sameState(a: VmSpec, b: VmSpec): boolean {
  const same = a.image === b.image && a.cpus === b.cpus && a.memoryMiB === b.memoryMiB && a.diskMiB === b.diskMiB;
  return same && (a.disks ?? []).join() === (b.disks ?? []).join();
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}
