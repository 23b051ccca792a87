// Compressed attributes of NTFS: units of some clusters; one that takes fewer clusters than it has is packed with LZNT1, one that
// takes none is a hole (Linux-NTFS documentation, "Data Runs", "Compressed runs").
import { BoundedMap, ParseError } from '@ringwall/bytes';
import { checkRange, type ByteSource } from '../../source/byte-source.ts';
import { decompressLznt1 } from '../../source/lznt1.ts';
import { checkReadLength, mappedBytes, sourceOfRuns, type Runs } from '../run-source.ts';
import type { NtfsGeometry } from './boot-sector.ts';

/** Windows compresses 16 clusters of at most 4 KiB together; this is generous. */
const MAX_UNIT_BYTES = 2 ** 20;

/** Unpacked units that are kept of each open file: 1 MiB of usual ones. */
const CACHED_UNITS = 16;

export function openCompressed(
  disk: ByteSource,
  runs: Runs,
  size: number,
  unitBits: number,
  { clusterBytes, mftStart }: NtfsGeometry,
): ByteSource {
  const unitBytes = 2 ** unitBits * clusterBytes;
  if (unitBytes > MAX_UNIT_BYTES) {
    throw new ParseError(
      'limit',
      'compression_unit',
      mftStart,
      `${unitBits}: ${unitBytes} bytes, expected at most ${MAX_UNIT_BYTES}`,
    );
  }
  const covered = Math.ceil(size / unitBytes) * unitBytes;
  const stored = sourceOfRuns(disk, runs, covered, 'compressed attribute');
  const units = new BoundedMap<number, Uint8Array>(CACHED_UNITS);
  const unitAt = (start: number): Uint8Array | undefined => {
    const known = units.get(start);
    if (known !== undefined) return known;
    const mapped = mappedBytes(runs, start, start + unitBytes);
    if (mapped === 0) return undefined;
    const raw = stored.read(start, mapped === unitBytes ? unitBytes : mapped);
    const unit = mapped === unitBytes ? raw : decompressLznt1(raw, unitBytes);
    units.set(start, unit);
    return unit;
  };
  return {
    size,
    read(offset, length) {
      checkRange(offset, length, size, 'file');
      checkReadLength(length, 'file');
      const bytes = new Uint8Array(length);
      for (let at = 0; at < length;) {
        const start = Math.floor((offset + at) / unitBytes) * unitBytes;
        const from = offset + at - start;
        const part = Math.min(unitBytes - from, length - at);
        const unit = unitAt(start);
        if (unit !== undefined) bytes.set(unit.subarray(from, from + part), at);
        at += part;
      }
      return bytes;
    },
  };
}
