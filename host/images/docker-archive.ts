// An image in a tar as `docker save` and `podman save` write it. Its layers have no digest but that of their unpacked form, by
// which whoever loads the archive checks them, too.
import { describeLayers, OciError, parseDockerArchive, parseImageConfig, type ArchivedImage } from '@ringwall/oci';
import { digestOf, readDocument, type FileBlob } from './blob.ts';
import type { StoredImage } from './image-in-store.ts';
import type { FindFile } from './oci-layout.ts';

export function isDockerArchive(find: FindFile): boolean {
  return find('manifest.json') !== undefined;
}

/** By what each image of it can be asked for. Throws OciError. */
export function namesInArchive(find: FindFile): readonly string[] {
  const file = find('manifest.json');
  if (file === undefined) return [];
  const images = parseDockerArchive(readDocument(file, 'manifest.json'));
  return images.length === 1 ? [''] : images.flatMap(({ repoTags }) => repoTags.slice(0, 1));
}

/** `wanted` is a name, or '' for the only image that there is. Throws OciError. */
export function openDockerArchive(find: FindFile, wanted: string): StoredImage & { readonly name: string } {
  const file = (path: string): FileBlob => {
    const found = find(path);
    if (found === undefined) throw new OciError('malformed', `archive lacks “${path}”`);
    return found;
  };
  const image = chooseImage(parseDockerArchive(readDocument(file('manifest.json'), 'manifest.json')), wanted);
  const parsed = parseImageConfig(readDocument(file(image.config), 'configuration'));
  return {
    name: image.repoTags[0] ?? '',
    digest: '',
    config: parsed.config,
    // The archive says no digest of the layers as they lie here.
    layers: describeLayers(
      image.layers.map((_, at) => parsed.diffIds[at] ?? ''),
      parsed,
    ),
    blobs: image.layers.map(file),
    annotations: {},
    contents: [],
    trail: [],
  };
}

/**
 * Archives of today hold an OCI layout, too, and who loads one may read either. Throws OciError where they are two images.
 * `config` is of the layout's image.
 */
export function checkSameImage(find: FindFile, configDigest: string): void {
  const file = find('manifest.json');
  if (file === undefined) return;
  const digests = parseDockerArchive(readDocument(file, 'manifest.json')).map(({ config }) => {
    const found = find(config);
    return found === undefined ? '' : digestOf(readDocument(found, 'configuration'), configDigest);
  });
  if (!digests.includes(configDigest))
    throw new OciError('malformed', 'archive is one image by its manifest.json, and another by its index.json');
}

function chooseImage(images: readonly ArchivedImage[], wanted: string): ArchivedImage {
  const named = wanted === '' ? images : images.filter(({ repoTags }) => repoTags.includes(wanted));
  const [only] = named;
  if (only !== undefined && named.length === 1) return only;
  const names = images.map(({ repoTags }) => repoTags[0] ?? 'one without a name');
  throw new OciError(
    'malformed',
    `archive holds ${String(named.length)} images${wanted === '' ? '' : ' of that name'}: name one of ${names.slice(0, 20).join(', ')}`,
  );
}
