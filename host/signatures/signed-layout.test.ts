// Signatures that went with an image into a layout: they count as they did in the registry, and whoever may write into the layout
// gains nothing by it.
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { OciError, parseReference, withDefaultTag, type SignatureVerdict } from '@ringwall/oci';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { openImage, writeLayout, type StoredImage } from '../images/index.ts';
import { writeMadeLayout } from '../images/testing/made-image.ts';
import { copySignatures, judgeSignedImage, openSignatureTrust, type SignatureTrust } from './index.ts';
import { digestOfBytes, openFakeRegistry, type FakeRegistry } from './testing/fake-registry.ts';
import { newKeyPair, openPrivateSigstore, pemOf, type PrivateSigstore } from './testing/private-sigstore.ts';

const NAME = 'registry.example/acme/app';
const ANOTHER = digestOfBytes('another image');
const BUNDLE_TYPE = 'application/vnd.dev.sigstore.bundle.v0.3+json';
const MANIFEST_TYPE = 'application/vnd.oci.image.manifest.v1+json';
const INDEX_TYPE = 'application/vnd.oci.image.index.v1+json';
const PLATFORM = { os: 'linux', architecture: 'amd64', variant: '' };
const OWNER = newKeyPair();
const STRANGER = newKeyPair();
const { signal } = new AbortController();

type Json = Record<string, unknown>;

let folder: string;
let sigstore: PrivateSigstore;
let trust: SignatureTrust;
/** As it lies in the registry, with an index above it. */
let image: StoredImage;
let index: Buffer;
let registry: FakeRegistry;
let layout: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'ringwall-signed-layout-'));
  sigstore = await openPrivateSigstore();
  writeFileSync(join(folder, 'owner.pub'), pemOf(OWNER));
  const images = [
    { names: [NAME], signedBy: ['owner'] },
    { names: ['registry.example/free/*'], unsigned: 'it may be anybody’s' },
  ];
  const policy = { format: 'ringwall-signature-policy/1', signers: { owner: { keys: ['owner.pub'] } }, images };
  writeFileSync(join(folder, 'policy.json'), JSON.stringify(policy));
  trust = openSignatureTrust(join(folder, 'policy.json'));
  const made = join(folder, 'made');
  writeMadeLayout(made, []);
  const opened = await openImage(made, { image: '', platform: PLATFORM, signal });
  if (opened === undefined) throw new Error('no image was made');
  const [manifest] = opened.trail;
  const entry = { mediaType: MANIFEST_TYPE, digest: opened.digest, size: manifest?.bytes.length, platform: PLATFORM };
  index = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: INDEX_TYPE, manifests: [entry] }));
  image = { ...opened, trail: [{ digest: digestOfBytes(index), bytes: index }, ...opened.trail] };
});
beforeEach(() => {
  registry = openFakeRegistry();
  layout = mkdtempSync(join(folder, 'layout-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

async function pull(): Promise<readonly string[]> {
  const { attached, left } = await copySignatures({ trail: image.trail, attached: registry }, signal);
  await writeLayout(image, layout, { name: '1', wholeName: `${NAME}:1`, attached, signal, onBytes: () => undefined });
  return left;
}

async function judge(name = `${NAME}:1`, isClaimed = true): Promise<SignatureVerdict> {
  using opened = await openImage(layout, { image: '', platform: PLATFORM, signal });
  if (opened?.attached === undefined) throw new Error('is no layout');
  const reference = withDefaultTag(parseReference(name));
  return await judgeSignedImage(
    { trail: opened.trail, attached: opened.attached },
    { reference, isClaimed },
    trust,
    signal,
  );
}

async function attachCosign(subject: string, by = OWNER, of = subject): Promise<void> {
  const critical = {
    identity: { 'docker-reference': NAME },
    image: { 'docker-manifest-digest': of },
    type: 'cosign container image signature',
  };
  const payload = Buffer.from(JSON.stringify({ critical, optional: null }));
  registry.attachCosign(subject, payload, await sigstore.signPayload(payload, by));
}

async function bundleOf(digest: string, by = OWNER): Promise<Json> {
  const statement = {
    _type: 'https://in-toto.io/Statement/v1',
    subject: [{ name: NAME, digest: { sha256: digest.slice(7) } }],
    predicateType: 'https://sigstore.dev/cosign/sign/v1',
    predicate: {},
  };
  return await sigstore.signStatement(JSON.stringify(statement), by);
}

const readIndex = (): { manifests: Json[] } => JSON.parse(readFileSync(join(layout, 'index.json'), 'utf8'));
const writeIndex = (manifests: readonly unknown[]): void =>
  writeFileSync(join(layout, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests }));
function put(value: unknown): { digest: string; size: number } {
  const bytes = value instanceof Buffer ? value : Buffer.from(JSON.stringify(value));
  const digest = digestOfBytes(bytes);
  writeFileSync(join(layout, 'blobs', digest.replace(':', '/')), bytes);
  return { digest, size: bytes.length };
}
/** As `oras attach` leaves it. */
function putBundle(bundle: unknown, subject?: string): Json {
  const manifest = {
    schemaVersion: 2,
    mediaType: MANIFEST_TYPE,
    artifactType: BUNDLE_TYPE,
    config: { mediaType: 'application/vnd.oci.empty.v1+json', ...put({}) },
    layers: [{ mediaType: BUNDLE_TYPE, ...put(bundle) }],
    ...(subject === undefined ? {} : { subject: { mediaType: MANIFEST_TYPE, digest: subject, size: 1 } }),
  };
  return { mediaType: MANIFEST_TYPE, artifactType: BUNDLE_TYPE, ...put(manifest) };
}

describe('copySignatures() takes with an image', () => {
  it('cosign’s older form, under its tag', async () => {
    await attachCosign(image.digest);
    expect(await pull()).toEqual([]);
    expect(readIndex().manifests.map(({ annotations }) => annotations)).toEqual([
      {
        'org.opencontainers.image.ref.name': '1',
        'io.containerd.image.name': `${NAME}:1`,
        kind: 'dev.cosignproject.cosign/image',
      },
      {
        'org.opencontainers.image.ref.name': `sha256-${image.digest.slice(7)}.sig`,
        kind: 'dev.cosignproject.cosign/sigs',
      },
    ]);
    expect((await judge()).reason).toBe('signed by owner (key owner.pub)');
  });

  it('bundles, and the index that they are of, which is no further image', async () => {
    registry.attachBundle(digestOfBytes(index), await bundleOf(digestOfBytes(index)));
    registry.attachBundle(image.digest, await bundleOf(image.digest, STRANGER));
    expect(await pull()).toEqual([]);
    expect(readIndex().manifests.map(({ mediaType, artifactType }) => artifactType ?? mediaType)).toEqual([
      MANIFEST_TYPE,
      BUNDLE_TYPE,
      INDEX_TYPE,
      BUNDLE_TYPE,
    ]);
    expect((await judge()).signatures[0]?.digest).toBe(digestOfBytes(index));
  });

  it('nothing where there is nothing, and then it is refused', async () => {
    expect(await pull()).toEqual([]);
    expect(readIndex().manifests).toHaveLength(1);
    expect((await judge()).reason).toContain('no signature at all');
  });

  it('no more than it may, nothing of another subject, nothing whose digest is another’s, and says what is left', async () => {
    registry.attachBundle(image.digest, Buffer.alloc(2 * 1024 ** 2 + 1, ' '));
    const foreign = Buffer.from(
      JSON.stringify({ schemaVersion: 2, layers: [], subject: { mediaType: MANIFEST_TYPE, digest: ANOTHER, size: 1 } }),
    );
    registry.put(digestOfBytes(foreign), foreign);
    registry.refer(image.digest, { digest: digestOfBytes(foreign), size: foreign.length });
    registry.refer(image.digest, { digest: ANOTHER, size: foreign.length });
    registry.put(ANOTHER, foreign);
    for (let more = 0; more < 70; more += 1) registry.attachBundle(image.digest, { more });
    const left = await pull();
    expect(left).toEqual([
      expect.stringContaining('at most 2097152'),
      expect.stringContaining('is attached to sha256:'),
      expect.stringContaining('is not what lies under that name'),
      expect.stringContaining('more than 64 signatures'),
    ]);
    expect(readIndex().manifests).toHaveLength(65);
  });
});

describe('judgeSignedImage() of a layout', () => {
  it('finds bundles by their subject, without one, and by the tag of referrers; and what `cosign save` left', async () => {
    await pull();
    const [own] = readIndex().manifests;
    const entry = putBundle(await bundleOf(image.digest), image.digest);
    const list = put({ schemaVersion: 2, mediaType: INDEX_TYPE, manifests: [entry] });
    const tag = { 'org.opencontainers.image.ref.name': image.digest.replace(':', '-') };
    writeIndex([own, { mediaType: INDEX_TYPE, ...list, annotations: tag }]);
    expect((await judge()).verdict).toBe('signed');
    writeIndex([own, entry]);
    expect((await judge()).verdict).toBe('signed');
    writeIndex([own, putBundle(await bundleOf(image.digest))]);
    expect((await judge()).verdict).toBe('signed');
    await attachCosign(image.digest);
    rmSync(layout, { recursive: true });
    await pull();
    writeIndex(
      readIndex().manifests.map(({ annotations, ...rest }, at) =>
        at === 0 ? { ...rest, annotations } : { ...rest, annotations: { kind: 'dev.cosignproject.cosign/sigs' } },
      ),
    );
    expect((await judge()).verdict).toBe('signed');
  });

  it.each<[what: string, change: () => Promise<unknown>, doubt: string]>([
    [
      'the signature of another image, put in its place',
      () => attachCosign(image.digest, OWNER, ANOTHER).then(pull),
      'is of another image',
    ],
    ['the signature of somebody else', () => attachCosign(image.digest, STRANGER).then(pull), 'is of no key'],
    [
      'a signature whose bytes are gone',
      async () => {
        await attachCosign(image.digest);
        await pull();
        const { size = 0, digest = '' } = readIndex().manifests[1] ?? {};
        writeFileSync(join(layout, 'blobs', String(digest).replace(':', '/')), Buffer.alloc(Number(size)));
      },
      'is not what lies under that name',
    ],
    [
      'a bundle that is attached to another image',
      async () => {
        await pull();
        writeIndex([...readIndex().manifests, putBundle(await bundleOf(image.digest), ANOTHER)]);
      },
      '',
    ],
    [
      'a bundle of another image that is attached to this one',
      async () => {
        await pull();
        writeIndex([...readIndex().manifests, putBundle(await bundleOf(ANOTHER), image.digest)]);
      },
      'is of another image',
    ],
    [
      'a signed index that does not list the image',
      async () => {
        await pull();
        const other = put({ schemaVersion: 2, manifests: [{ mediaType: MANIFEST_TYPE, digest: ANOTHER, size: 1 }] });
        const kept = { mediaType: INDEX_TYPE, ...other, annotations: { kind: 'dev.cosignproject.cosign/imageIndex' } };
        const bundle = putBundle(await bundleOf(other.digest), other.digest);
        writeIndex([...readIndex().manifests, kept, bundle, putBundle(await bundleOf(other.digest), image.digest)]);
      },
      'is of another image',
    ],
    [
      'lists that lead in circles',
      async () => {
        await pull();
        const tag = { 'org.opencontainers.image.ref.name': image.digest.replace(':', '-') };
        const inner = { mediaType: INDEX_TYPE, artifactType: BUNDLE_TYPE, digest: image.digest, size: 1 };
        const list = put({ schemaVersion: 2, mediaType: INDEX_TYPE, manifests: [inner] });
        writeIndex([...readIndex().manifests, { mediaType: INDEX_TYPE, ...list, annotations: tag }]);
      },
      'bytes',
    ],
    [
      'hundreds of attachments, one of them genuine',
      async () => {
        await pull();
        const many = Array.from({ length: 400 }, (_, at) => putBundle({ at }, image.digest));
        writeIndex([...readIndex().manifests, ...many, putBundle(await bundleOf(image.digest), image.digest)]);
      },
      'and 60 more',
    ],
    [
      'a manifest that is too large to be one',
      async () => {
        await pull();
        const huge = put(Buffer.alloc(5 * 1024 ** 2, ' '));
        writeIndex([...readIndex().manifests, { mediaType: MANIFEST_TYPE, artifactType: BUNDLE_TYPE, ...huge }]);
      },
      'at most',
    ],
  ])('refuses %s', async (_what, change, doubt) => {
    await change();
    const verdict = await judge();
    expect(verdict.verdict).toBe('refused');
    expect(verdict.doubts.join('\n')).toContain(doubt);
  });

  it('hides no image from who asks for the only one: what has a name of its own is never an attachment', async () => {
    await attachCosign(image.digest);
    await pull();
    const [own, signature] = readIndex().manifests;
    const other = { mediaType: MANIFEST_TYPE, digest: ANOTHER, size: 1, artifactType: BUNDLE_TYPE };
    const kind = { kind: 'dev.cosignproject.cosign/sigs' };
    for (const annotations of [{ 'org.opencontainers.image.ref.name': 'latest', ...kind }, {}]) {
      writeIndex([own, signature, { ...other, annotations }]);
      // oxlint-disable-next-line no-await-in-loop -- one after the other is easier to read where one fails
      const outcome = await judge().then(
        ({ verdict }) => verdict,
        (error: unknown) => (error instanceof OciError ? error.message : error),
      );
      expect(outcome).toMatch(Object.hasOwn(annotations, 'kind') ? /^layout holds 2 images/ : /^signed$/);
    }
  });

  it('throws no other error than its own for an index without end', async () => {
    await pull();
    writeIndex(Array.from({ length: 5000 }, () => readIndex().manifests[0]));
    await expect(judge()).rejects.toThrow(OciError);
  });

  it('takes no layout’s word for it that nobody must have signed it', async () => {
    await pull();
    const claimed = await judge('registry.example/free/app:1');
    expect([claimed.verdict, claimed.reason]).toEqual(['refused', expect.stringContaining('needs your word')]);
    expect((await judge('registry.example/free/app:1', false)).verdict).toBe('unsigned');
    expect((await judge('registry.example/unknown/app:1')).reason).toContain('does not speak of');
  });

  it('refuses another digest than the one that was asked for', async () => {
    await attachCosign(image.digest);
    await pull();
    expect((await judge(`${NAME}@${image.digest}`, false)).verdict).toBe('signed');
    expect((await judge(`${NAME}@${ANOTHER}`, false)).reason).toContain('was asked for');
    expect(existsSync(join(layout, 'index.json'))).toBe(true);
  });
});
