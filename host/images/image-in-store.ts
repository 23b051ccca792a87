// An image out of a store of contents by digest, wherever that is: from the index or manifest that a name leads to, to the layers
// of one platform.
import {
  choosePlatform,
  describeLayers,
  MAX_DOCUMENT_BYTES,
  OciError,
  parseImageConfig,
  parseManifest,
  type Descriptor,
  type ImageConfig,
  type InspectedLayer,
  type Platform,
} from '@ringwall/oci';
import { memoryBlob, readBlob, type Blob } from './blob.ts';

/** An index may name others; more than two are made to lead in circles. */
const MAX_INDEX_DEPTH = 4;

export interface ContentStore {
  /** Throws OciError where it lacks it. */
  readonly blob: (descriptor: Pick<Descriptor, 'digest' | 'size'>) => Blob;
  /** Manifests, where they are not kept as other contents are. Bytes are checked by whoever asks. */
  readonly manifest: (descriptor: Pick<Descriptor, 'digest' | 'size'>) => Blob;
}

/** A document by its digest, which was checked. */
export interface CheckedDocument {
  readonly digest: string;
  readonly bytes: Uint8Array;
}

/** One platform of an image, ready to be read. */
export interface StoredImage {
  /** Of its manifest; '' where there is none. */
  readonly digest: string;
  readonly config: ImageConfig;
  readonly layers: readonly InspectedLayer[];
  /** One of each layer. */
  readonly blobs: readonly Blob[];
  readonly annotations: Readonly<Record<string, string>>;
  /** All that must be copied to have the image, its manifest first; empty where there is none. */
  readonly contents: readonly { readonly descriptor: Descriptor; readonly blob: Blob }[];
  /** From the index that was asked for, where it was one, to the manifest: a signature of one of them is one of the image. */
  readonly trail: readonly CheckedDocument[];
}

export interface StoreOptions {
  readonly platform: Platform;
  readonly signal: AbortSignal;
}

/** `digest` is of an index or a manifest. Throws OciError. */
export async function openStoredImage(
  store: ContentStore,
  root: Pick<Descriptor, 'digest' | 'size' | 'mediaType'>,
  { platform, signal }: StoreOptions,
): Promise<StoredImage> {
  let descriptor = root;
  const trail: CheckedDocument[] = [];
  for (let depth = 0; depth < MAX_INDEX_DEPTH; depth += 1) {
    // oxlint-disable-next-line no-await-in-loop -- each names the next
    const bytes = await readBlob(store.manifest(descriptor), descriptor.digest, MAX_DOCUMENT_BYTES, signal);
    trail.push({ digest: descriptor.digest, bytes });
    const manifest = parseManifest(bytes);
    if (manifest.kind === 'manifest') {
      // oxlint-disable-next-line no-await-in-loop -- ends here
      const config = await readBlob(store.blob(manifest.config), manifest.config.digest, MAX_DOCUMENT_BYTES, signal);
      const parsed = parseImageConfig(config);
      const { layers, annotations } = manifest;
      return {
        digest: descriptor.digest,
        config: parsed.config,
        layers: describeLayers(
          layers.map(({ digest }) => digest),
          parsed,
        ),
        blobs: layers.map((layer) => store.blob(layer)),
        annotations,
        contents: [
          { descriptor: { ...descriptor, annotations: {} }, blob: memoryBlob(bytes) },
          { descriptor: manifest.config, blob: memoryBlob(config) },
          ...layers.map((layer) => ({ descriptor: layer, blob: store.blob(layer) })),
        ],
        trail,
      };
    }
    descriptor = choosePlatform(manifest, platform);
  }
  throw new OciError('malformed', `index leads to another one more than ${String(MAX_INDEX_DEPTH)} times`);
}
