// What a registry answers when it is asked for an image: a manifest, or an index of one for each platform. OCI Image
// Specification 1.1, "Image Manifest" and "Image Index"; Docker Image Manifest Version 2, Schema 2, and its manifest list.
import { MAX_LAYERS } from '../inspection/inspect-image.ts';
import { OciError } from '../oci-error.ts';
import { parseDigest } from '../references/reference.ts';
import { isObject, labelsOf, listOf, malformed, objectOf, parseJsonObject, textOf, type JsonObject } from './json.ts';

/** What to ask a registry for, the newest first. */
export const MANIFEST_TYPES = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
] as const;

/** Platforms times variants; an index of all that Debian builds has twenty. */
const MAX_INDEX_ENTRIES = 1000;
const INDEX_TYPES: readonly string[] = MANIFEST_TYPES.slice(0, 2);
const CONFIG_TYPES: readonly string[] = [
  'application/vnd.oci.image.config.v1+json',
  'application/vnd.docker.container.image.v1+json',
];
/** Of layers: tar, and how it is packed, is said by its first bytes, too. */
const LAYER_TYPES: readonly RegExp[] = [
  /^application\/vnd\.oci\.image\.layer\.v1\.tar(?:\+(?:gzip|zstd))?$/,
  /^application\/vnd\.docker\.image\.rootfs\.diff\.tar(?:\.gzip|\.zstd)?$/,
];

export interface Descriptor {
  readonly mediaType: string;
  /** `sha256:…`, checked for its form. */
  readonly digest: string;
  /** Bytes; what is longer or shorter is not it. */
  readonly size: number;
  readonly annotations: Readonly<Record<string, string>>;
}

export interface Platform {
  readonly os: string;
  readonly architecture: string;
  readonly variant: string;
}

export interface IndexEntry extends Descriptor {
  /** undefined where it is not said. */
  readonly platform: Platform | undefined;
  /** Of what is no image, but attached to one; '' where it is not said. */
  readonly artifactType: string;
}

export interface ImageIndex {
  readonly kind: 'index';
  readonly manifests: readonly IndexEntry[];
}

export interface ImageManifest {
  readonly kind: 'manifest';
  readonly config: Descriptor;
  /** From the base on. */
  readonly layers: readonly Descriptor[];
  readonly annotations: Readonly<Record<string, string>>;
}

/** Throws OciError. */
export function parseManifest(bytes: Uint8Array): ImageIndex | ImageManifest {
  const document = parseJsonObject(bytes, 'manifest');
  const mediaType = textOf(document, 'mediaType', 'manifest');
  if (document['schemaVersion'] === 1 || Object.hasOwn(document, 'fsLayers')) {
    throw malformed(
      'manifest',
      'is of schema 1, whose configuration no digest covers and which was withdrawn: push the image anew',
    );
  }
  if (document['schemaVersion'] !== 2) throw malformed('manifest', 'is of no known schema');
  // Both at once is how one document is made to mean two images (CVE-2021-41190).
  if (Object.hasOwn(document, 'manifests') && (Object.hasOwn(document, 'layers') || Object.hasOwn(document, 'config')))
    throw malformed('manifest', 'is a manifest and an index at once');
  const isIndex = Object.hasOwn(document, 'manifests');
  if (mediaType !== '' && isIndex !== INDEX_TYPES.includes(mediaType))
    throw malformed('manifest', `says that it is ${mediaType.slice(0, 100)}, and is not`);
  return isIndex ? parseIndex(document) : parseImageManifest(document);
}

/** `linux/amd64`, `linux/arm64/v8`. Throws OciError. */
export function parsePlatform(text: string): Platform {
  const [os = '', architecture = '', variant = '', ...rest] = text.split('/');
  if (os === '' || architecture === '' || rest.length > 0)
    throw malformed(`platform “${text.slice(0, 100)}”`, 'is not as in linux/amd64');
  return { os, architecture, variant };
}

/** The manifest of an index that is for `wanted`. Throws OciError, which names those that there are. */
export function choosePlatform({ manifests }: ImageIndex, wanted: Platform): IndexEntry {
  // BuildKit keeps attestations beside images, as a platform that does not exist.
  const images = manifests.filter(({ platform }) => platform?.os !== 'unknown');
  const [only] = images;
  if (images.length === 1 && only !== undefined && only.platform === undefined) return only;
  const fitting = images.filter(
    ({ platform }) => platform?.os === wanted.os && platform.architecture === wanted.architecture,
  );
  const exact = fitting.find(({ platform }) => platform?.variant === wanted.variant);
  const chosen = exact ?? (wanted.variant === '' ? fitting[0] : undefined);
  if (chosen !== undefined) return chosen;
  const there = images.flatMap(({ platform }) => (platform === undefined ? [] : [shownPlatform(platform)]));
  throw malformed(
    'index',
    `has no image for ${shownPlatform(wanted)}; it has ${there.slice(0, 20).join(', ') || 'none'}`,
  );
}

export function shownPlatform({ os, architecture, variant }: Platform): string {
  return [os, architecture, variant].filter((part) => part !== '').join('/');
}

function parseIndex(document: JsonObject): ImageIndex {
  const list = listOf(document, 'manifests', 'index');
  if (list.length > MAX_INDEX_ENTRIES)
    throw new OciError('limit', `index has more than ${MAX_INDEX_ENTRIES} manifests`);
  return {
    kind: 'index',
    manifests: list.map((entry) => ({
      ...parseDescriptor(entry, 'index'),
      platform: platformOf(entry),
      artifactType: isObject(entry) ? textOf(entry, 'artifactType', 'index') : '',
    })),
  };
}

function parseImageManifest(document: JsonObject): ImageManifest {
  const config = parseDescriptor(document['config'], 'manifest');
  if (!CONFIG_TYPES.includes(config.mediaType))
    throw malformed(
      'manifest',
      `is of no image: its configuration is ${config.mediaType.slice(0, 100) || 'of no type'}`,
    );
  const layers = listOf(document, 'layers', 'manifest').map((layer) => parseDescriptor(layer, 'manifest'));
  if (layers.length > MAX_LAYERS) throw new OciError('limit', `manifest has more than ${MAX_LAYERS} layers`);
  const odd = layers.find(({ mediaType }) => !LAYER_TYPES.some((known) => known.test(mediaType)));
  if (odd !== undefined)
    throw malformed('manifest', `has a layer of type ${odd.mediaType.slice(0, 100)}, which cannot be judged`);
  return { kind: 'manifest', config, layers, annotations: labelsOf(document, 'annotations', 'manifest') };
}

export function parseDescriptor(value: unknown, what: string): Descriptor {
  if (!isObject(value)) throw malformed(what, 'has a descriptor that is no object');
  const { algorithm, hex } = parseDigest(textOf(value, 'digest', what));
  if (algorithm === 'sha384') throw malformed(what, 'names contents by sha384, which no registry serves');
  const { size } = value;
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0)
    throw malformed(what, 'has a descriptor without a size');
  return {
    mediaType: textOf(value, 'mediaType', what),
    digest: `${algorithm}:${hex}`,
    size,
    annotations: labelsOf(value, 'annotations', what),
  };
}

function platformOf(value: unknown): Platform | undefined {
  if (!isObject(value) || !isObject(value['platform'])) return undefined;
  const platform = objectOf(value, 'platform', 'index');
  return {
    os: textOf(platform, 'os', 'index'),
    architecture: textOf(platform, 'architecture', 'index'),
    variant: textOf(platform, 'variant', 'index'),
  };
}
