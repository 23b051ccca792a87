// A disk out of the descriptors of the files that hold it.
import { openImage, type DiskImage } from '@ringwall/disk';
import { FileSource, nodeCodecs } from '@ringwall/disk/node';
import type { ConvertInputs } from './convert-job.ts';

/** What it opens is closed with `sources`. */
export function openInputs({ image, format, files }: ConvertInputs, sources: DisposableStack): DiskImage {
  const open = (descriptor: number): FileSource => sources.use(FileSource.open(`/proc/self/fd/${descriptor}`));
  return openImage(open(image), {
    ...(format === undefined ? {} : { format }),
    codecs: nodeCodecs,
    resolve: ({ name }) => {
      const descriptor = files.get(name);
      return descriptor === undefined ? undefined : open(descriptor);
    },
  });
}
