// The images of this host: a closed list of names, each built at most once at a time, and put in place as a whole.
import { chmod, lchown, lstat, mkdir, rename, rm } from 'node:fs/promises';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { RingwallError } from '@ringwall/api';
import type { WardenResponse } from '@ringwall/api/warden';
import type { WardenContext } from './context.ts';
import { fullOr, isThere, namesIn, syncDirectory } from '../files/index.ts';
import { imageDir } from './layout.ts';
import type { ProgressListener } from './parts.ts';
import { Queues } from './queue.ts';

type ListedImage = WardenResponse<'build-image'>['image'];

/** Where a builder works, and where the image before it waits while the new one takes its place. */
const STAGING = /^\.build-[a-z][a-z0-9-]*-[0-9a-f]{8}$/;
const REPLACED = /^\.old-([a-z][a-z0-9-]{0,30})$/;

interface Build {
  readonly listeners: Set<ProgressListener>;
  readonly done: Promise<ListedImage>;
}

/** One build at a time, for it takes all processors; who asks for one that is being made shares it. */
export class ImageBuilds {
  readonly #context: WardenContext;
  readonly #running = new Map<string, Build>();
  readonly #queue: Queues;

  constructor(context: WardenContext) {
    this.#context = context;
    this.#queue = new Queues(() => new RingwallError('conflict', 'too many image builds are waiting'));
  }

  async build(name: string, rebuild: boolean, progress: ProgressListener): Promise<ListedImage> {
    requireKnownImage(this.#context, name);
    const key = `${name} ${rebuild ? 'anew' : 'once'}`;
    const running = this.#running.get(key);
    if (running !== undefined) {
      running.listeners.add(progress);
      return await running.done;
    }
    const listeners = new Set([progress]);
    const done = this.#build(name, rebuild, (step) => {
      for (const listener of listeners) listener(step);
    });
    this.#running.set(key, { listeners, done });
    try {
      return await done;
    } finally {
      this.#running.delete(key);
    }
  }

  async #build(name: string, rebuild: boolean, progress: ProgressListener): Promise<ListedImage> {
    const before = await describeImage(this.#context, name);
    if (before.built && !rebuild) return before;
    return await this.#queue.run('build', async () => {
      // Whoever was before us in the queue may have built it.
      const now = await describeImage(this.#context, name);
      return now.built && !rebuild ? now : await buildInPlace(this.#context, name, progress);
    });
  }
}

export async function listImages(context: WardenContext): Promise<WardenResponse<'list-images'>> {
  const { known } = context.parts.images;
  return { images: await Promise.all(known.map(({ name }) => describeImage(context, name))) };
}

/** For a name that can be built or is there; nothing else is an image. */
export function requireKnownImage(context: WardenContext, name: string): void {
  const { known } = context.parts.images;
  if (known.some((image) => image.name === name)) return;
  throw new RingwallError('image-unknown', `no image is called ${name}`, {
    hint: `there are: ${known.map((image) => image.name).join(', ')}`,
  });
}

export function notBuilt(name: string): RingwallError {
  return new RingwallError('image-unknown', `the image ${name} is not built`, {
    hint: 'ringwall run builds what is missing',
  });
}

/** At the start of the warden: no build can be running, so what looks like one is what a crash left. */
export async function sweepImages(context: WardenContext): Promise<void> {
  const { images } = context.layout;
  for (const name of await namesIn(images)) {
    if (STAGING.test(name)) await rm(join(images, name), { recursive: true, force: true });
    const replaced = REPLACED.exec(name)?.[1];
    if (replaced === undefined) continue;
    if (await isThere(join(images, replaced))) await rm(join(images, name), { recursive: true, force: true });
    else await rename(join(images, name), join(images, replaced));
  }
  for (const { name } of context.parts.images.known) await context.parts.images.settle(name);
}

async function describeImage(context: WardenContext, name: string): Promise<ListedImage> {
  const { images } = context.parts;
  const title = images.known.find((image) => image.name === name)?.title ?? name;
  const built = await images.read(imageDir(context.layout, name));
  if (built === undefined) return { name, title, built: false };
  return { name, title, built: true, ...built, packages: [...built.packages] };
}

async function buildInPlace(context: WardenContext, name: string, progress: ProgressListener): Promise<ListedImage> {
  const { layout, parts } = context;
  const staging = join(layout.images, `.build-${name}-${randomBytes(4).toString('hex')}`);
  try {
    await mkdir(staging, { mode: 0o700 });
    await parts.images.build(name, staging, progress);
    await takeOver(staging);
    if ((await parts.images.read(staging)) === undefined) {
      throw new RingwallError('image-failed', `the builder of ${name} left no image`);
    }
    await parts.images.record(name, staging);
    await replace(context, name, staging);
  } catch (error) {
    throw fullOr(error);
  } finally {
    await rm(staging, { recursive: true, force: true });
    await parts.images.settle(name);
  }
  return describeImage(context, name);
}

/** From the builder's user to root, before anything in it is believed. Plain files only, in one directory. */
async function takeOver(dir: string): Promise<void> {
  await lchown(dir, 0, 0);
  for (const name of await namesIn(dir)) {
    const path = join(dir, name);
    const seen = await lstat(path);
    if (!seen.isFile() || seen.nlink !== 1) {
      throw new RingwallError('image-failed', `the builder left ${name}, which is no plain file`);
    }
    await lchown(path, 0, 0);
    await chmod(path, 0o644);
  }
  await chmod(dir, 0o755);
}

/** Machines that run keep the files that they have open; a crash in between is mended by sweepImages. */
async function replace(context: WardenContext, name: string, staging: string): Promise<void> {
  const { images } = context.layout;
  const target = imageDir(context.layout, name);
  const old = join(images, `.old-${name}`);
  await rm(old, { recursive: true, force: true });
  if (await isThere(target)) await rename(target, old);
  await rename(staging, target);
  await syncDirectory(images);
  await rm(old, { recursive: true, force: true });
}
