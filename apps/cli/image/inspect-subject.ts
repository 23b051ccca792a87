// What is in whatever somebody named: read from where it is, and put in one form.
import { homedir } from 'node:os';
import { join } from 'node:path';
import { RingwallError } from '@ringwall/api/errors';
import {
  hostFinishers,
  inspectFileSystem,
  inspectFolder,
  openImage,
  openLayerReader,
  type StoredImage,
} from '@ringwall/host/images';
import {
  canonicalReference,
  EMPTY_CONFIG,
  finishFacts,
  inspectImage,
  INSPECTORS,
  type InspectedImage,
  type LayerContents,
} from '@ringwall/oci';
import type { Invocation } from '../invocation.ts';
import { judging } from './judging.ts';
import { usage } from './names.ts';
import { platformOf } from './platform.ts';
import { kindOf } from './subject.ts';

/** Of what could not be read, so many are named. */
const MAX_UNREAD_NAMED = 5;

/** What was scanned, and from where. */
export interface Scanned {
  readonly image: InspectedImage;
  readonly digest: string;
  readonly annotations: Readonly<Record<string, string>>;
  readonly notes: readonly string[];
}

/** undefined where its name was refused, which was said. Throws `RingwallError`. */
export function openScanned(invocation: Invocation, subject: string): Promise<Scanned | undefined> {
  const kind = kindOf(subject);
  if (kind === 'name') return inspectRemote(invocation, subject);
  if (kind === 'dockerfile' || kind === 'sbom')
    throw usage(`${subject} is no image`, 'name an archive, a layout, a folder, or an image');
  const inspect = { image: inspectArchive, root: inspectRoot, disk: inspectDisk }[kind];
  return judging(subject, () => inspect(invocation, subject));
}

/** Files without a configuration: what would run in them is not known. */
export function bareImage(contents: LayerContents): InspectedImage {
  return inspectImage(EMPTY_CONFIG, [{ digest: '', diffId: '', createdBy: '' }], [contents]);
}

async function inspectRemote(invocation: Invocation, name: string): Promise<Scanned | undefined> {
  const { admitName, asking, openRemote } = await import('./remote.ts');
  const reference = admitName(invocation, name);
  if (reference === undefined) return undefined;
  const { signal } = new AbortController();
  const whole = canonicalReference(reference);
  return await judging(whole, async () => {
    const stored = await openRemote(invocation, reference, signal);
    return await asking(whole, () => inspectStored(invocation, stored, signal));
  });
}

async function inspectArchive(invocation: Invocation, path: string): Promise<Scanned> {
  const signal = new AbortController().signal;
  const image = invocation.values.get('image') ?? '';
  using opened = await openImage(path, { image, platform: platformOf(invocation), signal });
  if (opened === undefined) {
    throw new RingwallError('image-failed', `${path} is no image`, {
      hint: 'an OCI layout, or what docker save, podman save or skopeo copy wrote',
    });
  }
  return await inspectStored(invocation, opened, signal);
}

async function inspectStored(invocation: Invocation, stored: StoredImage, signal: AbortSignal): Promise<Scanned> {
  const { digest, annotations } = stored;
  await using reader = openLayerReader({ cacheFolder: cacheFolder(invocation), finishers: hostFinishers(), signal });
  return { image: await reader.inspect(stored), digest, annotations, notes: [] };
}

async function inspectRoot(_invocation: Invocation, path: string): Promise<Scanned> {
  const unread: string[] = [];
  const contents = inspectFolder(path, INSPECTORS, (file) => unread.push(file));
  return await finished(contents, ['a folder shows no file capabilities and no other extended attributes'], unread);
}

async function inspectDisk({ values }: Invocation, path: string): Promise<Scanned> {
  // Disks are not what most scans are of: their formats and file systems are loaded only here.
  const { chooseFileSystem, openTarget, readingFrom } = await import('../disk/open-target.ts');
  using target = openTarget(path, { keys: [], member: undefined });
  const unread: string[] = [];
  const contents = readingFrom(path, () =>
    inspectFileSystem(chooseFileSystem(target, values.get('volume')), INSPECTORS, (file) => unread.push(file)),
  );
  return await finished(contents, [], unread);
}

async function finished(
  contents: LayerContents,
  notes: readonly string[],
  unread: readonly string[],
): Promise<Scanned> {
  const named = unread.slice(0, MAX_UNREAD_NAMED).map((file) => `/${file}`);
  const left = unread.length === 0 ? [] : [`${String(unread.length)} files could not be read: ${named.join(', ')}`];
  const whole = await finishFacts(contents, INSPECTORS, hostFinishers());
  return { image: bareImage(whole), digest: '', annotations: {}, notes: [...notes, ...left] };
}

/** Where what is known of layers is kept; `--no-cache` reads all anew, and keeps nothing. */
function cacheFolder({ flags, environment }: Invocation): string | undefined {
  if (flags.has('no-cache')) return undefined;
  const caches = environment['XDG_CACHE_HOME'] || join(environment['HOME'] ?? homedir(), '.cache');
  return join(caches, 'ringwall', 'layers');
}
