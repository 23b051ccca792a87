// An image in a folder or a tar as the OCI Image Specification 1.1, "Image Layout", has it.
import {
  OciError,
  parseManifest,
  shownPlatform,
  type Descriptor,
  type ImageIndex,
  type IndexEntry,
} from '@ringwall/oci';
import { readDocument, type FileBlob } from './blob.ts';
import { openStoredImage, type ContentStore, type StoredImage, type StoreOptions } from './image-in-store.ts';

/** The name that `skopeo copy` and `umoci` write, and the one that containerd does. */
const NAME_KEYS = ['org.opencontainers.image.ref.name', 'io.containerd.image.name'] as const;

/** Finds files by their path within the layout. */
export type FindFile = (path: string) => FileBlob | undefined;

export function isOciLayout(find: FindFile): boolean {
  return find('oci-layout') !== undefined && find('index.json') !== undefined;
}

/** By what each image of it can be asked for: its name, and where it has none its digest. Throws OciError. */
export function namesInLayout(find: FindFile): readonly string[] {
  return [...new Set(readIndex(find).manifests.map((entry) => nameOf(entry) || entry.digest))];
}

/** `wanted` is a name or a digest, or '' for the only image that there is. Throws OciError. */
export async function openOciLayout(
  find: FindFile,
  wanted: string,
  options: StoreOptions,
): Promise<StoredImage & { readonly name: string }> {
  const blob = ({ digest, size }: Pick<Descriptor, 'digest' | 'size'>): FileBlob => {
    const found = find(`blobs/${digest.replace(':', '/')}`);
    if (found === undefined) throw new OciError('malformed', `layout lacks ${digest}`);
    if (found.bytes !== size)
      throw new OciError('malformed', `${digest} has ${String(found.bytes)} bytes, and ${String(size)} were said`);
    return found;
  };
  const store: ContentStore = { blob, manifest: blob };
  const chosen = chooseImage(readIndex(find), wanted, options);
  return { ...(await openStoredImage(store, chosen, options)), name: nameOf(chosen) };
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

function chooseImage({ manifests }: ImageIndex, wanted: string, { platform }: StoreOptions): IndexEntry {
  const named =
    wanted === '' ? manifests : manifests.filter((entry) => nameOf(entry) === wanted || entry.digest === wanted);
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
