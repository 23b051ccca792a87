// Packed runs of an attribute (Linux-NTFS documentation, "Data Runs"): each a byte with two widths, then a number of clusters and
// how far it is from the last run; without the second, a hole.
import { ParseError } from '@ringwall/bytes';
import { DiskError } from '../../disk-error.ts';
import { RunList } from '../run-source.ts';
import type { NtfsGeometry } from './boot-sector.ts';
import type { NonResident } from './record.ts';

/** Pieces of one attribute: 16 MiB of memory. */
const MAX_RUNS = 2 ** 20;

/** The runs of an attribute whose `pieces` are in order. */
export function decodeRuns(pieces: readonly NonResident[], geometry: NtfsGeometry): RunList {
  const runs = new RunList();
  let next = 0;
  for (const { firstCluster, pairs } of pieces) {
    if (firstCluster !== next) {
      throw new ParseError(
        'invalid',
        'lowest_vcn',
        geometry.mftStart,
        `${firstCluster}, expected ${next}: a piece is missing`,
      );
    }
    next = decodePairs(pairs, next, geometry, runs);
  }
  return runs;
}

/** Adds the runs in `pairs` to `runs`; returns the cluster behind the last one. */
function decodePairs(pairs: Uint8Array, first: number, geometry: NtfsGeometry, runs: RunList): number {
  const { clusterBytes, clusterCount, mftStart } = geometry;
  let next = first;
  let cluster = 0;
  for (let at = 0; at < pairs.length && pairs[at] !== 0;) {
    const lengthWidth = (pairs[at] ?? 0) & 15;
    const distanceWidth = (pairs[at] ?? 0) >> 4;
    if (
      lengthWidth === 0 ||
      lengthWidth > 8 ||
      distanceWidth > 8 ||
      at + 1 + lengthWidth + distanceWidth > pairs.length
    ) {
      throw new ParseError(
        'invalid',
        'mapping pairs',
        mftStart,
        `widths ${lengthWidth} and ${distanceWidth} at byte ${at}`,
      );
    }
    const length = signed(pairs, at + 1, lengthWidth);
    // A length beyond any volume is a hole's at most.
    if (length <= 0 || length > 2 ** 45)
      throw new ParseError('invalid', 'mapping pairs', mftStart, `a run of ${length} clusters`);
    at += 1 + lengthWidth;
    let from: number | undefined;
    if (distanceWidth > 0) {
      cluster += signed(pairs, at, distanceWidth);
      at += distanceWidth;
      if (cluster < 0 || cluster + length > clusterCount) {
        const found = `${length} clusters from ${cluster} on`;
        throw new ParseError('invalid', 'mapping pairs', mftStart, `${found}, expected at most ${clusterCount} in all`);
      }
      from = cluster * clusterBytes;
    }
    runs.append(length * clusterBytes, from);
    if (runs.length > MAX_RUNS) throw new DiskError('limit', `an attribute in more than ${MAX_RUNS} pieces`);
    next += length;
    if (next * clusterBytes > Number.MAX_SAFE_INTEGER) {
      throw new ParseError('limit', 'mapping pairs', mftStart, `${next} clusters, which is beyond any file`);
    }
  }
  return next;
}

/** A number of up to 8 bytes; those that need more than 53 bits are beyond every bound that is checked next. */
function signed(bytes: Uint8Array, at: number, width: number): number {
  let value = 0;
  for (let index = width - 1; index >= 0; index -= 1) value = value * 256 + (bytes[at + index] ?? 0);
  return ((bytes[at + width - 1] ?? 0) & 0x80) === 0 ? value : value - 256 ** width;
}
