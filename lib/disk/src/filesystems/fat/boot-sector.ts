// The boot sector of FAT12, FAT16 and FAT32 (Microsoft, FAT: General Overview of On-Disk Format, 1.03, and ECMA-107), checked.
import { ParseError } from '@ringwall/bytes';
import type { ByteSource } from '../../source/byte-source.ts';

const BOOT_SECTOR_BYTES = 512;
const SIGNATURE_OFFSET = 510;
const ENTRY_BYTES = 32;

/** Fewer clusters than this make FAT12, and fewer than the other FAT16. */
const MIN_FAT16_CLUSTERS = 4085;

/** Values from here on mean bad clusters and ends of chains. */
const MAX_FAT32_CLUSTERS = 0x0fff_fff5;

export interface FatGeometry {
  readonly kind: 'fat12' | 'fat16' | 'fat32';
  readonly size: number;
  readonly clusterBytes: number;
  readonly clusterCount: number;
  /** Where the table in use lies, and how many bytes it has. */
  readonly tableStart: number;
  readonly tableBytes: number;
  /** The root of FAT12 and FAT16, which lies in no cluster; FAT32 says in which it begins. */
  readonly root: { readonly start: number; readonly bytes: number } | { readonly cluster: number };
  /** Where cluster 2, the first one, lies. */
  readonly dataStart: number;
  readonly volumeId: number;
  /** As the boot sector has it: 11 bytes. */
  readonly label: Uint8Array;
}

/** Whether this can be a FAT boot sector: there is no magic, so several fields must fit together. */
export function looksLikeFat(source: ByteSource): boolean {
  if (source.size < BOOT_SECTOR_BYTES) return false;
  const sector = source.read(0, BOOT_SECTOR_BYTES);
  const view = new DataView(sector.buffer, sector.byteOffset, BOOT_SECTOR_BYTES);
  const jump = view.getUint8(0);
  return (
    (jump === 0xeb || jump === 0xe9) &&
    view.getUint16(SIGNATURE_OFFSET, true) === 0xaa55 &&
    isSectorSize(view.getUint16(11, true)) &&
    isPowerOfTwo(view.getUint8(13)) &&
    view.getUint16(14, true) > 0 &&
    view.getUint8(16) > 0 &&
    view.getUint8(21) >= 0xf0
  );
}

export function parseFatBootSector(source: ByteSource): FatGeometry {
  const sector = source.read(0, BOOT_SECTOR_BYTES);
  const view = new DataView(sector.buffer, sector.byteOffset, BOOT_SECTOR_BYTES);
  const u16 = (offset: number): number => view.getUint16(offset, true);
  const u32 = (offset: number): number => view.getUint32(offset, true);
  const refuse = (field: string, offset: number, detail: string): ParseError =>
    new ParseError('invalid', field, offset, detail);

  if (u16(SIGNATURE_OFFSET) !== 0xaa55)
    throw refuse('boot signature', SIGNATURE_OFFSET, `${u16(SIGNATURE_OFFSET)}, expected 0xaa55`);
  const sectorBytes = u16(11);
  if (!isSectorSize(sectorBytes))
    throw refuse('BPB_BytsPerSec', 11, `${sectorBytes}, expected 512, 1024, 2048 or 4096`);
  const clusterSectors = view.getUint8(13);
  if (!isPowerOfTwo(clusterSectors)) throw refuse('BPB_SecPerClus', 13, `${clusterSectors}, expected a power of two`);
  const reserved = u16(14);
  if (reserved === 0) throw refuse('BPB_RsvdSecCnt', 14, '0, expected at least 1');
  const tables = view.getUint8(16);
  if (tables === 0) throw refuse('BPB_NumFATs', 16, '0, expected at least 1');
  const rootEntries = u16(17);
  const sectors = u16(19) === 0 ? u32(32) : u16(19);
  const isFat32 = u16(22) === 0;
  const tableSectors = isFat32 ? u32(36) : u16(22);
  if (tableSectors === 0) throw refuse('BPB_FATSz32', 36, '0, expected at least 1');

  const size = sectors * sectorBytes;
  if (size > source.size) {
    throw new ParseError(
      'truncated',
      'BPB_TotSec32',
      32,
      `${sectors} sectors, but the volume has ${source.size} bytes`,
    );
  }
  const rootStart = (reserved + tables * tableSectors) * sectorBytes;
  const rootBytes = Math.ceil((rootEntries * ENTRY_BYTES) / sectorBytes) * sectorBytes;
  const dataStart = rootStart + rootBytes;
  const clusterBytes = clusterSectors * sectorBytes;
  const clusters = Math.floor((size - dataStart) / clusterBytes);
  if (clusters < 1) throw refuse('BPB_TotSec32', 32, `${sectors} sectors, which leaves no cluster for data`);
  const kind = kindFor(isFat32, clusters);
  const bits = Number(kind.slice(3));
  const tableBytes = tableSectors * sectorBytes;
  const clusterCount = Math.min(clusters, Math.floor((tableBytes * 8) / bits) - 2, MAX_FAT32_CLUSTERS);
  if (clusterCount < 1) throw refuse('BPB_FATSz32', 36, `${tableSectors}, which holds no cluster`);

  if (!isFat32 && rootEntries === 0) throw refuse('BPB_RootEntCnt', 17, '0, expected at least 1');
  const rootCluster = isFat32 ? u32(44) : 0;
  if (isFat32 && (rootCluster < 2 || rootCluster >= clusterCount + 2)) {
    throw refuse('BPB_RootClus', 44, `${rootCluster}, expected 2..${clusterCount + 1}`);
  }
  const active = isFat32 ? activeTable(u16(40), tables) : 0;
  const labelOffset = isFat32 ? 71 : 43;
  return {
    kind,
    size,
    clusterBytes,
    clusterCount,
    tableStart: (reserved + active * tableSectors) * sectorBytes,
    tableBytes,
    root: isFat32 ? { cluster: rootCluster } : { start: rootStart, bytes: rootEntries * ENTRY_BYTES },
    dataStart,
    volumeId: u32(isFat32 ? 67 : 39),
    label: sector.slice(labelOffset, labelOffset + 11),
  };
}

/** As Linux decides it: many tools make FAT32 with fewer clusters than Microsoft's document has it. */
function kindFor(isFat32: boolean, clusters: number): FatGeometry['kind'] {
  if (isFat32) return 'fat32';
  return clusters < MIN_FAT16_CLUSTERS ? 'fat12' : 'fat16';
}

/** BPB_ExtFlags: with bit 7 the tables are no mirrors, and the low bits say which one counts. */
function activeTable(flags: number, tables: number): number {
  if ((flags & 0x80) === 0) return 0;
  const active = flags & 0xf;
  if (active >= tables)
    throw new ParseError('invalid', 'BPB_ExtFlags', 40, `table ${active}, expected fewer than ${tables}`);
  return active;
}

function isSectorSize(bytes: number): boolean {
  return bytes === 512 || bytes === 1024 || bytes === 2048 || bytes === 4096;
}

function isPowerOfTwo(value: number): boolean {
  return value > 0 && (value & (value - 1)) === 0;
}
