// Where the signatures of an image, and whatever else is attached to it, are kept beside it: one repository of a registry, or one OCI
// layout. Whoever may write there may attach: nothing that comes from it is believed.
import type { Descriptor, Referrer } from '@ringwall/oci';
import type { ContentStore } from './image-in-store.ts';

export interface AttachmentStore extends ContentStore {
  /** What names a manifest as its subject (OCI Distribution Specification 1.1, "Listing Referrers"), or is said to. */
  readonly referrers: (digest: string, signal: AbortSignal) => Promise<readonly Referrer[]>;
  /** The manifest that has a tag; undefined where none has. */
  readonly tagged: (tag: string, signal: AbortSignal) => Promise<Uint8Array | undefined>;
}

/** One that is copied beside its image. */
export interface CopiedAttachment {
  /** As it stands in the index of a layout. */
  readonly entry: Descriptor & { readonly artifactType?: string };
  /** All of it, its manifest too; their digests were checked. */
  readonly contents: readonly { readonly digest: string; readonly bytes: Uint8Array }[];
}
