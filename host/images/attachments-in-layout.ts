// What is attached to the images of an OCI layout: manifests in its index that name another as their subject (as `oras` keeps them), what
// a referrers tag lists, and what has a tag of cosign's. Whoever made the layout controls every byte.
import {
  MAX_DOCUMENT_BYTES,
  OciError,
  parseAttachment,
  parseManifest,
  parseReferrers,
  type Descriptor,
  type IndexEntry,
  type Referrer,
} from '@ringwall/oci';
import type { AttachmentStore } from './attachment-store.ts';
import { readBlob } from './blob.ts';
import type { CheckedDocument, ContentStore } from './image-in-store.ts';
import { COSIGN_KIND, COSIGN_KINDS, REF_NAME } from './layout-annotations.ts';

/** Each is opened and read to learn what it is attached to; an image has a handful. */
const MAX_LOOKED_AT = 256;
/** A manifest with one content has a thousand bytes. What is larger is looked at only by whoever wants what it holds. */
const MAX_GLANCE_BYTES: number = 64 * 1024;
/** Above an image there is the index that was signed with it. */
const MAX_INDEXES = 4;
/** What cosign calls what it attaches, and the tag of a list of referrers. */
const ATTACHED_TAG = /^sha256-[0-9a-f]{64}(?:\.(?:sig|att|sbom))?$/;

/** Whether an entry of a layout's index is no image of its own. What has a name that an image could have, always is one. */
export function isAttachment({ annotations, artifactType }: IndexEntry): boolean {
  const tag = annotations[REF_NAME] ?? '';
  const kind = annotations[COSIGN_KIND];
  if (tag !== '') return ATTACHED_TAG.test(tag);
  return artifactType !== '' || kind === COSIGN_KINDS.signatures || kind === COSIGN_KINDS.attestations;
}

/** Whether an entry is an index that was kept beside the image of it, because somebody had signed it. */
export function isSignedIndex({ annotations }: IndexEntry): boolean {
  return (annotations[REF_NAME] ?? '') === '' && annotations[COSIGN_KIND] === COSIGN_KINDS.index;
}

/** `entries`: of the layout's index. */
export function attachmentsInLayout(entries: readonly IndexEntry[], store: ContentStore): AttachmentStore {
  const tagged: AttachmentStore['tagged'] = async (tag, signal) => {
    const entry =
      entries.find(({ annotations }) => annotations[REF_NAME] === tag) ??
      // As `cosign save` keeps them: those of the only image.
      (tag.endsWith('.sig') ? entries.find(isSavedByCosign) : undefined);
    return entry === undefined ? undefined : await readManifest(store, entry, signal);
  };
  return {
    ...store,
    tagged,
    referrers: async (digest, signal) => {
      const index = await tagged(digest.replace(':', '-'), signal);
      const ofSubject: Referrer[] = index === undefined ? [] : [...parseReferrers(index)];
      const unread: Referrer[] = [];
      for (const [at, entry] of entries.filter(({ artifactType }) => artifactType !== '').entries()) {
        // oxlint-disable-next-line no-await-in-loop -- files that lie here
        const subject = at < MAX_LOOKED_AT ? await glanceAtSubject(store, entry, signal) : undefined;
        if (subject === digest) ofSubject.push(entry);
        else if (subject === undefined) unread.push(entry);
      }
      // Listed last, so that somebody looks at it, or says why not.
      return [...new Map([...ofSubject, ...unread].map((each) => [each.digest, each])).values()];
    },
  };
}

/** The indexes that lead to `digest`, the topmost first, where the layout keeps them. Throws OciError. */
export async function readSignedIndexes(
  entries: readonly IndexEntry[],
  store: ContentStore,
  digest: string,
  signal: AbortSignal,
): Promise<readonly CheckedDocument[]> {
  const candidates = entries.filter(isSignedIndex).slice(0, MAX_INDEXES);
  const documents = await Promise.all(
    candidates.map(async (entry) => ({ digest: entry.digest, bytes: await readManifest(store, entry, signal) })),
  );
  const listed = documents.map((document) => {
    const manifest = parseManifest(document.bytes);
    if (manifest.kind !== 'index')
      throw new OciError('malformed', `${document.digest} is no index, as it is said to be`);
    return { document, digests: new Set(manifest.manifests.map((entry) => entry.digest)) };
  });
  const above: CheckedDocument[] = [];
  for (let below = digest; above.length < listed.length;) {
    const next = listed.find(({ document, digests }) => digests.has(below) && !above.includes(document));
    if (next === undefined) break;
    above.unshift(next.document);
    below = next.document.digest;
  }
  return above;
}

function isSavedByCosign({ annotations }: IndexEntry): boolean {
  return (annotations[REF_NAME] ?? '') === '' && annotations[COSIGN_KIND] === COSIGN_KINDS.signatures;
}

/** undefined where it does not say so, or cannot be read here: it may be attached to anything. */
async function glanceAtSubject(
  store: ContentStore,
  entry: IndexEntry,
  signal: AbortSignal,
): Promise<string | undefined> {
  if (entry.size > MAX_GLANCE_BYTES) return undefined;
  try {
    return parseAttachment(await readManifest(store, entry, signal)).subject || undefined;
  } catch (error) {
    if (error instanceof OciError) return undefined;
    throw error;
  }
}

async function readManifest(store: ContentStore, entry: Descriptor, signal: AbortSignal): Promise<Uint8Array> {
  return await readBlob(store.manifest(entry), entry.digest, MAX_DOCUMENT_BYTES, signal);
}
