// `manifest.json` of what `docker save` and `podman save` write. Docker Image Specification v1.2, "Combined Image JSON + Filesystem
// Changeset Format".
import { MAX_LAYERS } from '../inspection/inspect-image.ts';
import { OciError } from '../oci-error.ts';
import { isObject, malformed, parseJson, textOf, textsOf } from './json.ts';

/** All images of a host in one archive. */
const MAX_ARCHIVED_IMAGES = 10_000;
const WHAT = 'manifest.json';

export interface ArchivedImage {
  /** Paths within the archive, from the base on. */
  readonly config: string;
  readonly layers: readonly string[];
  readonly repoTags: readonly string[];
}

/** Throws OciError. */
export function parseDockerArchive(bytes: Uint8Array): readonly ArchivedImage[] {
  const document = parseJson(bytes, WHAT);
  if (!Array.isArray(document)) throw malformed(WHAT, 'is no list');
  const images: readonly unknown[] = document;
  if (images.length > MAX_ARCHIVED_IMAGES)
    throw new OciError('limit', `${WHAT} has more than ${MAX_ARCHIVED_IMAGES} images`);
  return images.map((image) => {
    if (!isObject(image)) throw malformed(WHAT, 'has an image that is no object');
    const layers = textsOf(image, 'Layers', WHAT);
    if (layers.length > MAX_LAYERS) throw new OciError('limit', `${WHAT} has more than ${MAX_LAYERS} layers`);
    return { config: textOf(image, 'Config', WHAT), layers, repoTags: textsOf(image, 'RepoTags', WHAT) };
  });
}
