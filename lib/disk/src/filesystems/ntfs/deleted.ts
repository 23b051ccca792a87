// Deleted files of NTFS: deletion marks the record and frees the clusters, and leaves names, runs and small contents in the record
// until somebody takes it.
import { ParseError } from '@ringwall/bytes';
import { DiskError } from '../../disk-error.ts';
import type { DeletedFile } from '../file-system.ts';
import { attributeNamed } from './attributes.ts';
import { DOS_NAMESPACE, parseFileName } from './index.ts';
import { NtfsNode } from './node.ts';
import { ATTRIBUTE, type NtfsRecord } from './record.ts';
import { decodeRuns } from './runlist.ts';
import { FIRST_FILE, type NtfsVolume } from './volume.ts';

/** Clusters that are looked up to see who owns them: four times those there are, and for the smallest volumes this many. */
const MIN_CLUSTER_BUDGET = 65_536;

export function* deletedFilesOf(volume: NtfsVolume): Generator<DeletedFile> {
  const budget = { clusters: 4 * volume.geometry.clusterCount + MIN_CLUSTER_BUDGET };
  for (const number of volume.recordNumbers(FIRST_FILE)) {
    const found = unlessDamaged(() => deletedFile(volume, volume.record(number), budget));
    if (found !== undefined) yield found;
  }
}

function deletedFile(volume: NtfsVolume, record: NtfsRecord, budget: { clusters: number }): DeletedFile | undefined {
  if (record.inUse || record.isDirectory || record.base !== 0) return undefined;
  const data = attributeNamed(record.attributes, ATTRIBUTE.data, '');
  if (data.length === 0) return undefined;
  const runs = decodeRuns(
    data.flatMap((piece) => (piece.runs === undefined ? [] : [piece.runs])),
    volume.geometry,
  );
  const { clusterBytes } = volume.geometry;
  let overwrittenBlocks = 0;
  for (const { from, length } of runs) {
    if (from === undefined) continue;
    budget.clusters -= length / clusterBytes;
    if (budget.clusters < 0) throw new DiskError('limit', 'deleted files claim the volume more than four times over');
    for (let at = from; at < from + length; at += clusterBytes)
      if (volume.isInUse(at / clusterBytes)) overwrittenBlocks += 1;
  }
  return {
    name: nameOf(volume, record),
    node: new NtfsNode(volume, { record, attributes: record.attributes }),
    overwrittenBlocks,
  };
}

/** The long one of its names. */
function nameOf(volume: NtfsVolume, record: NtfsRecord): string | undefined {
  const names = attributeNamed(record.attributes, ATTRIBUTE.fileName, '').flatMap(({ value }) =>
    value === undefined ? [] : [parseFileName(value, volume.positionOf(record.number))],
  );
  return (names.find(({ namespace }) => namespace !== DOS_NAMESPACE) ?? names[0])?.name;
}

/** Records that were never used hold anything. */
function unlessDamaged<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof ParseError) return undefined;
    throw error;
  }
}
