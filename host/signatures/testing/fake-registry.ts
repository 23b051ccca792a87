// A registry in memory, to which tests attach signatures in both forms.
import { createHash } from 'node:crypto';
import { parseReferrers } from '@ringwall/oci';
import type { AttachmentStore, Blob } from '../../images/index.ts';

const BUNDLE_TYPE = 'application/vnd.dev.sigstore.bundle.v0.3+json';

export interface FakeRegistry extends AttachmentStore {
  /** What was asked for, in order. */
  readonly asked: readonly string[];
  /** Attaches the JSON of a bundle, or bytes in its place. */
  readonly attachBundle: (subject: string, bundle: unknown) => void;
  /** Says of anything that it is a bundle, attached to `subject`. */
  readonly refer: (subject: string, descriptor: { readonly digest: string; readonly size: number }) => void;
  /** One more layer of the older form. */
  readonly attachCosign: (subject: string, payload: Buffer, annotations: Readonly<Record<string, string>>) => void;
  /** Whatever it is, under a name. */
  readonly put: (name: string, bytes: Buffer) => void;
}

export function digestOfBytes(bytes: Uint8Array | string): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

export function openFakeRegistry(): FakeRegistry {
  const manifests = new Map<string, Buffer>();
  const blobs = new Map<string, Buffer>();
  const referrers = new Map<string, unknown[]>();
  const layers = new Map<string, unknown[]>();
  const asked: string[] = [];
  const store = (bytes: Buffer): { digest: string; size: number } => {
    const digest = digestOfBytes(bytes);
    blobs.set(digest, bytes);
    return { digest, size: bytes.length };
  };
  const refer: FakeRegistry['refer'] = (subject, descriptor) => {
    const mediaType = 'application/vnd.oci.image.manifest.v1+json';
    const entry = { ...descriptor, mediaType, artifactType: BUNDLE_TYPE };
    referrers.set(subject, [...(referrers.get(subject) ?? []), entry]);
  };
  const streamed = ({ digest, size }: { digest: string; size: number }): Blob => ({
    kind: 'stream',
    bytes: size,
    // oxlint-disable-next-line require-await -- as above
    open: async function* () {
      asked.push(digest);
      yield manifests.get(digest) ?? blobs.get(digest) ?? Buffer.alloc(0);
    },
  });
  return {
    asked,
    manifest: streamed,
    blob: streamed,
    tagged: (tag) => {
      asked.push(tag);
      return Promise.resolve(manifests.get(tag));
    },
    // oxlint-disable-next-line require-await -- as a registry answers
    referrers: async (digest) => {
      asked.push(`referrers ${digest}`);
      return parseReferrers(json({ schemaVersion: 2, manifests: referrers.get(digest) ?? [] }));
    },
    refer,
    attachBundle: (subject, bundle) => {
      const layer = { mediaType: BUNDLE_TYPE, ...store(bundle instanceof Buffer ? bundle : json(bundle)) };
      const of = { mediaType: 'application/vnd.oci.image.manifest.v1+json', digest: subject, size: 1 };
      const manifest = json({ schemaVersion: 2, artifactType: BUNDLE_TYPE, layers: [layer], subject: of });
      const descriptor = store(manifest);
      manifests.set(descriptor.digest, manifest);
      refer(subject, descriptor);
    },
    attachCosign: (subject, payload, annotations) => {
      const layer = { mediaType: 'application/vnd.dev.cosign.simplesigning.v1+json', ...store(payload), annotations };
      const all = [...(layers.get(subject) ?? []), layer];
      layers.set(subject, all);
      manifests.set(`${subject.replace(':', '-')}.sig`, json({ schemaVersion: 2, layers: all }));
    },
    put: (name, bytes) => {
      manifests.set(name, bytes);
      blobs.set(name, bytes);
    },
  };
}

function json(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}
