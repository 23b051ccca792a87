// An image in a registry, or in a mirror of it, ready to be read as one that lies here.
import { OciError, type Reference } from '@ringwall/oci';
import {
  digestOf,
  memoryBlob,
  openStoredImage,
  type AttachmentStore,
  type StoredImage,
  type StoreOptions,
} from '../images/index.ts';
import type { FindCredentials } from './credentials.ts';
import { attachmentsInRegistry } from './attachments-in-registry.ts';
import { openRegistry, type Registry } from './registry.ts';
import { RegistryError } from './registry-error.ts';

export interface RemoteOptions extends StoreOptions {
  readonly credentials: FindCredentials;
  /** Asked first, in this order: hosts that have the same repositories. */
  readonly mirrors: readonly string[];
  /** Registries that are asked without TLS, by their names. */
  readonly plainHttp: ReadonlySet<string>;
  readonly stallMs?: number;
}

export interface RemoteImage extends StoredImage {
  /** Whoever had the manifest: layers are read from there, and signatures. */
  readonly attached: AttachmentStore;
}

/** Throws RegistryError or OciError. */
export async function openRemoteImage(reference: Reference, options: RemoteOptions): Promise<RemoteImage> {
  const { digest, tag = 'latest' } = reference;
  const wanted = digest === undefined ? tag : `${digest.algorithm}:${digest.hex}`;
  let failure: unknown;
  for (const domain of [...options.mirrors, reference.domain]) {
    const registry = openRegistry({
      domain,
      repository: reference.path,
      credentials: () => options.credentials(domain),
      plainHttp: options.plainHttp.has(domain),
      ...(options.stallMs === undefined ? {} : { stallMs: options.stallMs }),
    });
    try {
      // oxlint-disable-next-line no-await-in-loop -- the next only where this one fails
      return await openFrom(registry, wanted, digest !== undefined, options);
    } catch (error) {
      if (!(error instanceof RegistryError)) throw error;
      failure = error;
    }
  }
  throw failure;
}

async function openFrom(
  registry: Registry,
  wanted: string,
  isDigest: boolean,
  options: StoreOptions,
): Promise<RemoteImage> {
  const bytes = await registry.manifest(wanted, options.signal);
  const digest = digestOf(bytes, isDigest ? wanted : 'sha256:');
  if (isDigest && digest !== wanted)
    throw new OciError('malformed', `manifest is ${digest}, and ${wanted} was asked for`);
  const attached = attachmentsInRegistry(registry);
  const image = await openStoredImage(
    {
      ...attached,
      manifest: (descriptor) => (descriptor.digest === digest ? memoryBlob(bytes) : attached.manifest(descriptor)),
    },
    { digest, size: bytes.length, mediaType: mediaTypeOf(bytes) },
    options,
  );
  return { ...image, attached };
}

/** For the index of a copy; what it is, its contents have said. */
function mediaTypeOf(bytes: Uint8Array): string {
  const text = new TextDecoder().decode(bytes);
  return (
    /"mediaType"\s*:\s*"(application\/vnd\.docker\.distribution\.manifest\.v2\+json)"/.exec(text)?.[1] ??
    'application/vnd.oci.image.manifest.v1+json'
  );
}
