// A disk out of a checked header and the way to its runs.
import { DiskError } from '../disk-error.ts';
import type { DiskImage, ImageHeader } from './disk-image.ts';
import { sourceOfRuns, type Locate } from './runs.ts';

interface DiskOfOptions {
  readonly locked?: boolean;
  /** Called with the ids of the header's own snapshots only. */
  readonly openSnapshot?: (id: string) => DiskImage;
}

export function diskOf(
  header: ImageHeader,
  locate: Locate,
  { locked = false, openSnapshot }: DiskOfOptions = {},
): DiskImage {
  const { format, virtualSize, facts, references, snapshots, encryption } = header;
  return {
    ...{ format, virtualSize, facts, references, snapshots, encryption, locked },
    ...sourceOfRuns(virtualSize, locate),
    openSnapshot(id) {
      if (openSnapshot === undefined || !snapshots.some((snapshot) => snapshot.id === id)) {
        throw new DiskError('not-found', `no snapshot ${JSON.stringify(id)} in this image`);
      }
      return openSnapshot(id);
    },
  };
}
