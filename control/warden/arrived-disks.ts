// Imported disks of a machine that comes from another host: their files are what the snapshot has of them, so that they are whole as soon as
// their machine is there, and are disks like all others from then on.
import { open, type FileHandle } from 'node:fs/promises';
import { RingwallError, type DiskId } from '@ringwall/api';
import type { VmSpec } from '@ringwall/api/warden';
import { fromHex } from '@ringwall/bytes';
import { isOurLuksHeader, LUKS_FIELDS_BYTES, LUKS_HEADER_BYTES } from '@ringwall/host/disk';
import { openFiles } from '@ringwall/host/seal';
import { borrowCrew } from '@ringwall/host/threads';
import type { Opener, Parent } from '@ringwall/seal';
import { isThere, makeDirectory, syncDirectory } from '../files/index.ts';
import type { WardenContext } from './context.ts';
import { CHUNK_BYTES } from './disks.ts';
import { writeDiskSpec } from './disk-records.ts';
import { freeDiskBytes } from './full.ts';
import { diskLayout, type DiskLayout } from './layout.ts';
import { diskPart, type OpenedAbout } from './snapshot-contents.ts';

const MIB = 2 ** 20;

export interface ArrivingDisk {
  readonly disk: DiskId;
  readonly sizeBytes: number;
  /** Of what was imported. */
  readonly digest: string;
}

/** An object of the chain that has come, in its order. */
export interface CameObject {
  readonly file: string;
  /** Absent of the newest: it was compared when it came. */
  readonly root?: string | undefined;
  readonly openers: readonly Opener[];
  readonly opened: OpenedAbout;
}

/** Throws where they are not those of the specification, have other sizes in the snapshot, are here already, or find no room. */
export async function refuseDisks(
  context: WardenContext,
  { disks: wanted = [] }: VmSpec,
  disks: readonly ArrivingDisk[],
  { diskBytes: [, ...bytes] }: OpenedAbout,
): Promise<void> {
  const isSame = wanted.length === disks.length && disks.every(({ disk }, index) => disk === wanted[index]);
  if (!isSame) throw new RingwallError('proof-invalid', 'it comes with other imported disks than its machine has');
  for (const [index, { disk, sizeBytes }] of disks.entries()) {
    if (bytes[index] !== LUKS_HEADER_BYTES + sizeBytes) {
      throw new RingwallError('proof-invalid', `${disk} has another size in the snapshot than its ticket says`);
    }
    const { record, data } = diskLayout(context.layout, disk);
    if ((await isThere(record)) || (await isThere(data))) {
      throw new RingwallError('conflict', `the imported disk ${disk} is here already, without its machine`, {
        hint: 'if it is not wanted any more: ringwall disk rm NAME; then import the machine again',
      });
    }
  }
  const needed = bytes.reduce((sum, each) => sum + each, 0);
  const free = await freeDiskBytes(context);
  if (needed <= free) return;
  throw new RingwallError(
    'host-full',
    `its imported disks take ${Math.ceil(needed / MIB)} MiB, ${Math.floor(free / MIB)} MiB are free`,
    { hint: 'make room on the file system of the state directory' },
  );
}

/** Where it throws, or this host ends in it, what is left of them goes with their machine, which was not made. */
export async function placeDisks(
  { layout }: WardenContext,
  disks: readonly ArrivingDisk[],
  chain: readonly CameObject[],
): Promise<void> {
  await using opened = new AsyncDisposableStack();
  const places: { readonly place: DiskLayout; readonly file: FileHandle; readonly arriving: ArrivingDisk }[] = [];
  for (const arriving of disks) {
    const place = diskLayout(layout, arriving.disk);
    await makeDirectory(place.record, 0o700);
    await makeDirectory(place.data, 0o700);
    const file = opened.use(await open(place.file, 'wx+', 0o600));
    await file.truncate(LUKS_HEADER_BYTES + arriving.sizeBytes);
    places.push({ place, file, arriving });
  }
  if (places.length === 0) return;
  await openChain(
    chain,
    places.map(({ file }) => file),
  );
  for (const { place, file, arriving } of places) {
    await requireOurHeader(file);
    await file.sync();
    await syncDirectory(place.data);
    await writeDiskSpec(place, { version: 1, chunkBytes: CHUNK_BYTES, ...arriving });
  }
}

/** One over the other, the machine's own disk and its memory aside: they are verified, and go nowhere. */
async function openChain(chain: readonly CameObject[], files: readonly FileHandle[]): Promise<void> {
  using crew = borrowCrew();
  let over: Parent | undefined;
  for (const { file, root, openers, opened } of chain) {
    await using object = await open(file, 'r');
    const targets = files.map(({ fd }, index) => ({ part: diskPart(index + 1), place: fd }));
    await openFiles(object.fd, () => targets, {
      ...{ openers, crew },
      ...(root === undefined ? {} : { root: fromHex(root) }),
      ...(over === undefined ? {} : { over }),
    });
    over = root === undefined ? undefined : { object: opened.object, root };
  }
}

/** QEMU reads it as it starts, with the key in its hands. */
async function requireOurHeader(file: FileHandle): Promise<void> {
  const { buffer, bytesRead } = await file.read(new Uint8Array(LUKS_FIELDS_BYTES), 0, LUKS_FIELDS_BYTES, 0);
  if (isOurLuksHeader(buffer.subarray(0, bytesRead))) return;
  throw new RingwallError('proof-invalid', 'an imported disk in it has a header that ringwall does not write', {
    hint: 'it was altered before it was exported, or made by something else: nothing of it was taken',
  });
}
