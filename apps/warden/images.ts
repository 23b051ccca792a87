// Joins the warden to host/guestimage and to the builder's process.
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { RingwallError } from '@ringwall/api';
import { readFileBounded } from '@ringwall/control/files';
import {
  expectedDir,
  imageDir,
  predictBootOf,
  readRuntimeFiles,
  recordImage,
  settleImage,
  type ExpectedImage,
  type ImagePart,
  type Layout,
} from '@ringwall/control/warden';
import { learnedImage, predictFirmware, signReference, type Signer } from '@ringwall/evidence';
import { run } from '@ringwall/host/exec';
import {
  guestDirectory,
  guestScriptsDigest,
  IMAGE_FILES,
  KNOWN_IMAGES,
  MANIFEST_FILE,
  parseManifest,
  readFirmware,
  type ImageManifest,
} from '@ringwall/host/guestimage';
import { findUser } from './accounts.ts';
import { runImageBuilder } from './image-builder.ts';
import { ownWord } from './own-word.ts';

const BUILDER_USER = 'ringwall-builder';
const MANIFEST_LIMIT_BYTES = 1024 * 1024;

export function makeImagePart(layout: Layout, referenceKey: Signer): ImagePart {
  const expected = (name: string): ExpectedImage => ({
    imageDir: imageDir(layout, name),
    expectedDir: expectedDir(layout, name),
  });
  const guestDir = guestDirectory(import.meta.dirname);
  return {
    known: KNOWN_IMAGES,
    // By its manifest alone: a file that was tampered with is for attestation to find, not for a listing.
    read: async (dir) => {
      const path = join(dir, MANIFEST_FILE);
      const bytes = await readFileBounded(path, MANIFEST_LIMIT_BYTES);
      if (bytes === undefined) return undefined;
      const manifest = parseOrNothing(bytes);
      if (manifest === undefined) return undefined;
      const { digest, files, kernelVersion, guestScripts, sources } = manifest;
      return {
        digest,
        bytes: IMAGE_FILES.reduce((total, name) => total + files[name].bytes, bytes.length),
        builtAt: (await stat(path)).mtime.toISOString(),
        outdated: guestScripts !== (await guestScriptsDigest(guestDir, manifest.name)),
        kernel: kernelVersion,
        packages: sources.map((source) => ({ name: source.name, version: source.version })),
      };
    },
    files: (name) => readRuntimeFiles(expected(name)),
    record: (name, staged) => recordImage(staged, expectedDir(layout, name)),
    settle: (name) => settleImage(expected(name)),
    build: async (name, outDir, progress) => {
      const user = await findUser(BUILDER_USER);
      await runImageBuilder(run, { name, outDir, homeDir: layout.builder, user, progress });
    },
    firmware: async (machine, size) => {
      const image = await learnedImage({ id: machine, name: machine });
      const { firmware, events } = await predictFirmware({ firmware: await readFirmware(size), image });
      // Nobody knows what it will boot: the broker learns that.
      const kernel = { name: 'not known', digest: '00'.repeat(32) };
      return { for: { firmware, kernel, image }, events, packages: [] };
    },
    predict: (name, boot) => predictBootOf(expected(name), boot),
    sign: (reference) => signReference({ ...reference, ...ownWord() }, referenceKey),
  };
}

/** An image whose manifest is damaged is none: it is built again when it is wanted. */
function parseOrNothing(bytes: Uint8Array): ImageManifest | undefined {
  try {
    return parseManifest(new TextDecoder().decode(bytes));
  } catch (error) {
    if (error instanceof RingwallError) return undefined;
    throw error;
  }
}
