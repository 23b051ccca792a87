// What a volume holds that this library knows and does not read: said by name, with its label and identifier, so that nobody takes
// it for empty. Each format by the magic bytes that its own documents give.
import { decodeFileName } from './filesystems/file-name.ts';
import type { ByteSource } from './source/byte-source.ts';
import { uuidText } from './uuid.ts';

export type RecognisedFormat =
  | 'btrfs'
  | 'zfs'
  | 'exfat'
  | 'hfs+'
  | 'apfs'
  | 'bitlocker'
  | 'luks'
  | 'lvm'
  | 'mdraid'
  | 'qcow2-aes'
  | 'swap';

export interface Recognised {
  readonly format: RecognisedFormat;
  /** '' where it has none, or keeps it where only its own reader finds it. */
  readonly label: string;
  readonly uuid: string;
  /** Whether its contents are encrypted as a whole. */
  readonly encrypted: boolean;
  /** Of swap: whether the memory of a sleeping system lies in it. */
  readonly hibernated: boolean;
}

/** What QCOW2 had before LUKS: no header says whether a key is right, and QEMU itself gives it up. An image says that it has it. */
export const OLD_QCOW2_AES: Recognised = named('qcow2-aes', { encrypted: true });

/** Swap areas have their signature at the end of a page, and pages these sizes. */
const PAGE_BYTES = [4096, 8192, 16_384, 65_536] as const;
const SWAP_SIGNATURES = ['SWAPSPACE2', 'SWAP-SPACE'] as const;
/** What suspending to disk puts in the signature's place: the kernel, its older kinds, uswsusp. */
const HIBERNATION_SIGNATURES = ['S1SUSPEND', 'S2SUSPEND', 'ULSUSPEND', 'LINHIB0001'] as const;

/** Of BitLocker To Go, whose boot sector otherwise is that of FAT32: 4967d63b-2e29-4ad8-8399-f6a339e3d001, at this byte. */
const TO_GO_OFFSET = 424;
const TO_GO_GUID = [0x3b, 0xd6, 0x67, 0x49, 0x29, 0x2e, 0xd8, 0x4a, 0x83, 0x99, 0xf6, 0xa3, 0x39, 0xe3, 0xd0, 0x01];

const BTRFS_SUPERBLOCK = 65_536;
const LVM_SECTORS = 4;
const SECTOR_BYTES = 512;
const MD_MAGIC = 0xa92b_4efc;

/** The first label of a ZFS device keeps its uberblocks here, each in a slot of 1 KiB or more. */
const ZFS_UBERBLOCKS = 131_072;
const ZFS_UBERBLOCK_BYTES = 131_072;
const ZFS_SLOT_BYTES = 1024;
const ZFS_MAGIC = 0x00ba_b10c;

type Recogniser = (volume: Window) => Recognised | undefined;

/** Encryption of a whole volume; a few bytes of its first sector say it. */
const ENCRYPTION: readonly Recogniser[] = [luks, bitlocker];

/** Cheap ones first. */
const RECOGNISERS: readonly Recogniser[] = [...ENCRYPTION, exfat, apfs, hfsPlus, btrfs, swap, lvm, mdraid, zfs];

export function recognise(source: ByteSource): Recognised | undefined {
  return firstOf(RECOGNISERS, source);
}

/** Only what encrypts all of a volume: to be asked before any file system is looked for. */
export function recogniseEncryption(source: ByteSource): Recognised | undefined {
  return firstOf(ENCRYPTION, source);
}

function firstOf(recognisers: readonly Recogniser[], source: ByteSource): Recognised | undefined {
  const window = new Window(source);
  for (const recogniser of recognisers) {
    const found = recogniser(window);
    if (found !== undefined) return found;
  }
  return undefined;
}

function named(format: RecognisedFormat, more: Partial<Recognised> = {}): Recognised {
  return { format, label: '', uuid: '', encrypted: false, hibernated: false, ...more };
}

/** LUKS On-Disk Format Specification 1.2.3 and LUKS2 On-Disk Format Specification, both section "header". */
function luks(volume: Window): Recognised | undefined {
  if (volume.text(0, 4) !== 'LUKS' || volume.u16be(4) !== 0xbabe) return undefined;
  const label = volume.u16be(6) === 2 ? volume.text(24, 48) : '';
  return named('luks', { label, uuid: volume.text(168, 40), encrypted: true });
}

function bitlocker(volume: Window): Recognised | undefined {
  const isToGo = TO_GO_GUID.every((byte, index) => volume.u8(TO_GO_OFFSET + index) === byte);
  return volume.text(3, 8) === '-FVE-FS-' || isToGo ? named('bitlocker', { encrypted: true }) : undefined;
}

/** Microsoft, exFAT file system specification, section 3.1. */
function exfat(volume: Window): Recognised | undefined {
  if (volume.text(3, 8) !== 'EXFAT   ') return undefined;
  const serial = volume.u32le(100).toString(16).toUpperCase().padStart(8, '0');
  return named('exfat', { uuid: `${serial.slice(0, 4)}-${serial.slice(4)}` });
}

/** Apple File System Reference, nx_superblock_t. */
function apfs(volume: Window): Recognised | undefined {
  return volume.text(32, 4) === 'NXSB' ? named('apfs', { uuid: volume.uuid(72) }) : undefined;
}

/** Apple, Technical Note TN1150, "Volume Header". */
function hfsPlus(volume: Window): Recognised | undefined {
  const signature = volume.text(1024, 2);
  const version = volume.u16be(1026);
  const fits = (signature === 'H+' && version === 4) || (signature === 'HX' && version === 5);
  return fits ? named('hfs+') : undefined;
}

/** btrfs, "On-disk format", superblock. */
function btrfs(volume: Window): Recognised | undefined {
  if (volume.text(BTRFS_SUPERBLOCK + 64, 8) !== '_BHRfS_M') return undefined;
  return named('btrfs', { label: volume.text(BTRFS_SUPERBLOCK + 299, 256), uuid: volume.uuid(BTRFS_SUPERBLOCK + 32) });
}

/** Linux, include/linux/swap.h, union swap_header. */
function swap(volume: Window): Recognised | undefined {
  for (const pageBytes of PAGE_BYTES) {
    const signature = volume.text(pageBytes - 10, 10);
    const hibernated = HIBERNATION_SIGNATURES.some((known) => signature === known);
    if (!hibernated && !SWAP_SIGNATURES.some((known) => signature === known)) continue;
    return named('swap', { label: volume.text(1052, 16), uuid: volume.uuid(1036), hibernated });
  }
  return undefined;
}

/** LVM2, lib/format_text/layout.h and lib/label: a label in one of the first four sectors. */
function lvm(volume: Window): Recognised | undefined {
  for (let sector = 0; sector < LVM_SECTORS; sector += 1) {
    const start = sector * SECTOR_BYTES;
    if (volume.text(start, 8) !== 'LABELONE' || volume.text(start + 24, 8) !== 'LVM2 001') continue;
    const id = volume.text(start + volume.u32le(start + 20), 32);
    return named('lvm', { uuid: id.replace(/^(.{6})(.{4})(.{4})(.{4})(.{4})(.{4})(.{6})$/, '$1-$2-$3-$4-$5-$6-$7') });
  }
  return undefined;
}

/** Linux, include/uapi/linux/raid/md_p.h: version 1.1 at the start, 1.2 behind 4 KiB, 1.0 and 0.90 near the end. */
function mdraid(volume: Window): Recognised | undefined {
  const ends = [Math.floor(volume.size / 4096) * 4096 - 8192, Math.floor(volume.size / 65_536) * 65_536 - 65_536];
  const start = [4096, 0, ...ends].find((offset) => offset >= 0 && volume.u32le(offset) === MD_MAGIC);
  if (start === undefined) return undefined;
  const hasName = volume.u32le(start + 4) === 1;
  return named('mdraid', hasName ? { label: volume.text(start + 32, 32), uuid: volume.uuid(start + 16) } : {});
}

/** OpenZFS, sys/uberblock_impl.h: the magic number says the order of bytes of whoever wrote it. */
function zfs(volume: Window): Recognised | undefined {
  const view = volume.view(ZFS_UBERBLOCKS, ZFS_UBERBLOCK_BYTES);
  for (let slot = 0; slot < ZFS_UBERBLOCK_BYTES; slot += ZFS_SLOT_BYTES) {
    const little = view.getUint32(slot, true) === ZFS_MAGIC && view.getUint32(slot + 4, true) === 0;
    const big = view.getUint32(slot + 4, false) === ZFS_MAGIC && view.getUint32(slot, false) === 0;
    if (little || big) return named('zfs');
  }
  return undefined;
}

/** Fields at places that the volume may be too short for: what is not there is zero. */
class Window {
  readonly size: number;
  readonly #source: ByteSource;

  constructor(source: ByteSource) {
    this.#source = source;
    this.size = source.size;
  }

  u8(offset: number): number {
    return this.view(offset, 1).getUint8(0);
  }

  u16be(offset: number): number {
    return this.view(offset, 2).getUint16(0, false);
  }

  u32le(offset: number): number {
    return this.view(offset, 4).getUint32(0, true);
  }

  /** Up to the first NUL. */
  text(offset: number, length: number): string {
    const bytes = this.#bytes(offset, length);
    const end = bytes.indexOf(0);
    return decodeFileName(end === -1 ? bytes : bytes.subarray(0, end));
  }

  uuid(offset: number): string {
    return uuidText(this.#bytes(offset, 16));
  }

  view(offset: number, length: number): DataView {
    const bytes = this.#bytes(offset, length);
    return new DataView(bytes.buffer, bytes.byteOffset, length);
  }

  #bytes(offset: number, length: number): Uint8Array {
    return offset + length <= this.size ? this.#source.read(offset, length) : new Uint8Array(length);
  }
}
