// Deleted files of FAT: deletion frees the chain of clusters, and leaves the entry with first cluster and size. What lay in one
// piece can be read as long as nobody has taken its clusters.
import { DiskError } from '../../disk-error.ts';
import { ParseError } from '@ringwall/bytes';
import type { DeletedFile } from '../file-system.ts';
import { beginsWithDot, ENTRY_BYTES, readFatEntries, type FatEntry } from './directory.ts';
import { FatNode } from './node.ts';
import type { FatVolume } from './volume.ts';

/** Directories that are looked through: what a volume of 32 GiB can hold at some thousand files each. */
const MAX_DIRECTORIES = 2 ** 20;

/** Clusters that are looked up to see who owns them: four times those there are, and for the smallest volumes this many. */
const MIN_CLUSTER_BUDGET = 65_536;

/** All deleted files in all directories, also in deleted ones. */
export function* deletedFilesOf(volume: FatVolume): Generator<DeletedFile> {
  const seen = new Set<number>();
  const budget = { clusters: 4 * volume.geometry.clusterCount + MIN_CLUSTER_BUDGET };
  // Directories whose chains run into one another show the same entries again and again.
  let entriesLeft = (2 * volume.geometry.size) / ENTRY_BYTES;
  const waiting: { readonly cluster: number | undefined; readonly isDeleted: boolean }[] = [
    { cluster: undefined, isDeleted: false },
  ];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    for (const entry of readableEntries(volume, next)) {
      entriesLeft -= 1;
      if (entriesLeft < 0) throw new DiskError('limit', 'directories show more entries than the volume can hold');
      if (!entry.isDirectory) {
        if (entry.isDeleted || next.isDeleted) yield* deletedFile(volume, entry, budget);
        continue;
      }
      if (!volume.table.has(entry.firstCluster) || seen.has(entry.firstCluster)) continue;
      seen.add(entry.firstCluster);
      if (seen.size > MAX_DIRECTORIES) throw new DiskError('limit', `more than ${MAX_DIRECTORIES} directories`);
      waiting.push({ cluster: entry.firstCluster, isDeleted: entry.isDeleted || next.isDeleted });
    }
  }
}

/** Entries until one cannot be read: a damaged directory hides what follows in it, not the others. */
function* readableEntries(
  volume: FatVolume,
  { cluster, isDeleted }: { readonly cluster: number | undefined; readonly isDeleted: boolean },
): Generator<FatEntry> {
  try {
    if (!isDeleted || cluster === undefined) {
      yield* volume.entries(cluster);
      return;
    }
    const piece = volume.readCluster(cluster);
    // Only its first cluster is known: the chain is free.
    if (!volume.table.isFree(cluster) || !beginsWithDot(piece.bytes)) return;
    for (const entry of readFatEntries([piece])) if (!('label' in entry)) yield entry;
  } catch (error) {
    if (!(error instanceof ParseError)) throw error;
  }
}

function* deletedFile(volume: FatVolume, entry: FatEntry, budget: { clusters: number }): Generator<DeletedFile> {
  const { firstCluster, size } = entry;
  const clusters = Math.ceil(size / volume.geometry.clusterBytes);
  if (clusters === 0 || !volume.table.has(firstCluster) || !volume.table.has(firstCluster + clusters - 1)) return;
  budget.clusters -= clusters;
  if (budget.clusters < 0) throw new DiskError('limit', 'deleted files claim the volume more than four times over');
  let overwrittenBlocks = 0;
  for (let index = 0; index < clusters; index += 1)
    if (!volume.table.isFree(firstCluster + index)) overwrittenBlocks += 1;
  const contents = (): ReturnType<FatVolume['openContiguous']> => volume.openContiguous(firstCluster, size);
  yield { name: entry.name, node: new FatNode(volume, entry, contents), overwrittenBlocks };
}
