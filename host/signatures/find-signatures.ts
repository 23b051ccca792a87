// The signatures of a manifest, where registries and layouts keep them: attached to it as Sigstore bundles, by the referrers API or its
// fallback tag (OCI Distribution Specification 1.1, "Listing Referrers"), and under cosign's older tag (`sha256-….sig`). Found is not
// believed.
import {
  bundleOfCosignLayer,
  COSIGN_LAYER_TYPE,
  MAX_COSIGN_PAYLOAD_BYTES,
  MAX_DOCUMENT_BYTES,
  OciError,
  parseAttachment,
  type Attachment,
  type Referrer,
} from '@ringwall/oci';
import { readBlob, type AttachmentStore } from '../images/index.ts';

/** Provenance of a large build has some hundred KiB. */
export const MAX_BUNDLE_BYTES: number = 2 * 1024 * 1024;
/** Whoever may push to a repository may attach; more than these are not looked at, and said. */
export const MAX_SIGNATURES = 64;
/** All versions of it, in both spellings. */
const BUNDLE_TYPE = /^application\/vnd\.dev\.sigstore\.bundle[.+]/;

export interface FoundSignature {
  /** For a person. */
  readonly where: string;
  /** The JSON of a bundle. */
  readonly bundle: unknown;
  /** What cosign's older form signed; undefined where the bundle holds it, or the manifest is it. */
  readonly payload: Uint8Array | undefined;
}

/** Yields a sentence for what cannot be read. Throws RegistryError. */
export async function* findSignatures(
  store: AttachmentStore,
  digest: string,
  signal: AbortSignal,
): AsyncGenerator<FoundSignature | string, void> {
  let seen = 0;
  for (const list of [listBundles, listCosign]) {
    // oxlint-disable-next-line no-await-in-loop -- the second only where the first was not enough
    const found = await explained('what is attached to it', () => list(store, digest, signal));
    if (typeof found === 'string') yield found;
    else
      for (const { where, read } of found) {
        seen += 1;
        if (seen > MAX_SIGNATURES) {
          yield `more than ${String(MAX_SIGNATURES)} signatures: the others were not looked at`;
          return;
        }
        // oxlint-disable-next-line no-await-in-loop -- often the first is the one
        yield await explained(where, read);
      }
  }
}

/** Of what is attached to a manifest, that which says of itself that it is a bundle. Throws OciError, RegistryError. */
export async function referringBundles(
  store: AttachmentStore,
  digest: string,
  signal: AbortSignal,
): Promise<readonly Referrer[]> {
  return (await store.referrers(digest, signal)).filter(({ artifactType }) => BUNDLE_TYPE.test(artifactType));
}

/** A manifest with a bundle, and its bytes, which have its digest. Throws OciError, RegistryError. */
export async function readBundleManifest(
  store: AttachmentStore,
  referrer: Referrer,
  subject: string,
  signal: AbortSignal,
): Promise<{ readonly bytes: Uint8Array; readonly attachment: Attachment }> {
  const bytes = await readBlob(store.manifest(referrer), referrer.digest, MAX_DOCUMENT_BYTES, signal);
  const attachment = parseAttachment(bytes);
  // A list may name what is attached to something else.
  if (attachment.subject !== '' && attachment.subject !== subject)
    throw new OciError(
      'malformed',
      `is attached to ${shortened(attachment.subject)}, and not to ${shortened(subject)}`,
    );
  return { bytes, attachment };
}

/** The tag of cosign's older form. */
export function cosignTag(digest: string): string {
  return `${digest.replace(':', '-')}.sig`;
}

/** What is malformed is no signature, and no reason to look at no other. */
export async function explained<Result>(what: string, read: () => Promise<Result>): Promise<Result | string> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof OciError) return `${what}: ${error.message}`;
    throw error;
  }
}

export function shortened(digest: string): string {
  return digest.slice(0, 19);
}

interface Listed {
  readonly where: string;
  readonly read: () => Promise<FoundSignature>;
}

async function listBundles(store: AttachmentStore, digest: string, signal: AbortSignal): Promise<readonly Listed[]> {
  return (await referringBundles(store, digest, signal)).map((referrer) => {
    const where = `bundle ${shortened(referrer.digest)}`;
    return {
      where,
      read: async () => {
        const { attachment } = await readBundleManifest(store, referrer, digest, signal);
        const [content] = attachment.contents;
        if (content === undefined || !BUNDLE_TYPE.test(content.mediaType))
          throw new OciError('malformed', 'holds no bundle');
        const bytes = await readBlob(store.blob(content), content.digest, MAX_BUNDLE_BYTES, signal);
        return { where, bundle: parseJson(bytes), payload: undefined };
      },
    };
  });
}

async function listCosign(store: AttachmentStore, digest: string, signal: AbortSignal): Promise<readonly Listed[]> {
  const manifest = await store.tagged(cosignTag(digest), signal);
  if (manifest === undefined) return [];
  return parseAttachment(manifest)
    .contents.filter(({ mediaType }) => mediaType === COSIGN_LAYER_TYPE)
    .map((layer, at) => {
      const where = `signature ${String(at + 1)} of ${shortened(digest)}`;
      return {
        where,
        read: async () => {
          const payload = await readBlob(store.blob(layer), layer.digest, MAX_COSIGN_PAYLOAD_BYTES, signal);
          return { where, bundle: bundleOfCosignLayer(layer), payload };
        },
      };
    });
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    const document: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    return document;
  } catch (cause) {
    throw new OciError('malformed', 'is no JSON', { cause });
  }
}
