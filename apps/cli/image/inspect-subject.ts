// What is in whatever somebody named: read from where it is, and put in one form.
import { homedir } from 'node:os';
import { join } from 'node:path';
import { RingwallError } from '@ringwall/api/errors';
import {
  hostFinishers,
  hostScanner,
  inspectFileSystem,
  inspectFolder,
  openImage,
  openLayerReader,
  openRootTar,
  openSampling,
  type StoredImage,
} from '@ringwall/host/images';
import {
  canonicalReference,
  EMPTY_CONFIG,
  finishFacts,
  inspectImage,
  INSPECTORS,
  type InspectedImage,
  type Inspector,
  type LayerContents,
} from '@ringwall/oci';
import type { Invocation } from '../invocation.ts';
import { judging } from './judging.ts';
import { readBytes, usage } from './names.ts';
import { platformOf } from './platform.ts';
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
}

/** undefined where its name was refused, which was said. Throws `RingwallError`. */
export function openScanned(invocation: Invocation, subject: string): Promise<Scanned | undefined> {
  const kind = subjectKind(invocation, subject);
  if (kind === 'name') return inspectRemote(invocation, subject);
  if (kind === 'dockerfile' || kind === 'sbom')
    throw usage(`${subject} is no image`, 'name an archive, a layout, a folder, or an image');
  const inspect = { image: inspectArchive, root: inspectRoot, 'root-tar': inspectRootTar, disk: inspectDisk }[kind];
  return judging(subject, () => inspect(invocation, subject));
}

/** Files without a configuration: what would run in them is not known. */
export function bareImage(contents: LayerContents): InspectedImage {
  return inspectImage(EMPTY_CONFIG, [{ digest: '', diffId: '', createdBy: '' }], [contents]);
}

async function inspectRemote(invocation: Invocation, name: string): Promise<Scanned | undefined> {
  const { admitName, asking, openRemote } = await import('./remote.ts');
  const { renderSignatures, signatureJudge } = await import('./signatures.ts');
  const reference = admitName(invocation, name);
  if (reference === undefined) return undefined;
  const { signal } = new AbortController();
  const whole = canonicalReference(reference);
  const judgeSigned = await signatureJudge(invocation);
  return await judging(whole, async () => {
    const stored = await openRemote(invocation, reference, signal);
    return await asking(whole, async () => {
      const signed = await judgeSigned?.(stored, reference, signal);
      if (signed?.verdict === 'refused') {
        for (const line of renderSignatures(reference, signed, invocation.err)) invocation.err.line(line);
        return undefined;
      }
      return { ...(await inspectStored(invocation, stored, signal)), signed: signed?.reason ?? '' };
    });
  });
}

async function inspectArchive(invocation: Invocation, path: string): Promise<Scanned> {
  const signal = new AbortController().signal;
  const image = invocation.values.get('image') ?? '';
  using opened = await openImage(path, { image, platform: platformOf(invocation), signal });
  if (opened === undefined) return await inspectRootTar(invocation, path);
  return await inspectStored(invocation, opened, signal);
}

async function inspectRootTar(invocation: Invocation, path: string): Promise<Scanned> {
  using opened = openRootTar(path);
  const scanned = await inspectStored(invocation, opened, new AbortController().signal);
  if (
    scanned.image.visible.some(({ entry: { path: file } }) => ROOT_FOLDERS.some((name) => file.startsWith(`${name}/`)))
  )
    return scanned;
  throw new RingwallError('image-failed', `${path} is neither an image nor the root of a system`, {
    hint: 'an OCI layout, what docker save, podman save or skopeo copy wrote, or an archive with etc and usr',
  });
}

async function inspectStored(invocation: Invocation, stored: StoredImage, signal: AbortSignal): Promise<Scanned> {
  const { digest, annotations } = stored;
  const { scanner, notes } = await scannerFor(invocation);
  await using reader = openLayerReader({
    cacheFolder: cacheFolder(invocation),
    finishers: hostFinishers(),
    scanner,
    signal,
  });
  return { image: await reader.inspect(stored), digest, annotations, notes, signed: '' };
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

/** YARA and ClamAV, unless somebody does without; a bill of materials needs neither. */
export async function scannerFor(invocation: Invocation): Promise<{
  readonly scanner: Awaited<ReturnType<typeof hostScanner>> | undefined;
  readonly notes: readonly string[];
}> {
  const { flags, values, now } = invocation;
  const rules = values.get('yara');
  if (invocation.arguments[0] === 'sbom') return { scanner: undefined, notes: [] };
  if (flags.has('no-scanners')) {
    if (rules !== undefined) throw usage('--yara and --no-scanners contradict each other', 'leave one of them out');
    return { scanner: undefined, notes: ['not looked at by YARA and ClamAV: --no-scanners'] };
  }
  const scanner = await hostScanner(new Date(now()), rules === undefined ? undefined : readBytes(rules));
  return { scanner, notes: scanner.notes };
}

async function finished(
  contents: LayerContents,
  notes: readonly string[],
  unread: readonly string[],
): Promise<Scanned> {
  const named = unread.slice(0, MAX_UNREAD_NAMED).map((file) => `/${file}`);
  const left = unread.length === 0 ? [] : [`${String(unread.length)} files could not be read: ${named.join(', ')}`];
  const whole = await finishFacts(contents, INSPECTORS, hostFinishers());
  return { image: bareImage(whole), digest: '', annotations: {}, notes: [...notes, ...left], signed: '' };
}

/** Where what is known of layers is kept; `--no-cache` reads all anew, and keeps nothing. */
export function cacheFolder({ flags, environment }: Invocation): string | undefined {
  if (flags.has('no-cache')) return undefined;
  const caches = environment['XDG_CACHE_HOME'] || join(environment['HOME'] ?? homedir(), '.cache');
  return join(caches, 'ringwall', 'layers');
}
