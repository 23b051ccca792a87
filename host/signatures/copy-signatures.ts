// The signatures of an image as they go with it into a layout: each whole, with every digest checked, or not at all.
import {
  COSIGN_LAYER_TYPE,
  MANIFEST_TYPES,
  OciError,
  parseAttachment,
  type Attachment,
  type Descriptor,
} from '@ringwall/oci';
import {
  COSIGN_KIND,
  COSIGN_KINDS,
  digestOf,
  readBlob,
  REF_NAME,
  type AttachmentStore,
  type CopiedAttachment,
  type StoredImage,
} from '../images/index.ts';
import {
  cosignTag,
  explained,
  MAX_BUNDLE_BYTES,
  MAX_SIGNATURES,
  readBundleManifest,
  referringBundles,
  shortened,
} from './find-signatures.ts';

/** All of them are in memory at once. A signature has ten KiB, provenance some hundred. */
const MAX_ALL_BYTES: number = 32 * 1024 * 1024;
const [INDEX_TYPE, DOCKER_LIST_TYPE] = MANIFEST_TYPES;

export interface CopiedSignatures {
  readonly attached: readonly CopiedAttachment[];
  /** Why others are left behind, a sentence each. */
  readonly left: readonly string[];
}

/** Of an image and of the index that its name led to, which is copied too where it has any. Throws RegistryError. */
export async function copySignatures(
  { trail, attached: store }: { readonly trail: StoredImage['trail']; readonly attached: AttachmentStore },
  signal: AbortSignal,
): Promise<CopiedSignatures> {
  const attached: CopiedAttachment[] = [];
  const left: string[] = [];
  let bytes = 0;
  for (const [at, { digest, bytes: document }] of trail.entries()) {
    const before = attached.length;
    // oxlint-disable-next-line no-await-in-loop -- the bounds are for all of them
    for await (const copied of copyOf(store, digest, signal)) {
      if (typeof copied === 'string') {
        left.push(copied);
        continue;
      }
      bytes += copied.contents.reduce((sum, content) => sum + content.bytes.length, 0);
      if (attached.length >= MAX_SIGNATURES || bytes > MAX_ALL_BYTES) {
        left.push(`more than ${String(MAX_SIGNATURES)} signatures, or than ${String(MAX_ALL_BYTES)} bytes of them`);
        return { attached, left };
      }
      attached.push(copied);
    }
    if (at < trail.length - 1 && attached.length > before) attached.push(indexAbove(digest, document));
  }
  return { attached, left };
}

async function* copyOf(
  store: AttachmentStore,
  digest: string,
  signal: AbortSignal,
): AsyncGenerator<CopiedAttachment | string, void> {
  const bundles = await explained('what is attached to it', () => referringBundles(store, digest, signal));
  if (typeof bundles === 'string') yield bundles;
  else
    for (const referrer of bundles) {
      const { mediaType, size, artifactType } = referrer;
      // oxlint-disable-next-line no-await-in-loop -- whoever asked may have enough of them
      yield await explained(`bundle ${shortened(referrer.digest)}`, async () => {
        const { bytes, attachment } = await readBundleManifest(store, referrer, digest, signal);
        const entry = { mediaType, digest: referrer.digest, size, artifactType, annotations: {} };
        return { entry, contents: await readAll(store, entry, { bytes, attachment }, signal) };
      });
    }
  const older = await explained(`signatures of ${shortened(digest)}`, () => copyOfCosign(store, digest, signal));
  if (older !== undefined) yield older;
}

async function copyOfCosign(
  store: AttachmentStore,
  digest: string,
  signal: AbortSignal,
): Promise<CopiedAttachment | undefined> {
  const tag = cosignTag(digest);
  const bytes = await store.tagged(tag, signal);
  if (bytes === undefined) return undefined;
  const attachment = parseAttachment(bytes);
  const odd = attachment.contents.find(({ mediaType }) => mediaType !== COSIGN_LAYER_TYPE);
  if (odd !== undefined) throw new OciError('malformed', `holds ${odd.mediaType.slice(0, 100)}, which is no signature`);
  const annotations = { [REF_NAME]: tag, [COSIGN_KIND]: COSIGN_KINDS.signatures };
  const entry = { mediaType: attachment.mediaType, digest: digestOf(bytes, digest), size: bytes.length, annotations };
  return { entry, contents: await readAll(store, entry, { bytes, attachment }, signal) };
}

/** What it consists of, its manifest first. Throws OciError where that is too much, or not what its digests say. */
async function readAll(
  store: AttachmentStore,
  { digest }: Descriptor,
  { bytes, attachment: { config, contents } }: { readonly bytes: Uint8Array; readonly attachment: Attachment },
  signal: AbortSignal,
): Promise<CopiedAttachment['contents']> {
  const parts = new Map([...(config === undefined ? [] : [config]), ...contents].map((part) => [part.digest, part]));
  if (parts.size > MAX_SIGNATURES + 1)
    throw new OciError('limit', `holds ${String(parts.size)} contents, at most ${String(MAX_SIGNATURES + 1)}`);
  const read: { digest: string; bytes: Uint8Array }[] = [{ digest, bytes }];
  let rest = MAX_BUNDLE_BYTES;
  for (const part of parts.values()) {
    // oxlint-disable-next-line no-await-in-loop -- what one takes, the others may not
    const content = await readBlob(store.blob(part), part.digest, rest, signal);
    rest -= content.length;
    read.push({ digest: part.digest, bytes: content });
  }
  return read;
}

/** Under no name, so that nobody takes it for one more image. */
function indexAbove(digest: string, bytes: Uint8Array): CopiedAttachment {
  const annotations = { [COSIGN_KIND]: COSIGN_KINDS.index };
  const isDockers = new TextDecoder().decode(bytes).includes(`"${DOCKER_LIST_TYPE}"`);
  const entry = { mediaType: isDockers ? DOCKER_LIST_TYPE : INDEX_TYPE, digest, size: bytes.length, annotations };
  return { entry, contents: [{ digest, bytes }] };
}
