// What lies on a disk, from its first byte on: a table of partitions, or one file system; in each partition a file system,
// encryption, or something that is recognised and not read. What is damaged is said and hides nothing beside it.
import { ParseError } from '@ringwall/bytes';
import { DiskError } from './disk-error.ts';
import { readLuks, unlockLuks, type LuksKey } from './encryption/luks.ts';
import type { LuksHeader } from './encryption/luks-header.ts';
import { openErofs } from './filesystems/erofs/erofs.ts';
import { openExt, recogniseExt } from './filesystems/ext/ext.ts';
import { looksLikeFat } from './filesystems/fat/boot-sector.ts';
import { openFat } from './filesystems/fat/fat.ts';
import { FileSystemsInUse, type FileSystemContents } from './file-systems-in-use.ts';
import type { FileSystem } from './filesystems/file-system.ts';
import { openIso9660 } from './filesystems/iso9660/iso9660.ts';
import { isIso9660 } from './filesystems/iso9660/volume-descriptors.ts';
import { isNtfs } from './filesystems/ntfs/boot-sector.ts';
import { openNtfs } from './filesystems/ntfs/ntfs.ts';
import { openSquashfs } from './filesystems/squashfs/squashfs.ts';
import { openXfs, recogniseXfs } from './filesystems/xfs/xfs.ts';
import type { DiskImage } from './images/disk-image.ts';
import { readVolumeGroup } from './partitions/lvm/volume-group.ts';
import type { Partition, PartitionTable } from './partitions/partition.ts';
import { readPartitionTable } from './partitions/partition-table.ts';
import { OLD_QCOW2_AES, recognise, recogniseEncryption, type Recognised } from './recognised.ts';
import { windowOf, type ByteSource } from './source/byte-source.ts';
import type { Codecs } from './source/codecs.ts';
import { firstDataOf } from './source/zeros.ts';

export type VolumeContents =
  | FileSystemContents
  /** Its first bytes are those of a format that it then is not. */
  | { readonly kind: 'damaged'; readonly format: string; readonly message: string }
  /** Known by name, and not read: encrypted as a whole, a part of something larger, or a file system without a reader here. */
  | { readonly kind: 'recognised'; readonly recognised: Recognised }
  /** What lies inside follows as volumes of their own, where one of the keys opens it. */
  | { readonly kind: 'luks'; readonly header: LuksHeader }
  /** All of it was looked at. */
  | { readonly kind: 'zeros' }
  /** `dataAt`: where its first byte lies that is not zero; undefined where that is further on than was looked. */
  | { readonly kind: 'unknown'; readonly dataAt: number | undefined };

/** A run of the disk that something was put into as a whole. */
export interface Volume {
  /**
   * What people name it by: its number, from 1 on; `disk` for the whole disk beside its partitions; `group/volume` of LVM;
   * `2/1` for the first inside of what encrypts the second.
   */
  readonly name: string;
  /** Where it lies, for people. */
  readonly place: string;
  readonly size: number;
  readonly source: ByteSource;
  readonly contents: VolumeContents;
  /** It could be read because a key was given: whoever has the disk alone does not see it. */
  readonly underKey?: true;
  /** As the table of partitions says it. */
  readonly partition?: Partition;
}

export interface Disk {
  readonly size: number;
  /** The table of its partitions, where it has one. */
  readonly table?: PartitionTable;
  readonly volumes: readonly Volume[];
  /** What a reader must know beside: a damaged table, a partition that the disk is too short for. */
  readonly notes: readonly string[];
}

export interface OpenDiskOptions {
  readonly codecs?: Codecs;
  /** Tried on whatever is encrypted with LUKS. */
  readonly keys?: readonly LuksKey[];
}

interface Format {
  readonly name: string;
  /** Cheap: by the first bytes alone. */
  readonly recognises: (head: Uint8Array, source: ByteSource) => boolean;
  readonly open: (source: ByteSource, codecs: Codecs) => FileSystem;
}

const FILE_SYSTEMS: readonly Format[] = [
  { name: 'ext', recognises: (_, source) => recogniseExt(source), open: openExt },
  {
    name: 'squashfs',
    recognises: hasMagic(0, [0x68, 0x73, 0x71, 0x73]),
    open: (source, codecs) => openSquashfs(source, { codecs }),
  },
  { name: 'erofs', recognises: hasMagic(1024, [0xe2, 0xe1, 0xf5, 0xe0]), open: openErofs },
  { name: 'xfs', recognises: (_, source) => recogniseXfs(source), open: openXfs },
  { name: 'iso9660', recognises: isIso9660, open: openIso9660 },
  { name: 'ntfs', recognises: isNtfs, open: openNtfs },
  // Without a magic number, so last.
  { name: 'fat', recognises: (_, source) => looksLikeFat(source), open: openFat },
];

/** LUKS in LVM in LUKS is what people have been seen to build; deeper is made to keep a reader busy. */
const MAX_DEPTH = 4;

/** A volume whose beginning is zero this far was never written, or was wiped. */
const LOOKED_AT_BYTES = 64 * 1024;

/** `source` is the disk as its guest sees it: `openImage` makes one of an image. */
export function openDisk(source: ByteSource | DiskImage, options: OpenDiskOptions = {}): Disk {
  const isEncrypted = 'encryption' in source && source.encryption !== undefined;
  const opening = { ...options, inUse: new FileSystemsInUse() };
  return isEncrypted ? openEncrypted(source, opening) : openAt(source, opening, '', 1);
}

/** An image that encrypts all of its disk: as one volume, with those inside it where it was unlocked. */
function openEncrypted(source: DiskImage, options: Opening): Disk {
  const header = source.encryption?.header;
  const contents: VolumeContents =
    header === undefined ? { kind: 'recognised', recognised: OLD_QCOW2_AES } : luksContents(header);
  const whole: Volume = { name: '1', place: 'the whole disk', size: source.size, source, contents };
  if (source.locked) return { size: source.size, volumes: [whole], notes: [] };
  const { volumes, notes } = openAt(source, options, '1/', 2);
  return { size: source.size, volumes: [whole, ...volumes.map((volume) => insideOf(whole, volume))], notes };
}

function insideOf({ name }: Volume, volume: Volume): Volume {
  return { ...volume, place: `${volume.place}, inside ${name}`, underKey: true };
}

/** What all disks inside one another share. */
interface Opening extends OpenDiskOptions {
  readonly inUse: FileSystemsInUse;
}

/** `prefix` is what the names of its volumes begin with; `depth` counts disks inside one another. */
function openAt(source: ByteSource, options: Opening, prefix: string, depth: number): Disk {
  const { codecs = {}, inUse } = options;
  const whole = contentsOf(source, codecs, inUse);
  const wholeVolume: Volume = {
    name: `${prefix}1`,
    place: 'the whole disk',
    size: source.size,
    source,
    contents: whole,
  };
  const notes: string[] = [];
  // The boot sector of such a file system carries the same signature as a table of partitions.
  const table = isBootSector(whole) ? undefined : tableOf(source, notes);
  const partitions = table?.partitions ?? [];
  const outer =
    table === undefined || partitions.length === 0
      ? [wholeVolume]
      : lookedAt(partitions, 'partitions', inUse, notes).map((partition) =>
          volumeOf(source, table, partition, { codecs, inUse, notes, prefix }),
        );
  // Install media are a file system and a table of partitions at once; a disk can still carry what it was before.
  if (partitions.length > 0 && whole.kind === 'file-system') outer.push({ ...wholeVolume, name: `${prefix}disk` });
  const inner = depth < MAX_DEPTH ? volumesInside(outer, options, { notes, prefix, depth }) : [];
  return {
    size: source.size,
    ...(table === undefined || partitions.length === 0 ? {} : { table }),
    volumes: [...outer, ...inner],
    notes: [...(table?.notes ?? []), ...notes],
  };
}

interface Place {
  readonly notes: string[];
  readonly prefix: string;
  readonly depth: number;
}

/** What encryption that opens, and groups of physical volumes, hold in turn. */
function volumesInside(outer: readonly Volume[], options: Opening, place: Place): Volume[] {
  const logical = logicalVolumes(outer, options, place);
  return [...logical, ...[...outer, ...logical].flatMap((volume) => decryptedVolumes(volume, options, place))];
}

function decryptedVolumes(volume: Volume, options: Opening, place: Place): Volume[] {
  const { name, source, contents } = volume;
  if (contents.kind !== 'luks') return [];
  for (const key of options.keys ?? []) {
    try {
      const { disk } = unlockLuks(source, contents.header, key);
      const { volumes, notes } = openAt(disk, options, `${name}/`, place.depth + 1);
      place.notes.push(...notes);
      return volumes.map((inside) => insideOf(volume, inside));
    } catch (error) {
      if (error instanceof DiskError && error.code === 'wrong-key') continue;
      place.notes.push(`what volume ${name} encrypts cannot be opened: ${messageOf(error)}`);
      return [];
    }
  }
  return [];
}

function logicalVolumes(outer: readonly Volume[], { codecs = {}, inUse }: Opening, place: Place): Volume[] {
  const physical = outer.filter(
    ({ contents }) => contents.kind === 'recognised' && contents.recognised.format === 'lvm',
  );
  if (physical.length === 0) return [];
  const { notes, prefix } = place;
  try {
    const group = readVolumeGroup(physical.map(({ source }) => source));
    const visible = group.volumes.filter((volume) => volume.visible);
    return lookedAt(visible, 'logical volumes', inUse, notes).flatMap((logical): Volume[] => {
      const name = `${prefix}${group.name}/${logical.name}`;
      try {
        const source = logical.open();
        const contents = contentsOf(source, codecs, inUse);
        return [{ name, place: `logical volume (${logical.kinds.join(', ')})`, size: source.size, source, contents }];
      } catch (error) {
        notes.push(`the logical volume ${name} cannot be read: ${messageOf(error)}`);
        return [];
      }
    });
  } catch (error) {
    notes.push(`the volume group cannot be read: ${messageOf(error)}`);
    return [];
  }
}

/** What fills `source` from its start: of a partition, or of what encryption was opened from. */
export function contentsOf(
  source: ByteSource,
  codecs: Codecs,
  inUse: FileSystemsInUse = new FileSystemsInUse(),
): VolumeContents {
  const head = source.read(0, Math.min(source.size, LOOKED_AT_BYTES));
  const encryption = recogniseEncryption(source);
  if (encryption?.format === 'luks') return luksContents(source);
  if (encryption !== undefined) return { kind: 'recognised', recognised: encryption };
  let damaged: VolumeContents | undefined;
  for (const { name, recognises, open } of FILE_SYSTEMS) {
    if (!recognises(head, source)) continue;
    try {
      return inUse.add(() => open(source, codecs));
    } catch (error) {
      damaged ??= { kind: 'damaged', format: name, message: messageOf(error) };
    }
  }
  const recognised = recognise(source);
  if (recognised !== undefined) return { kind: 'recognised', recognised };
  if (damaged !== undefined) return damaged;
  const first = firstDataOf(source);
  return first.kind === 'none' ? { kind: 'zeros' } : { kind: 'unknown', dataAt: first.at };
}

/** As many of `all` as one disk may have; that there are more is said. */
function lookedAt<Item>(all: readonly Item[], what: string, inUse: FileSystemsInUse, notes: string[]): readonly Item[] {
  const room = inUse.room(all.length);
  if (room < all.length) notes.push(`${all.length - room} further ${what} were not looked at`);
  return all.slice(0, room);
}

function tableOf(source: ByteSource, notes: string[]): PartitionTable | undefined {
  try {
    return readPartitionTable(source);
  } catch (error) {
    notes.push(`the table of partitions cannot be read: ${messageOf(error)}`);
    return undefined;
  }
}

function luksContents(source: ByteSource): VolumeContents {
  try {
    return { kind: 'luks', header: readLuks(source) };
  } catch (error) {
    return { kind: 'damaged', format: 'luks', message: messageOf(error) };
  }
}

function volumeOf(
  disk: ByteSource,
  { scheme }: PartitionTable,
  partition: Partition,
  {
    codecs,
    inUse,
    notes,
    prefix,
  }: { readonly codecs: Codecs } & Pick<Opening, 'inUse'> & Pick<Place, 'notes' | 'prefix'>,
): Volume {
  const { number, name, offset } = partition;
  const start = Math.min(offset, disk.size);
  const size = Math.min(partition.length, disk.size - start);
  if (size < partition.length)
    notes.push(`partition ${number} ends beyond the disk: ${partition.length - size} bytes of it are not there`);
  const source = windowOf(disk, start, size, `partition ${number}`);
  const called = name === '' ? '' : ` ${JSON.stringify(name)}`;
  return {
    name: `${prefix}${number}`,
    place: `partition ${number} of ${scheme}${called}, from byte ${offset} on`,
    size,
    source,
    contents: contentsOf(source, codecs, inUse),
    partition,
  };
}

/** Whether what fills the disk begins with a boot sector of its own. */
function isBootSector(contents: VolumeContents): boolean {
  if (contents.kind === 'file-system') return /^fat|^ntfs/.test(contents.fileSystem.kind);
  return contents.kind === 'recognised' && ['exfat', 'bitlocker'].includes(contents.recognised.format);
}

/** What went wrong, where it is an error of this library. */
function messageOf(error: unknown): string {
  if (error instanceof ParseError || error instanceof DiskError) return error.message;
  throw error;
}

function hasMagic(offset: number, bytes: readonly number[]): Format['recognises'] {
  return (head) => bytes.every((byte, index) => head[offset + index] === byte);
}
