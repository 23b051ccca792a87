// The partitions of a disk, by whichever table it has. As Linux does, GPT is taken where the old table says that it is
// there, and where there is no old table at all.
import type { ByteSource } from '../source/byte-source.ts';
import { gptSectorBytes, readGpt } from './gpt.ts';
import { parseMbrSector, PROTECTIVE_TYPE, readMbr } from './mbr.ts';
import type { PartitionTable } from './partition.ts';

const SECTOR_BYTES = 512;

/** The table of `disk`, undefined where it has none. Throws `ParseError` where it has one that does not hold. */
export function readPartitionTable(disk: ByteSource): PartitionTable | undefined {
  if (disk.size < SECTOR_BYTES) return undefined;
  const entries = parseMbrSector(disk.read(0, SECTOR_BYTES));
  const isProtective = entries?.some(({ type }) => type === PROTECTIVE_TYPE) ?? false;
  const sectorBytes = gptSectorBytes(disk);
  if (isProtective) return readGpt(disk, sectorBytes ?? SECTOR_BYTES);
  if (entries === undefined && sectorBytes !== undefined) return readGpt(disk, sectorBytes);
  return readMbr(disk);
}
