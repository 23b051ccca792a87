// A disk out of the descriptors of the files that hold it.
import { openImage, type Codecs, type Decompress, type DiskImage } from '@ringwall/disk';
import { FileSource, nodeCodecs } from '@ringwall/disk/node';
import { whole } from '../threads/index.ts';
import type { ConvertInputs } from './convert-job.ts';

/** A thread that unpacks may be ended at any time. */
const CODECS: Codecs = Object.fromEntries(
  Object.entries(nodeCodecs).map(([name, unpack]: [string, Decompress]) => [
    name,
    (block: Uint8Array, maxBytes: number): Uint8Array => whole(() => unpack(block, maxBytes)),
  ]),
);

/** What it opens is closed with `sources`. */
export function openInputs({ image, format, files }: ConvertInputs, sources: DisposableStack): DiskImage {
  const open = (descriptor: number): FileSource => sources.use(FileSource.open(`/proc/self/fd/${descriptor}`));
  return openImage(open(image), {
    ...(format === undefined ? {} : { format }),
    codecs: CODECS,
    resolve: ({ name }) => {
      const descriptor = files.get(name);
      return descriptor === undefined ? undefined : open(descriptor);
    },
  });
}
