// What every table of partitions says of one: a run of bytes with a type, and names where the table keeps them.
import { windowOf, type ByteSource } from '../source/byte-source.ts';

export type PartitionScheme = 'mbr' | 'gpt';

export interface Partition {
  /** As Linux counts them, from 1; the partitions inside an extended one from 5. */
  readonly number: number;
  /** Bytes from the start of the disk. */
  readonly offset: number;
  readonly length: number;
  /** Of MBR two hexadecimal digits (`83`), of GPT a GUID in lower case. */
  readonly type: string;
  /** '' where there is none; MBR has none. */
  readonly name: string;
  /** As Linux calls it (PARTUUID). */
  readonly uuid: string;
}

export interface PartitionTable {
  readonly scheme: PartitionScheme;
  /** The disk's identifier: a GUID, or of MBR eight hexadecimal digits. */
  readonly id: string;
  readonly sectorBytes: number;
  readonly partitions: readonly Partition[];
  /** What a reader should know of the state of the table, for people. */
  readonly notes: readonly string[];
}

/** The bytes of a partition. Throws `ParseError` (`truncated`) where the disk ends before. */
export function openPartition(disk: ByteSource, partition: Partition): ByteSource {
  return windowOf(disk, partition.offset, partition.length, `partition ${partition.number}`);
}
