// The boot catalog of El Torito (Bootable CD-ROM Format Specification 1.0, section 2): what firmware starts from a disc.
import { ParseError } from '@ringwall/bytes';
import { windowOf, type ByteSource } from '../../source/byte-source.ts';
import { SECTOR_BYTES } from './volume-descriptors.ts';

const ENTRY_BYTES = 32;
/** Firmware of its time reads one sector of catalog. */
const MAX_ENTRIES = SECTOR_BYTES / ENTRY_BYTES;
/** The count of an entry is in sectors of a diskette. */
const VIRTUAL_SECTOR_BYTES = 512;

const BOOTABLE = 0x88;
const SECTION_HEADER = 0x90;
const LAST_SECTION_HEADER = 0x91;
const EXTENSION = 0x44;

export type BootPlatform = 'bios' | 'powerpc' | 'mac' | 'efi' | 'other';

const PLATFORMS: ReadonlyMap<number, BootPlatform> = new Map<number, BootPlatform>([
  [0, 'bios'],
  [1, 'powerpc'],
  [2, 'mac'],
  [0xef, 'efi'],
]);

export interface BootEntry {
  readonly platform: BootPlatform;
  readonly isBootable: boolean;
  /** Byte of the disc where the boot image begins. */
  readonly offset: number;
  /** As many bytes as firmware loads at first: often less than the image has. */
  readonly loaded: ByteSource;
}

export function readBootCatalog(source: ByteSource, sector: number): readonly BootEntry[] {
  const position = sector * SECTOR_BYTES;
  const catalog = source.read(position, SECTOR_BYTES);
  const view = new DataView(catalog.buffer, catalog.byteOffset, SECTOR_BYTES);
  if (view.getUint8(0) !== 1 || view.getUint16(30, true) !== 0xaa55) {
    throw new ParseError('invalid', 'validation entry', position, 'is not that of a boot catalog');
  }
  let sum = 0;
  for (let at = 0; at < ENTRY_BYTES; at += 2) sum += view.getUint16(at, true);
  if ((sum & 0xffff) !== 0) throw new ParseError('invalid', 'validation entry', position + 28, 'has a wrong checksum');

  const entries: BootEntry[] = [];
  let platform = PLATFORMS.get(view.getUint8(1)) ?? 'other';
  // The first entry stands without a header of its own.
  let left = 1;
  for (let index = 1; index < MAX_ENTRIES; index += 1) {
    const at = index * ENTRY_BYTES;
    const indicator = view.getUint8(at);
    if (indicator === SECTION_HEADER || indicator === LAST_SECTION_HEADER) {
      platform = PLATFORMS.get(view.getUint8(at + 1)) ?? 'other';
      left = view.getUint16(at + 2, true);
    } else if (indicator !== EXTENSION && left > 0) {
      left -= 1;
      const offset = view.getUint32(at + 8, true) * SECTOR_BYTES;
      const bytes = view.getUint16(at + 6, true) * VIRTUAL_SECTOR_BYTES;
      const loaded = windowOf(source, offset, bytes, 'boot image');
      entries.push({ platform, isBootable: indicator === BOOTABLE, offset, loaded });
    }
  }
  return entries;
}
