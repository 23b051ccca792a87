// Makes, fills and removes disks that were imported. A disk is three things: its record, the digests of what lies on it for
// good, and its file, encrypted from the first byte. spec.json is written once the file is there, and removed first: without
// it there is no disk. The warden opens no image: what comes here are the contents alone (api/disk-stream.ts).
import { RingwallError, type DiskId, type MachineId } from '@ringwall/api';
import type { ImportBegin } from '@ringwall/api/disks';
import type { SealedKey, WardenResponse } from '@ringwall/api/warden';
import { LUKS_HEADER_BYTES } from '@ringwall/host/disk';
import { isThere, makeDirectory, namesIn } from '../files/index.ts';
import type { Secret } from '../keys/index.ts';
import type { WardenContext } from './context.ts';
import {
  DIGEST_BYTES,
  digestOfDigests,
  discardDisk,
  readDigests,
  readDiskSpec,
  writeDiskSpec,
  type DiskSpecRecord,
} from './disk-records.ts';
import { fillDisk } from './fill-disk.ts';
import { diskLayout, isDiskId, isMachineId, machineLayout, type DiskLayout } from './layout.ts';
import { freeDiskBytes } from './full.ts';
import { readSpec } from './records.ts';
import type { StreamCall } from './streams.ts';

const MIB = 2 ** 20;
/** Small enough that a lost connection costs little, large enough that frames cost nothing. */
export const CHUNK_BYTES: number = 4 * MIB;

export interface ImportOrder {
  readonly disk: DiskId;
  readonly sizeBytes: number;
  readonly key: SealedKey;
}

/** Imports under way: a disk has one writer. */
export class DiskWork {
  readonly #busy = new Map<DiskId, Promise<unknown>>();

  /** Runs `work` while nobody else may touch the disk. */
  async claim<T>(disk: DiskId, work: () => Promise<T>): Promise<T> {
    if (this.#busy.has(disk)) {
      throw new RingwallError('conflict', 'this disk is being imported or removed', {
        hint: 'wait until that has ended',
      });
    }
    const running = work().finally(() => this.#busy.delete(disk));
    this.#busy.set(disk, running);
    return await running;
  }

  async idle(): Promise<void> {
    await Promise.allSettled(this.#busy.values());
  }
}

/** Resolves with what is there already; the rest happens on the upgraded connection, and is told on it. */
export function importDisk(
  context: WardenContext,
  work: DiskWork,
  order: ImportOrder,
  call: StreamCall,
): Promise<WardenResponse<'import-disk'>> {
  const begun = Promise.withResolvers<ImportBegin>();
  const whole = work.claim(order.disk, async () => {
    using key = context.keys.open(order.key, { disk: order.disk, use: 'import' });
    const disk = diskLayout(context.layout, order.disk);
    const record = await makeOrFind(context, disk, order.sizeBytes, key);
    const digests = await readDigests(disk, record);
    const filling = Promise.withResolvers<void>();
    let taken = false;
    call.signal.addEventListener('abort', () => taken || filling.resolve(), { once: true });
    call.upgrade(async (stream) => {
      taken = true;
      await fillDisk(context, { disk, record, digests, key }, stream).finally(() => filling.resolve());
    });
    begun.resolve({
      chunkBytes: record.chunkBytes,
      have: digests.length / DIGEST_BYTES,
      digest: digestOfDigests(digests),
    });
    await filling.promise;
  });
  whole.catch((error: unknown) => begun.reject(error));
  return begun.promise;
}

export function removeDisk(context: WardenContext, work: DiskWork, id: DiskId): Promise<WardenResponse<'remove-disk'>> {
  return work.claim(id, async () => {
    const user = await machineWith(context, id);
    if (user !== undefined) {
      throw new RingwallError('conflict', `${user} has this disk`, { hint: 'remove that machine first' });
    }
    await discardDisk(diskLayout(context.layout, id));
    return {};
  });
}

/** Before this host signs that it leaves with this machine: no key of a disk goes with another's. */
export async function requireDiskOf(
  { layout }: Pick<WardenContext, 'layout'>,
  disk: DiskId,
  machine: MachineId | undefined,
): Promise<void> {
  const record = machine === undefined ? undefined : await readSpec(machineLayout(layout, machine));
  if (record?.spec.disks?.includes(disk) === true) return;
  throw new RingwallError('conflict', `${disk} is not a disk of that machine`);
}

/** What a crash left half made or half removed. */
export async function sweepDisks({ layout, note }: WardenContext): Promise<void> {
  const names = [...(await namesIn(layout.diskRecords)), ...(await namesIn(layout.disks))];
  for (const id of new Set(names.filter(isDiskId))) {
    const disk = diskLayout(layout, id);
    if (await isThere(disk.spec)) continue;
    note(`${id}: a disk that was not made whole is removed`);
    await discardDisk(disk);
  }
}

export interface WholeDisk extends DiskLayout {
  /** As it was made. */
  readonly fileBytes: number;
}

/** The file of a disk that was imported whole. */
export async function requireImportedDisk(context: WardenContext, id: DiskId): Promise<WholeDisk> {
  const disk = diskLayout(context.layout, id);
  const record = await readDiskSpec(disk);
  if (record?.digest !== undefined && (await isThere(disk.file))) {
    return { ...disk, fileBytes: LUKS_HEADER_BYTES + record.sizeBytes };
  }
  throw new RingwallError('not-found', `this host has no whole disk ${id}`, { hint: 'list disks: ringwall disks' });
}

async function makeOrFind(
  context: WardenContext,
  disk: DiskLayout,
  sizeBytes: number,
  key: Secret,
): Promise<DiskSpecRecord> {
  const existing = await readDiskSpec(disk);
  if (existing !== undefined) {
    if (existing.sizeBytes === sizeBytes) return existing;
    throw new RingwallError('conflict', `this disk has ${existing.sizeBytes} bytes, the image ${sizeBytes}`, {
      hint: 'it was begun with another image: ringwall disk rm NAME, then import again',
    });
  }
  // Encrypted zeros are no zeros: an encrypted disk takes all its room, whatever the image says that it holds.
  const freeBytes = await freeDiskBytes(context);
  if (sizeBytes > freeBytes) {
    throw new RingwallError('host-full', `the disk has ${sizeBytes} bytes, this host has ${freeBytes} to give`, {
      hint: 'an encrypted disk takes all its room at once: make room on the file system of the state directory',
    });
  }
  await discardDisk(disk);
  try {
    await makeDirectory(disk.record, 0o700);
    await makeDirectory(disk.data, 0o700);
    await context.parts.disks.create(disk, sizeBytes, key);
    const record: DiskSpecRecord = { version: 1, disk: disk.id, sizeBytes, chunkBytes: CHUNK_BYTES };
    await writeDiskSpec(disk, record);
    return record;
  } catch (error) {
    await discardDisk(disk);
    throw error;
  }
}

/** Another than the one that may have it. */
export async function machineWith(
  context: WardenContext,
  disk: DiskId,
  may?: MachineId,
): Promise<MachineId | undefined> {
  for (const id of (await namesIn(context.layout.records)).filter(isMachineId)) {
    if (id === may) continue;
    const record = await readSpec(machineLayout(context.layout, id));
    if (record?.spec.disks?.includes(disk) === true) return id;
  }
  return undefined;
}
