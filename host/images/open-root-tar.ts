// The root of a system in one archive, as `mmdebstrap`, `docker export` and `tar` write it, plain or packed with gzip or zstd: an image of
// one layer, of which nothing says what would run in it.
import { closeSync, constants, fstatSync, openSync } from 'node:fs';
import { EMPTY_CONFIG, OciError } from '@ringwall/oci';
import type { StoredImage } from './image-in-store.ts';

/** No digest names it, so that nothing is known of it, and nothing kept. Throws OciError, or what node:fs throws. */
export function openRootTar(path: string): StoredImage & Disposable {
  using open = new DisposableStack();
  const descriptor = open.adopt(openSync(path, constants.O_RDONLY | constants.O_NONBLOCK), closeSync);
  const stat = fstatSync(descriptor);
  if (!stat.isFile()) throw new OciError('malformed', 'is no file');
  const kept = open.move();
  return {
    digest: '',
    config: EMPTY_CONFIG,
    layers: [{ digest: '', diffId: '', createdBy: '' }],
    blobs: [{ kind: 'file', descriptor, offset: 0, bytes: stat.size }],
    annotations: {},
    contents: [],
    trail: [],
    [Symbol.dispose]: () => kept.dispose(),
  };
}
