// Builds an image: kernel, initrd and system image from Debian's packages and the guest's scripts, the list of what may
// run in it, then a manifest. The
// same packages and scripts give the same bytes, on any host and by any user.
import { copyFile, mkdir, mkdtemp, open, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { constants, zstdCompressSync } from 'node:zlib';
import { RingwallError } from '@ringwall/api';
import { renderRuntimeFiles, type RuntimeFile, type RuntimePackage } from '@ringwall/evidence';
import { run as runReally, type Run } from '../exec/index.ts';
import { writeCpio } from './cpio.ts';
import { debianSystem } from './debian.ts';
import { guestScriptsDigest } from './guest-scripts.ts';
import { helloEntries } from './hello.ts';
import { readImage, sha256File, type Image } from './image.ts';
import { INITRD_PACKAGES, initrdEntries } from './initrd.ts';
import {
  IMAGE_FILES,
  imageDigest,
  MANIFEST_FILE,
  MANIFEST_VERSION,
  renderManifest,
  type ImageManifest,
  type ImageSource,
} from './manifest.ts';
import { fetchPackages, kernelPackageName, unpackPackage, type DebianPackage } from './packages.ts';
import { packagesByDigest, runtimeFilesOf, type UnpackedPackage } from './runtime-list.ts';
import { appendVerityTree, squashDirectory } from './system-image.ts';
import { writeTree } from './tree.ts';

export interface BuildOptions {
  /** An empty directory, or one that is to be made. The image appears in it as a whole: the manifest comes last. */
  readonly outDir: string;
  /** Keeps downloaded packages between builds. */
  readonly cacheDir: string;
  /** apps/guest of this repository, or the copy of it beside a bundle. */
  readonly guestDir: string;
  readonly progress?: (progress: BuildProgress) => void;
  readonly run?: Run;
}

export interface BuildProgress {
  /** What is being done now, for a person. */
  readonly step: string;
  /** 0 to 1; a guess. */
  readonly fraction: number;
}

/** What a system is made with. */
export interface SystemContext {
  readonly run: Run;
  readonly cacheDir: string;
  readonly guestDir: string;
  /** INITRD_PACKAGES, unpacked. */
  readonly tree: string;
  /** The packages of that tree, by the SHA-256 of what they brought. */
  readonly packages: ReadonlyMap<string, RuntimePackage>;
  /** A directory of its own for what it needs on the way. */
  readonly work: string;
  readonly progress: (step: string) => void;
}

/** What a system brings beyond the initrd. */
export interface MadeSystem {
  readonly sources: readonly ImageSource[];
  /** All that may run of it. */
  readonly files: readonly RuntimeFile[];
}

interface KnownImage {
  readonly name: string;
  readonly title: string;
  /** Writes the system's file system to `image`. */
  readonly makeSystem: (image: string, context: SystemContext) => Promise<MadeSystem>;
}

const IMAGES: readonly KnownImage[] = [
  { name: 'hello', title: 'busybox: shows what was proven, and a shell', makeSystem: helloSystem },
  { name: 'debian', title: 'Debian 12 with systemd', makeSystem: debianSystem },
];

/** What can be built: a closed list. */
export const KNOWN_IMAGES: readonly { readonly name: string; readonly title: string }[] = IMAGES.map(
  ({ name, title }) => ({ name, title }),
);

/**
 * All of the archive in one window, so that a library is found again behind another. Level 19 takes 11 s where this takes
 * one, for a tenth of the size: what firmware hashes in 60 ms, under emulation.
 */
const INITRD_COMPRESSION = {
  [constants.ZSTD_c_compressionLevel]: 9,
  [constants.ZSTD_c_windowLog]: 24,
} as const;

/** Throws `image-unknown`, `image-failed`, `host-lacks` or `host-full`; then nothing of the build is left behind. */
export async function buildImage(name: string, options: BuildOptions): Promise<Image> {
  const known = IMAGES.find((image) => image.name === name);
  if (known === undefined) {
    throw new RingwallError('image-unknown', `no image is called ${JSON.stringify(name)}`, {
      hint: `there are: ${IMAGES.map((image) => image.name).join(', ')}`,
    });
  }
  const outDir = resolve(options.outDir);
  try {
    await mkdir(outDir, { recursive: true });
    if ((await readdir(outDir)).length > 0) {
      throw new RingwallError('conflict', `${outDir} is not empty`, { hint: 'name a new directory' });
    }
    const work = await mkdtemp(join(outDir, '.work-'));
    try {
      const manifest = await buildParts(known, work, options);
      await putInPlace(work, outDir, manifest);
    } finally {
      await rm(work, { recursive: true, force: true });
    }
  } catch (error) {
    throw explained(error);
  }
  const image = await readImage(outDir);
  if (image === undefined) throw new RingwallError('internal', `the build of ${name} left no image`);
  return image;
}

async function buildParts(known: KnownImage, work: string, options: BuildOptions): Promise<ImageManifest> {
  const { run = runReally, cacheDir, guestDir } = options;
  const progress = stepCounter(options.progress);
  const packages = { run, cacheDir: resolve(cacheDir), progress };
  const kernelName = await kernelPackageName(packages);
  const [kernelPackage, ...initrdPackages] = await fetchPackages([kernelName, ...INITRD_PACKAGES], packages);
  if (kernelPackage === undefined) throw new RingwallError('internal', 'no kernel package');

  progress(`unpacking ${kernelName}`);
  const kernelTree = join(work, 'kernel-tree');
  const unpacked: UnpackedPackage[] = [];
  const unpack = async (each: DebianPackage, directory: string): Promise<void> => {
    unpacked.push({ ...each, directory, paths: await unpackPackage(run, each, directory) });
  };
  await unpack(kernelPackage, kernelTree);
  const kernelVersion = await kernelVersionIn(kernelTree);
  const tree = join(work, 'tree');
  for (const each of initrdPackages) await unpack(each, tree);
  const byDigest = await packagesByDigest(unpacked);

  progress('packing the initrd');
  const entries = await initrdEntries({ tree, kernelTree, kernelVersion, guestDir });
  await writeFile(join(work, 'initrd'), compressInitrd(writeCpio(entries)));
  await copyFile(join(kernelTree, 'boot', `vmlinuz-${kernelVersion}`), join(work, 'kernel'));

  progress('making the system image');
  const system = join(work, 'system.img');
  const systemWork = join(work, 'system');
  await mkdir(systemWork);
  const made = await known.makeSystem(system, {
    run,
    cacheDir: packages.cacheDir,
    guestDir,
    tree,
    packages: byDigest,
    work: systemWork,
    progress,
  });

  const files = [...runtimeFilesOf(entries, byDigest), ...made.files];
  await writeFile(join(work, 'files.json'), renderRuntimeFiles({ image: known.name, files }));

  progress('hashing the system image');
  const verity = await appendVerityTree(system, { run });
  return describe(known, work, {
    kernelVersion,
    guestScripts: await guestScriptsDigest(guestDir, known.name),
    verity,
    sources: [kernelPackage, ...initrdPackages, ...made.sources],
  });
}

async function describe(
  known: KnownImage,
  work: string,
  parts: {
    readonly kernelVersion: string;
    readonly guestScripts: string;
    readonly verity: { readonly rootHash: string; readonly hashOffset: number };
    readonly sources: readonly (DebianPackage | ImageSource)[];
  },
): Promise<ImageManifest> {
  const file = async (name: string): Promise<{ sha256: string; bytes: number }> => ({
    sha256: await sha256File(join(work, name)),
    bytes: (await stat(join(work, name))).size,
  });
  const described = {
    name: known.name,
    title: known.title,
    verityRootHash: parts.verity.rootHash,
    hashOffset: parts.verity.hashOffset,
    kernelVersion: parts.kernelVersion,
    guestScripts: parts.guestScripts,
    files: {
      kernel: await file('kernel'),
      initrd: await file('initrd'),
      'system.img': await file('system.img'),
      'files.json': await file('files.json'),
    },
    sources: sortedSources(parts.sources),
  };
  return { version: MANIFEST_VERSION, digest: imageDigest(described), ...described };
}

/** Each package once, by name; of two mentions the one with a digest. */
function sortedSources(sources: readonly (DebianPackage | ImageSource)[]): ImageSource[] {
  const byName = new Map<string, ImageSource>();
  for (const { name, version, sha256 } of sources) {
    const key = `${name} ${version}`;
    if (byName.get(key)?.sha256 !== undefined) continue;
    byName.set(key, { name, version, ...(sha256 === undefined ? {} : { sha256 }) });
  }
  return [...byName.entries()].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, source]) => source);
}

/** On the disk before the manifest says so: after a crash there is a whole image or none. */
async function putInPlace(work: string, outDir: string, manifest: ImageManifest): Promise<void> {
  await writeFile(join(work, MANIFEST_FILE), renderManifest(manifest));
  for (const name of [...IMAGE_FILES, MANIFEST_FILE]) {
    await using handle = await open(join(work, name), 'r+');
    await handle.chmod(0o644);
    await handle.sync();
  }
  for (const name of [...IMAGE_FILES, MANIFEST_FILE]) await rename(join(work, name), join(outDir, name));
  await using directory = await open(outDir, 'r');
  await directory.sync();
}

async function helloSystem(image: string, context: SystemContext): Promise<MadeSystem> {
  const root = join(context.work, 'root');
  const entries = await helloEntries(context.run, context.tree, context.guestDir);
  await writeTree(root, entries);
  await squashDirectory(root, image, { run: context.run });
  return { sources: [], files: runtimeFilesOf(entries, context.packages) };
}

function compressInitrd(archive: Uint8Array): Uint8Array {
  return zstdCompressSync(archive, { params: INITRD_COMPRESSION });
}

async function kernelVersionIn(tree: string): Promise<string> {
  const kernels = (await readdir(join(tree, 'boot'))).filter((name) => name.startsWith('vmlinuz-'));
  const [name] = kernels;
  if (name === undefined || kernels.length > 1)
    throw new RingwallError('image-failed', 'the kernel package holds no kernel');
  return name.slice('vmlinuz-'.length);
}

/** The steps are known by experience only; the bar must move, not tell the time. */
function stepCounter(progress: BuildOptions['progress']): (step: string) => void {
  let steps = 0;
  return (step) => {
    steps += 1;
    progress?.({ step, fraction: steps / (steps + 6) });
  };
}

function explained(error: unknown): unknown {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new RingwallError('host-full', 'the disk is full', {
      hint: 'free some disk space: a build needs about 1 GiB for a while',
      cause: error,
    });
  }
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') {
    const message = error instanceof Error ? error.message : '';
    return new RingwallError('image-failed', `the builder may not write here: ${message}`, {
      hint: 'name directories that the user who builds may write to',
      cause: error,
    });
  }
  return error;
}
