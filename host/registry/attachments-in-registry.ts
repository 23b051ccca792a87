// What is attached to the images of a repository, and every other content of it, as a store.
import { parseReferrers } from '@ringwall/oci';
import type { AttachmentStore, Blob } from '../images/index.ts';
import { orNone, type Registry } from './registry.ts';

export function attachmentsInRegistry(registry: Registry): AttachmentStore {
  return {
    manifest: ({ digest, size }) =>
      streamed(size, async function* (signal) {
        yield await registry.manifest(digest, signal);
      }),
    blob: ({ digest, size }) => streamed(size, (signal) => registry.blob(digest, size, signal)),
    referrers: async (digest, signal) => {
      const index = await registry.referrers(digest, signal);
      return index === undefined ? [] : parseReferrers(index);
    },
    tagged: (tag, signal) => orNone(() => registry.manifest(tag, signal)),
  };
}

function streamed(bytes: number, open: (signal: AbortSignal) => AsyncIterable<Uint8Array>): Blob {
  return { kind: 'stream', bytes, open };
}
