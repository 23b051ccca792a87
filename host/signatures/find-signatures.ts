// The signatures of a manifest, where registries keep them: attached to it as Sigstore bundles, by the referrers API or its fallback
// tag (OCI Distribution Specification 1.1, "Listing Referrers"), and under cosign's older tag (`sha256-….sig`). Found is not believed.
import {
  bundleOfCosignLayer,
  COSIGN_LAYER_TYPE,
  MAX_COSIGN_PAYLOAD_BYTES,
  OciError,
  parseAttachment,
  parseReferrers,
  type Descriptor,
} from '@ringwall/oci';
import { digestOf, readBlob } from '../images/index.ts';
import { orNone, type Registry } from '../registry/index.ts';

/** Provenance of a large build has some hundred KiB. */
const MAX_BUNDLE_BYTES: number = 2 * 1024 * 1024;
/** Whoever may push to a repository may attach; more than these are not looked at, and said. */
const MAX_SIGNATURES = 64;
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
  registry: Registry,
  digest: string,
  signal: AbortSignal,
): AsyncGenerator<FoundSignature | string, void> {
  let seen = 0;
  for (const list of [listBundles, listCosign]) {
    // oxlint-disable-next-line no-await-in-loop -- the second only where the first was not enough
    const found = await explained('what is attached to it', () => list(registry, digest, signal));
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

interface Listed {
  readonly where: string;
  readonly read: () => Promise<FoundSignature>;
}

async function listBundles(registry: Registry, digest: string, signal: AbortSignal): Promise<readonly Listed[]> {
  const index = await registry.referrers(digest, signal);
  if (index === undefined) return [];
  return parseReferrers(index)
    .filter(({ artifactType }) => BUNDLE_TYPE.test(artifactType))
    .map((referrer) => {
      const where = `bundle ${shortened(referrer.digest)}`;
      return {
        where,
        read: async () => {
          const [content] = parseAttachment(await readManifest(registry, referrer, signal));
          if (content === undefined || !BUNDLE_TYPE.test(content.mediaType))
            throw new OciError('malformed', 'holds no bundle');
          const bytes = await readContent(registry, content, MAX_BUNDLE_BYTES, signal);
          return { where, bundle: parseJson(bytes), payload: undefined };
        },
      };
    });
}

async function listCosign(registry: Registry, digest: string, signal: AbortSignal): Promise<readonly Listed[]> {
  const tag = `${digest.replace(':', '-')}.sig`;
  const manifest = await orNone(() => registry.manifest(tag, signal));
  if (manifest === undefined) return [];
  return parseAttachment(manifest)
    .filter(({ mediaType }) => mediaType === COSIGN_LAYER_TYPE)
    .map((layer, at) => {
      const where = `signature ${String(at + 1)} of ${shortened(digest)}`;
      return {
        where,
        read: async () => {
          const payload = await readContent(registry, layer, MAX_COSIGN_PAYLOAD_BYTES, signal);
          return { where, bundle: bundleOfCosignLayer(layer), payload };
        },
      };
    });
}

async function readManifest(registry: Registry, { digest }: Descriptor, signal: AbortSignal): Promise<Uint8Array> {
  const bytes = await registry.manifest(digest, signal);
  if (digestOf(bytes, digest) !== digest) throw new OciError('malformed', `${digest} is not what lies under that name`);
  return bytes;
}

async function readContent(
  registry: Registry,
  { digest, size }: Descriptor,
  maxBytes: number,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const open = (ended: AbortSignal): AsyncIterable<Uint8Array> => registry.blob(digest, size, ended);
  return await readBlob({ kind: 'stream', bytes: size, open }, digest, maxBytes, signal);
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    const document: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    return document;
  } catch (cause) {
    throw new OciError('malformed', 'is no JSON', { cause });
  }
}

/** What is malformed is no signature, and no reason to look at no other. */
async function explained<Result>(what: string, read: () => Promise<Result>): Promise<Result | string> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof OciError) return `${what}: ${error.message}`;
    throw error;
  }
}

function shortened(digest: string): string {
  return digest.slice(0, 19);
}
