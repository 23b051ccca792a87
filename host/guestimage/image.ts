// Reads built images from their directories: what the manifest says, and whether the files are what it says.
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { RingwallError } from '@ringwall/api';
import {
  IMAGE_FILES,
  MANIFEST_FILE,
  MANIFEST_LIMIT_BYTES,
  parseManifest,
  type ImageFileName,
  type ImageManifest,
} from './manifest.ts';

/** Files are digested in pieces of this size: images have gigabytes, and the warden, which never ends, a hundred megabytes. */
export const HASH_CHUNK_BYTES: number = 256 * 1024;

export interface Image {
  readonly dir: string;
  readonly manifest: ImageManifest;
  /** Of all its files. */
  readonly bytes: number;
  readonly builtAt: Date;
}

/** Undefined where there is no image. What the files hold is not looked at; `checkImage` does that. */
export async function readImage(dir: string): Promise<Image | undefined> {
  const path = join(dir, MANIFEST_FILE);
  const handle = await open(path, 'r').catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'ENOENT' || cause.code === 'ENOTDIR') return undefined;
    throw new RingwallError('image-failed', `${path} cannot be read: ${cause.message}`, { cause });
  });
  if (handle === undefined) return undefined;
  await using manifestFile = handle;
  const { size, mtime } = await manifestFile.stat();
  if (size > MANIFEST_LIMIT_BYTES) throw new RingwallError('too-large', `${path} has ${size} bytes`);
  const manifest = parseManifest(await manifestFile.readFile('utf8'));
  for (const name of IMAGE_FILES) {
    const seen = await stat(join(dir, name)).catch(() => undefined);
    if (seen?.isFile() !== true) throw damaged(dir, name);
  }
  const bytes = IMAGE_FILES.reduce((total, name) => total + manifest.files[name].bytes, size);
  return { dir, manifest, bytes, builtAt: mtime };
}

/** Compares every file with its digest; a Debian image takes about a second. */
export async function checkImage(dir: string): Promise<void> {
  const image = await readImage(dir);
  if (image === undefined) throw new RingwallError('image-unknown', `${dir} holds no image`);
  for (const name of IMAGE_FILES) {
    if ((await sha256File(join(dir, name))) !== image.manifest.files[name].sha256) throw damaged(dir, name);
  }
}

export async function sha256File(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path, { highWaterMark: HASH_CHUNK_BYTES }), hash);
  return hash.digest('hex');
}

function damaged(dir: string, name: ImageFileName): RingwallError {
  return new RingwallError('image-failed', `${join(dir, name)} is not the file that the image was built with`, {
    hint: 'build the image again',
  });
}
