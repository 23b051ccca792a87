// The partition table of the PC's BIOS: four entries in the first sector, of which one may hold a chain of more (as Linux
// reads it: block/partitions/msdos.c). Every number in it is an attacker's; a chain ends by a limit, whatever it says.
import { ParseError } from '@ringwall/bytes';
import type { ByteSource } from '../source/byte-source.ts';
import type { Partition, PartitionTable } from './partition.ts';

export const PROTECTIVE_TYPE = 0xee;

const SECTOR_BYTES = 512;
const SIGNATURE_AT = 0x1fe;
const DISK_ID_AT = 0x1b8;
const ENTRIES_AT = 0x1be;
const ENTRY_BYTES = 16;
const PRIMARY_ENTRIES = 4;
const FIRST_LOGICAL_NUMBER = 5;
/** Links of a chain of logical partitions: Linux itself stops after 100 that hold nothing, and at 256 partitions. */
const MAX_LOGICAL_PARTITIONS = 256;
const EXTENDED_TYPES: readonly number[] = [0x05, 0x0f, 0x85];

/** One entry as it lies in a sector. */
export interface MbrEntry {
  readonly status: number;
  readonly type: number;
  readonly firstSector: number;
  readonly sectors: number;
  /** Where it lies on the disk. */
  readonly offset: number;
}

/** The entries of the first sector; undefined where it holds no table: boot sectors of file systems carry its signature, too. */
export function parseMbrSector(sector: Uint8Array): readonly MbrEntry[] | undefined {
  if (!hasSignature(sector)) return undefined;
  const entries = entriesOf(sector, 0);
  const plausible = entries.every(({ status }) => status === 0 || status === 0x80);
  return plausible && entries.some(isUsed) ? entries : undefined;
}

/** The table in the first sector of `disk` and the chains that it leads to; undefined where there is none. */
export function readMbr(disk: ByteSource): PartitionTable | undefined {
  if (disk.size < SECTOR_BYTES) return undefined;
  const sector = disk.read(0, SECTOR_BYTES);
  const entries = parseMbrSector(sector);
  if (entries === undefined) return undefined;
  const view = new DataView(sector.buffer, sector.byteOffset, sector.byteLength);
  const id = view.getUint32(DISK_ID_AT, true).toString(16).padStart(8, '0');

  const partitions: Partition[] = [];
  let next = FIRST_LOGICAL_NUMBER;
  for (const [index, entry] of entries.entries()) {
    if (!isUsed(entry)) continue;
    partitions.push(partitionOf(entry, 0, index + 1, id));
    if (!EXTENDED_TYPES.includes(entry.type)) continue;
    for (const logical of logicalPartitions(disk, entry.firstSector, next, id)) {
      partitions.push(logical);
      next = logical.number + 1;
    }
  }
  return { scheme: 'mbr', id, sectorBytes: SECTOR_BYTES, partitions, notes: [] };
}

/** Follows the chain: each link names one partition, relative to itself, and the next link, relative to the first. */
function* logicalPartitions(
  disk: ByteSource,
  extendedSector: number,
  firstNumber: number,
  id: string,
): Generator<Partition> {
  const visited = new Set<number>();
  let number = firstNumber;
  for (let link: number | undefined = extendedSector; link !== undefined;) {
    const offset: number = link * SECTOR_BYTES;
    if (visited.has(link)) throw new ParseError('invalid', 'extended partition', offset, 'leads back to itself');
    if (visited.size >= MAX_LOGICAL_PARTITIONS) {
      throw new ParseError('limit', 'extended partition', offset, `has more than ${MAX_LOGICAL_PARTITIONS} links`);
    }
    visited.add(link);
    const sector = disk.read(offset, SECTOR_BYTES);
    if (!hasSignature(sector)) {
      throw new ParseError(
        'invalid',
        'extended partition',
        offset + SIGNATURE_AT,
        'without a signature, expected 55 aa',
      );
    }
    const used: readonly MbrEntry[] = entriesOf(sector, offset).filter(isUsed);
    for (const entry of used.filter(({ type }) => !EXTENDED_TYPES.includes(type))) {
      yield partitionOf(entry, link, number, id);
      number += 1;
    }
    const following = used.find(({ type }) => EXTENDED_TYPES.includes(type));
    link = following === undefined ? undefined : extendedSector + following.firstSector;
  }
}

function partitionOf(entry: MbrEntry, base: number, number: number, id: string): Partition {
  return {
    number,
    offset: (base + entry.firstSector) * SECTOR_BYTES,
    length: entry.sectors * SECTOR_BYTES,
    type: entry.type.toString(16).padStart(2, '0'),
    name: '',
    uuid: `${id}-${number.toString(16).padStart(2, '0')}`,
  };
}

function entriesOf(sector: Uint8Array, base: number): MbrEntry[] {
  const view = new DataView(sector.buffer, sector.byteOffset, sector.byteLength);
  return Array.from({ length: PRIMARY_ENTRIES }, (_, index) => {
    const at = ENTRIES_AT + index * ENTRY_BYTES;
    return {
      status: view.getUint8(at),
      type: view.getUint8(at + 4),
      firstSector: view.getUint32(at + 8, true),
      sectors: view.getUint32(at + 12, true),
      offset: base + at,
    };
  });
}

function isUsed({ type, sectors }: MbrEntry): boolean {
  return type !== 0 && sectors !== 0;
}

function hasSignature(sector: Uint8Array): boolean {
  return sector[SIGNATURE_AT] === 0x55 && sector[SIGNATURE_AT + 1] === 0xaa;
}
