// What an import takes from an image: its disk in clear. Where all of it is encrypted, by the image's own means or by LUKS on the
// whole disk, a key opens it, so that the only key of the imported disk is the one of this host. What is encrypted inside
// (a partition, a volume) is the business of the system on the disk, and comes along as it is.
import { RingwallError } from '@ringwall/api/errors';
import {
  DiskError,
  openDisk,
  readLuks,
  recogniseLuks,
  unlockLuks,
  type ByteSource,
  type LuksKey,
} from '@ringwall/disk';
import { nodeCodecs } from '@ringwall/disk/node';
import { askPassphrase } from '../ask.ts';
import type { Invocation } from '../invocation.ts';
import { keysOf } from './disk-keys.ts';
import { shownName } from './file-names.ts';
import {
  describeContents,
  openTargetImage,
  readingFrom,
  type OpenedImage,
  type OpenImageOptions,
} from './open-target.ts';

export interface ImportSource extends OpenedImage {
  /** What the imported disk shall hold. */
  readonly contents: ByteSource;
  /** What its owner should know of that, a sentence each. */
  readonly notes: readonly string[];
}

/** By what all of a disk is encrypted: the image's own means, or LUKS that begins with the disk's first byte. */
type Lock = 'image' | 'disk';

/** Throws `RingwallError`, also where a key is needed and there is none, or it does not fit. */
export async function openToImport(
  invocation: Invocation,
  path: string,
  how: Pick<OpenImageOptions, 'member' | 'alongside'>,
): Promise<ImportSource> {
  const open = (keys: readonly LuksKey[]): OpenedImage => openTargetImage(path, { ...how, judgedFor: 'import', keys });
  const keepsEncrypted = invocation.flags.has('keep-encrypted');
  const given = keysOf(invocation);
  const first = open(given);
  try {
    const lock = readingFrom(path, () => lockOf(first));
    if (lock === undefined || (lock === 'disk' && keepsEncrypted)) return sourceOf(first, first.image);
    const keys = given.length > 0 ? given : await askFor(invocation, first, lock);
    if (lock === 'disk') return readingFrom(path, () => unlockDisk(first, keys));
    const opened = first.image.locked ? open(keys) : first;
    if (opened !== first) first[Symbol.dispose]();
    return unlockedImage(opened);
  } catch (error) {
    first[Symbol.dispose]();
    throw error;
  }
}

function lockOf({ image }: OpenedImage): Lock | undefined {
  if (image.encryption !== undefined) return 'image';
  return recogniseLuks(image) ? 'disk' : undefined;
}

function unlockedImage(opened: OpenedImage): ImportSource {
  if (!opened.image.locked) {
    return sourceOf(
      opened,
      opened.image,
      'The image was opened with your key: the disk inside has a key of this host.',
    );
  }
  opened[Symbol.dispose]();
  throw wrongKey(opened.path);
}

function unlockDisk(opened: OpenedImage, keys: readonly LuksKey[]): ImportSource {
  const { image, path } = opened;
  const header = readLuks(image);
  for (const key of keys) {
    try {
      const { disk } = unlockLuks(image, header, key);
      const kind = `LUKS${String(header.version)}`;
      return sourceOf(opened, disk, `Its ${kind} was opened with your key: the disk inside has a key of this host.`);
    } catch (error) {
      if (!(error instanceof DiskError && error.code === 'wrong-key')) throw error;
    }
  }
  throw wrongKey(path);
}

function sourceOf(opened: OpenedImage, contents: ByteSource, ...notes: readonly string[]): ImportSource {
  const { volumes } = readingFrom(opened.path, () => openDisk(contents, { codecs: nodeCodecs }));
  const encrypted = volumes.filter(({ contents: inside }) =>
    inside.kind === 'recognised' ? inside.recognised.encrypted : inside.kind === 'luks',
  );
  const carried = encrypted.map(
    (volume) =>
      `Volume ${shownName(volume.name)} is ${describeContents(volume)}: it comes along as it is, and needs its own key in the machine.`,
  );
  return { ...opened, contents, notes: [...notes, ...carried] };
}

/** At a terminal: who sits there. */
async function askFor({ json, self }: Invocation, { image, path }: OpenedImage, lock: Lock): Promise<LuksKey[]> {
  if (lock === 'image' && image.encryption?.method !== 'luks') {
    throw new RingwallError('image-failed', `${path}: encryption method is “${image.encryption?.method ?? ''}”`, {
      hint: 'no key can be checked against it, and QEMU gives it up: convert it with the QEMU that wrote it, then import that',
    });
  }
  if (!json && process.stdin.isTTY) {
    const passphrase = await askPassphrase(`Passphrase of ${shownName(path)}`);
    if (passphrase !== undefined && passphrase.length > 0) return [{ passphrase }];
  }
  const keep = lock === 'disk' ? `; to keep it as it is, for a system that opens it itself: --keep-encrypted` : '';
  const what = lock === 'disk' ? 'all of its disk is encrypted with LUKS' : 'the image encrypts its disk with LUKS';
  throw new RingwallError('image-failed', `${path}: ${what}, and no key was given`, {
    hint: `name the file of its passphrase: ${self} disk import ${path} --key-file FILE (- is standard input)${keep}`,
  });
}

function wrongKey(path: string): RingwallError {
  return new RingwallError('image-failed', `${path}: the key that you gave opens none of its key slots`, {
    hint: 'every byte of a key file counts, a line feed at its end, too',
  });
}
