// An image in a folder or a tar as the OCI Image Specification 1.1, "Image Layout", has it.
import {
  OciError,
  parseManifest,
  shownPlatform,
  type Descriptor,
  type ImageIndex,
  type IndexEntry,
} from '@ringwall/oci';
import type { AttachmentStore } from './attachment-store.ts';
import { attachmentsInLayout, isAttachment, isSignedIndex, readSignedIndexes } from './attachments-in-layout.ts';
import { readDocument, type FileBlob } from './blob.ts';
import { openStoredImage, type ContentStore, type StoredImage, type StoreOptions } from './image-in-store.ts';
import { REF_NAME, WHOLE_NAME } from './layout-annotations.ts';

const NAME_KEYS = [REF_NAME, WHOLE_NAME] as const;
/** With a registry in front, as no tag is. */
const IS_WHOLE = /^(?:localhost|[^/]*[.:][^/]*)\//;

/** Finds files by their path within the layout. */
export type FindFile = (path: string) => FileBlob | undefined;

export function isOciLayout(find: FindFile): boolean {
  return find('oci-layout') !== undefined && find('index.json') !== undefined;
}

/** By what each image of it can be asked for: its name, and where it has none its digest. Throws OciError. */
export function namesInLayout(find: FindFile): readonly string[] {
  return [...new Set(imagesOf(readIndex(find)).map((entry) => nameOf(entry) || entry.digest))];
}

export interface ImageInLayout extends StoredImage {
  readonly name: string;
  /** As it is called in a registry, by its own word; '' where it does not say so. */
  readonly wholeName: string;
  readonly attached: AttachmentStore;
}

/** `wanted` is a name or a digest, or '' for the only image that there is. Throws OciError. */
export async function openOciLayout(find: FindFile, wanted: string, options: StoreOptions): Promise<ImageInLayout> {
  const blob = ({ digest, size }: Pick<Descriptor, 'digest' | 'size'>): FileBlob => {
    const found = find(`blobs/${digest.replace(':', '/')}`);
    if (found === undefined) throw new OciError('malformed', `layout lacks ${digest}`);
    if (found.bytes !== size)
      throw new OciError('malformed', `${digest} has ${String(found.bytes)} bytes, and ${String(size)} were said`);
    return found;
  };
  const store: ContentStore = { blob, manifest: blob };
  const index = readIndex(find);
  const chosen = chooseImage(index, wanted, options);
  const image = await openStoredImage(store, chosen, options);
  const above = await readSignedIndexes(index.manifests, store, chosen.digest, options.signal);
  return {
    ...image,
    trail: [...above, ...image.trail],
    name: nameOf(chosen),
    wholeName: NAME_KEYS.map((key) => chosen.annotations[key] ?? '').find((name) => IS_WHOLE.test(name)) ?? '',
    attached: attachmentsInLayout(index.manifests, store),
  };
}

/** What the layout holds, one for each name. Throws OciError. */
function readIndex(find: FindFile): ImageIndex {
  const file = find('index.json');
  if (file === undefined) throw new OciError('malformed', 'layout has no index.json');
  const index = parseManifest(readDocument(file, 'index.json'));
  if (index.kind !== 'index') throw new OciError('malformed', 'index.json is no index');
  return index;
}

function nameOf({ annotations }: Descriptor): string {
  return NAME_KEYS.map((key) => annotations[key] ?? '').find((name) => name !== '') ?? '';
}

/** Without what is attached to them. */
function imagesOf({ manifests }: ImageIndex): readonly IndexEntry[] {
  const images = manifests.filter((entry) => !isAttachment(entry));
  const others = images.filter((entry) => !isSignedIndex(entry));
  return others.length > 0 ? others : images;
}

function chooseImage(index: ImageIndex, wanted: string, { platform }: StoreOptions): IndexEntry {
  const manifests = imagesOf(index);
  const named =
    wanted === '' ? manifests : index.manifests.filter((entry) => nameOf(entry) === wanted || entry.digest === wanted);
  const fitting = named.filter(
    (entry) => entry.platform === undefined || shownPlatform(entry.platform) === shownPlatform(platform),
  );
  const [only] = fitting.length > 0 ? fitting : named;
  if (only === undefined || (fitting.length > 0 ? fitting : named).length > 1) {
    const names = manifests.map((entry) => nameOf(entry) || entry.digest);
    throw new OciError(
      'malformed',
      `layout holds ${String(named.length)} images${wanted === '' ? '' : ` of that name`}: name one of ${names.slice(0, 20).join(', ')}`,
    );
  }
  return only;
}
