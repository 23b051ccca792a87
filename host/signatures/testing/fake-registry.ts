// A registry in memory, to which tests attach signatures in both forms.
import { createHash } from 'node:crypto';
import { RegistryError, type Registry } from '../../registry/index.ts';

const BUNDLE_TYPE = 'application/vnd.dev.sigstore.bundle.v0.3+json';

export interface FakeRegistry extends Registry {
  /** What was asked for, in order. */
  readonly asked: readonly string[];
  /** Attaches the JSON of a bundle, or bytes in its place. */
  readonly attachBundle: (subject: string, bundle: unknown) => void;
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
  return {
    asked,
    manifest: (reference) => {
      asked.push(reference);
      const bytes = manifests.get(reference);
      return bytes === undefined
        ? Promise.reject(new RegistryError('not-found', `no ${reference}`))
        : Promise.resolve(bytes);
    },
    // oxlint-disable-next-line require-await -- as a registry answers
    blob: async function* (digest) {
      asked.push(digest);
      yield blobs.get(digest) ?? Buffer.alloc(0);
    },
    referrers: (digest) => {
      asked.push(`referrers ${digest}`);
      const list = referrers.get(digest);
      return Promise.resolve(list === undefined ? undefined : json({ schemaVersion: 2, manifests: list }));
    },
    attachBundle: (subject, bundle) => {
      const layer = { mediaType: BUNDLE_TYPE, ...store(bundle instanceof Buffer ? bundle : json(bundle)) };
      const manifest = json({ schemaVersion: 2, artifactType: BUNDLE_TYPE, layers: [layer] });
      const descriptor = { ...store(manifest), mediaType: 'application/vnd.oci.image.manifest.v1+json' };
      manifests.set(descriptor.digest, manifest);
      referrers.set(subject, [...(referrers.get(subject) ?? []), { ...descriptor, artifactType: BUNDLE_TYPE }]);
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
