// What is in whatever somebody named: read from where it is, and put in one form.
import { RingwallError } from '@ringwall/api/errors';
import { hostFinishers, inspectFolder, openLayerReader, openSampling, type StoredImage } from '@ringwall/host/images';
import {
  EMPTY_CONFIG,
  finishFacts,
  inspectImage,
  INSPECTORS,
  type InspectedImage,
  type Inspector,
  type LayerContents,
  type TarEntry,
} from '@ringwall/oci';
import type { Invocation } from '../invocation.ts';
import { cacheFolder } from './caches.ts';
import { usage } from './given.ts';
import { judging } from './judging.ts';
import { withStored } from './open-stored.ts';
import { scannerFor, type Scanning } from './scanners.ts';
import { ROOT_FOLDERS, subjectKind } from './subject.ts';

/** Of what could not be read, so many are named. */
const MAX_UNREAD_NAMED = 5;

/** What was scanned, and from where. */
export interface Scanned {
  readonly image: InspectedImage;
  readonly digest: string;
  readonly annotations: Readonly<Record<string, string>>;
  readonly notes: readonly string[];
  /** Who signed it, in a sentence; '' where nobody asked. */
  readonly signed: string;
  /** False where another time more may be said of it, or nothing names what was read. */
  readonly isLasting: boolean;
}

/** undefined where it was refused, which was said. Throws `RingwallError`. */
export function openScanned(invocation: Invocation, subject: string): Promise<Scanned | undefined> {
  const kind = subjectKind(invocation, subject);
  if (kind === 'dockerfile' || kind === 'sbom')
    throw usage(`${subject} is no image`, 'name an archive, a layout, a folder, or an image');
  if (kind === 'root' || kind === 'disk') return inspectFilesOf(invocation, kind, subject);
  return withStored(invocation, kind, subject, (stored, signed, signal) =>
    inspectStored(invocation, subject, stored, { signed, signal }),
  );
}

/** What has no layers. Throws `RingwallError`. */
export function inspectFilesOf(invocation: Invocation, kind: 'root' | 'disk', subject: string): Promise<Scanned> {
  return judging(subject, () => (kind === 'root' ? inspectRoot : inspectDisk)(invocation, subject));
}

/** Throws `RingwallError` for an archive that is no system, OciError, or what reading throws. */
export async function inspectStored(
  invocation: Invocation,
  subject: string,
  stored: StoredImage,
  { signed, signal, scanning }: { readonly signed: string; readonly signal: AbortSignal; readonly scanning?: Scanning },
): Promise<Scanned> {
  const { digest, annotations, layers } = stored;
  const { scanner, notes } = scanning ?? (await scannerFor(invocation));
  await using reader = openLayerReader({
    cacheFolder: cacheFolder(invocation, 'layers'),
    finishers: hostFinishers(),
    scanner,
    signal,
  });
  const image = await reader.inspect(stored);
  // Only the layer of an archive that is no image has no digest.
  if (layers.some((layer) => layer.digest === '') && !image.visible.some(({ entry }) => isOfSystem(entry)))
    throw new RingwallError('image-failed', `${subject} is neither an image nor the root of a system`, {
      hint: 'an OCI layout, what docker save, podman save or skopeo copy wrote, or an archive with etc and usr',
    });
  return { image, digest, annotations, notes, signed, isLasting: reader.isLasting(image) };
}

function isOfSystem({ path }: TarEntry): boolean {
  return ROOT_FOLDERS.some((name) => path.startsWith(`${name}/`));
}

/** Files without a configuration: what would run in them is not known. */
export function bareImage(contents: LayerContents): InspectedImage {
  return inspectImage(EMPTY_CONFIG, [{ digest: '', diffId: '', createdBy: '' }], [contents]);
}

async function inspectRoot(invocation: Invocation, path: string): Promise<Scanned> {
  const notes = ['a folder shows no file capabilities and no other extended attributes'];
  return await inspectFiles(invocation, notes, (inspectors, onUnread, room) =>
    inspectFolder(path, inspectors, onUnread, room),
  );
}

async function inspectDisk(invocation: Invocation, path: string): Promise<Scanned> {
  // Disks are not what most scans are of: their formats and file systems are loaded only here.
  const { chooseFileSystem, openTarget, readingFrom } = await import('../disk/open-target.ts');
  const { inspectFileSystem } = await import('@ringwall/host/images');
  using target = openTarget(path, { keys: [], member: undefined });
  const fileSystem = readingFrom(path, () => chooseFileSystem(target, invocation.values.get('volume')));
  return await inspectFiles(invocation, [], (inspectors, onUnread, room) =>
    inspectFileSystem(fileSystem, inspectors, onUnread, room),
  );
}

/** Files of one layer, which are read here and not in threads. */
async function inspectFiles(
  invocation: Invocation,
  notes: readonly string[],
  inspect: (
    inspectors: readonly Inspector[],
    onUnread: (path: string) => void,
    room: () => Promise<void> | undefined,
  ) => Promise<LayerContents>,
): Promise<Scanned> {
  const unread: string[] = [];
  const { scanner, notes: ofScanner } = await scannerFor(invocation);
  const sampling = scanner === undefined ? undefined : openSampling(scanner);
  const inspectors = sampling === undefined ? INSPECTORS : [...INSPECTORS, sampling.inspector];
  const contents = await inspect(inspectors, (file) => unread.push(file), sampling?.room ?? (() => undefined));
  const looked = (await sampling?.end())?.facts ?? [];
  return await finished({ ...contents, facts: [...contents.facts, ...looked] }, [...notes, ...ofScanner], unread);
}

async function finished(
  contents: LayerContents,
  notes: readonly string[],
  unread: readonly string[],
): Promise<Scanned> {
  const named = unread.slice(0, MAX_UNREAD_NAMED).map((file) => `/${file}`);
  const left = unread.length === 0 ? [] : [`${String(unread.length)} files could not be read: ${named.join(', ')}`];
  const whole = await finishFacts(contents, INSPECTORS, hostFinishers());
  return {
    image: bareImage(whole),
    digest: '',
    annotations: {},
    notes: [...notes, ...left],
    signed: '',
    isLasting: false,
  };
}
