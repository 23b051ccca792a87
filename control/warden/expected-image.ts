// What a boot of an image must measure: by the image as the warden put it in place, of which it keeps the manifest and
// the kernel to itself. The files that boot are not looked at, nor the manifest beside them. Were they, then what
// somebody exchanged would be expected, and prove itself.
//
// expected/NAME/current is of the image in its place. While it is exchanged, the new one waits as expected/NAME/pending;
// whether it became the image, the image's own manifest says.
import { copyFile, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { RingwallError } from '@ringwall/api';
import { equalBytes } from '@ringwall/bytes';
import { EvidenceError, MAX_RUNTIME_FILES_BYTES } from '@ringwall/evidence';
import {
  checkImage,
  commandLine,
  imageParts,
  MANIFEST_FILE,
  parseManifest,
  predictImage,
  type Image,
  type ImageManifest,
} from '@ringwall/host/guestimage';
import { isThere, readFileBounded, syncDirectory } from '../files/index.ts';
import type { BootToPredict, Prediction, RecordedFiles } from './parts.ts';

/** Beyond what its parser takes. */
const MANIFEST_LIMIT_BYTES = 1024 * 1024;

const FILES_FILE = 'files.json';

export interface ExpectedImage {
  readonly imageDir: string;
  /** expected/NAME: root's own. */
  readonly expectedDir: string;
}

/** Before an image takes its place: what is in `stagedDir` must be what its manifest says, and is kept. */
export async function recordImage(stagedDir: string, expectedDir: string): Promise<void> {
  const pending = join(expectedDir, 'pending');
  const unfinished = join(expectedDir, 'unfinished');
  for (const dir of [pending, unfinished]) await rm(dir, { recursive: true, force: true });
  await mkdir(unfinished, { recursive: true, mode: 0o700 });
  await copyFile(join(stagedDir, 'kernel'), join(unfinished, 'kernel'));
  await copyFile(join(stagedDir, FILES_FILE), join(unfinished, FILES_FILE));
  await writeFile(join(unfinished, MANIFEST_FILE), await readFile(join(stagedDir, MANIFEST_FILE)));
  await checkImage(stagedDir);
  await syncDirectory(unfinished);
  await rename(unfinished, pending);
  await syncDirectory(expectedDir);
}

/** After an image took its place, or did not. Idempotent; also at the start of a warden, for one that was killed. */
export async function settleImage({ imageDir, expectedDir }: ExpectedImage): Promise<void> {
  const pending = join(expectedDir, 'pending');
  const recorded = await readManifestBytes(pending);
  if (recorded === undefined) return;
  const placed = await readManifestBytes(imageDir);
  if (placed !== undefined && equalBytes(placed, recorded)) {
    await rm(join(expectedDir, 'current'), { recursive: true, force: true });
    await rename(pending, join(expectedDir, 'current'));
    await syncDirectory(expectedDir);
  } else {
    await rm(pending, { recursive: true, force: true });
  }
}

/** The list of what may run in it (files.json), of the image in its place. */
export async function readRuntimeFiles({
  expectedDir,
}: Pick<ExpectedImage, 'expectedDir'>): Promise<RecordedFiles | undefined> {
  const current = join(expectedDir, 'current');
  const list = await readFileBounded(join(current, FILES_FILE), MAX_RUNTIME_FILES_BYTES);
  const manifest = await readManifest(current);
  return list === undefined || manifest === undefined ? undefined : { list, parts: imageParts(manifest) };
}

/** Undefined where there is no image. An image that the warden did not build is recorded at its first use. */
export async function predictBootOf(image: ExpectedImage, boot: BootToPredict): Promise<Prediction | undefined> {
  const placed = await readManifest(image.imageDir);
  if (placed === undefined) return undefined;
  const current = join(image.expectedDir, 'current');
  if (!(await isThere(current))) await recordOnce(image);
  const expected = await readManifest(current);
  if (expected === undefined) {
    throw new RingwallError('image-failed', `${current} is damaged`, { hint: 'build the image again' });
  }
  try {
    const { content } = await predictImage(asImage(current, expected), boot);
    const { name, verityRootHash, hashOffset } = placed;
    return {
      commandLine: commandLine({ image: name, verityRootHash, hashOffset, brokerKey: boot.brokerKey }),
      reference: content,
    };
  } catch (error) {
    if (!(error instanceof EvidenceError)) throw error;
    const { name } = expected;
    throw new RingwallError('image-failed', `what the image ${name} measures cannot be predicted: ${error.message}`, {
      hint: 'build the image again',
      cause: error,
    });
  }
}

/** Machines that start at once with an image that nobody has used wait for the same record. */
const recording = new Map<string, Promise<void>>();

function recordOnce(image: ExpectedImage): Promise<void> {
  const { imageDir, expectedDir } = image;
  const known = recording.get(expectedDir);
  if (known !== undefined) return known;
  const recorded = recordImage(imageDir, expectedDir)
    .then(() => settleImage(image))
    .finally(() => recording.delete(expectedDir));
  recording.set(expectedDir, recorded);
  return recorded;
}

/** The record has the kernel and the manifest of an image, which is all that a prediction reads. */
function asImage(dir: string, manifest: ImageManifest): Image {
  return { dir, manifest, bytes: manifest.files.kernel.bytes, builtAt: new Date(0) };
}

async function readManifest(dir: string): Promise<ImageManifest | undefined> {
  const bytes = await readManifestBytes(dir);
  return bytes === undefined ? undefined : parseManifest(new TextDecoder().decode(bytes));
}

function readManifestBytes(dir: string): Promise<Uint8Array | undefined> {
  return readFileBounded(join(dir, MANIFEST_FILE), MANIFEST_LIMIT_BYTES);
}
