// manifest.json of an image: what was built, from what, and the digests by which it is recognised. Written last, so
// that a directory without it is no image. Whoever builds images may be lying or broken, so it is parsed strictly.
import { createHash } from 'node:crypto';
import { IMAGE_NAME, RingwallError } from '@ringwall/api';
import { imageText, type ImageParts } from '@ringwall/evidence';

export const MANIFEST_FILE = 'manifest.json';
/** A recipe that makes other images raises it: what an older one has built is built again. */
export const MANIFEST_VERSION = 2;
/** The files of an image besides its manifest. */
export const IMAGE_FILES = ['kernel', 'initrd', 'system.img', 'files.json'] as const;
export type ImageFileName = (typeof IMAGE_FILES)[number];

/** About 20 packages of an initrd and 100 of a Debian system, 150 bytes each. */
export const MANIFEST_LIMIT_BYTES: number = 256 * 1024;
const MAX_SOURCES = 2048;
const VERITY_BLOCK_BYTES = 4096;

export interface ImageFile {
  readonly sha256: string;
  readonly bytes: number;
}

/** A Debian package that something in the image came from. */
export interface ImageSource {
  readonly name: string;
  readonly version: string;
  /** Of the archive, where we fetched it ourselves; else apt has checked it. */
  readonly sha256?: string;
}

export interface ImageManifest {
  readonly version: typeof MANIFEST_VERSION;
  readonly name: string;
  /** For people. */
  readonly title: string;
  /** SHA-256 over all that decides what boots, and what may run then; see `imageDigest`. */
  readonly digest: string;
  readonly verityRootHash: string;
  /** Bytes of the system's file system, and where its hash tree begins. */
  readonly hashOffset: number;
  readonly kernelVersion: string;
  /** SHA-256 over the guest's scripts that it was built with, `guestScriptsDigest`; images of before 0.2 do not say. */
  readonly guestScripts?: string;
  readonly files: Readonly<Record<ImageFileName, ImageFile>>;
  readonly sources: readonly ImageSource[];
}

type DescribedImage = Pick<ImageManifest, 'name' | 'verityRootHash' | 'hashOffset'> & {
  readonly files: Readonly<Record<ImageFileName, Pick<ImageFile, 'sha256'>>>;
};

/** What names an image: the same in whatever order or by whatever program its manifest is written. */
export function imageDigest(image: DescribedImage): string {
  return createHash('sha256')
    .update(imageText(image.name, imageParts(image)))
    .digest('hex');
}

/** What its digest is made of. */
export function imageParts({ files, verityRootHash, hashOffset }: Omit<DescribedImage, 'name'>): ImageParts {
  return {
    kernel: files.kernel.sha256,
    initrd: files.initrd.sha256,
    system: files['system.img'].sha256,
    files: files['files.json'].sha256,
    verityRootHash,
    hashOffset,
  };
}

export function renderManifest(manifest: ImageManifest): string {
  return `${JSON.stringify(manifest, undefined, 2)}\n`;
}

/** Throws `image-failed` for anything that `renderManifest` would not have written. */
export function parseManifest(text: string): ImageManifest {
  if (text.length > MANIFEST_LIMIT_BYTES)
    throw malformed(`${text.length} bytes, expected at most ${MANIFEST_LIMIT_BYTES}`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw malformed('not JSON', cause);
  }
  const saysScripts = typeof value === 'object' && value !== null && 'guestScripts' in value;
  const top = record(value, 'manifest', [
    ...['version', 'name', 'title', 'digest', 'verityRootHash', 'hashOffset', 'kernelVersion', 'files', 'sources'],
    ...(saysScripts ? ['guestScripts'] : []),
  ]);
  if (top['version'] !== MANIFEST_VERSION) {
    throw malformed(`version ${String(top['version'])}, expected ${MANIFEST_VERSION}`);
  }
  const files = record(top['files'], 'files', IMAGE_FILES);
  if (!Array.isArray(top['sources']) || top['sources'].length > MAX_SOURCES) throw malformed('sources');
  const manifest: ImageManifest = {
    version: MANIFEST_VERSION,
    name: matching(top['name'], 'name', IMAGE_NAME),
    title: matching(top['title'], 'title', /^[\x20-\x7e]{1,120}$/),
    digest: matching(top['digest'], 'digest', SHA256),
    verityRootHash: matching(top['verityRootHash'], 'verityRootHash', SHA256),
    hashOffset: size(top['hashOffset'], 'hashOffset'),
    kernelVersion: matching(top['kernelVersion'], 'kernelVersion', /^[0-9A-Za-z.+~-]{1,64}$/),
    ...(saysScripts ? { guestScripts: matching(top['guestScripts'], 'guestScripts', SHA256) } : {}),
    files: {
      kernel: file(files['kernel'], 'files.kernel'),
      initrd: file(files['initrd'], 'files.initrd'),
      'system.img': file(files['system.img'], 'files.system.img'),
      'files.json': file(files['files.json'], 'files.files.json'),
    },
    sources: top['sources'].map((source, index) => parseSource(source, `sources[${index}]`)),
  };
  const { hashOffset } = manifest;
  if (hashOffset % VERITY_BLOCK_BYTES !== 0 || hashOffset >= manifest.files['system.img'].bytes) {
    throw malformed(`hashOffset ${hashOffset} is not inside system.img`);
  }
  const digest = imageDigest(manifest);
  if (digest !== manifest.digest) throw malformed(`digest ${manifest.digest}, expected ${digest}`);
  return manifest;
}

const SHA256 = /^[0-9a-f]{64}$/;

function parseSource(value: unknown, field: string): ImageSource {
  const fetched = typeof value === 'object' && value !== null && 'sha256' in value;
  const source = record(value, field, ['name', 'version', ...(fetched ? ['sha256'] : [])]);
  return {
    name: matching(source['name'], `${field}.name`, /^[a-z0-9][a-z0-9+.-]{0,127}$/),
    version: matching(source['version'], `${field}.version`, /^[0-9A-Za-z.+~:-]{1,128}$/),
    ...(fetched ? { sha256: matching(source['sha256'], `${field}.sha256`, SHA256) } : {}),
  };
}

function file(value: unknown, field: string): ImageFile {
  const parts = record(value, field, ['sha256', 'bytes']);
  return {
    sha256: matching(parts['sha256'], `${field}.sha256`, SHA256),
    bytes: size(parts['bytes'], `${field}.bytes`),
  };
}

function record(value: unknown, field: string, keys: readonly string[]): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw malformed(`${field}, expected an object`);
  const found = Object.keys(value);
  const odd = [...found.filter((key) => !keys.includes(key)), ...keys.filter((key) => !found.includes(key))];
  if (odd.length > 0) throw malformed(`${field} has or lacks ${odd.join(', ')}`);
  return Object.fromEntries(Object.entries(value));
}

function matching(value: unknown, field: string, pattern: RegExp): string {
  if (typeof value !== 'string' || !pattern.test(value)) throw malformed(`${field} is not of its form`);
  return value;
}

function size(value: unknown, field: string): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value <= 0)
    throw malformed(`${field}, expected a size`);
  return value;
}

function malformed(what: string, cause?: unknown): RingwallError {
  return new RingwallError('image-failed', `image manifest: ${what}`, {
    hint: 'the image is damaged, or of another version of Ringwall: build it again',
    cause,
  });
}
