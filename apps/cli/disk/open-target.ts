// Opens the image that a command line names, and finds the file system that is meant in it. Other files that the image
// names are read only where they lie beside it under a plain name: everything else passes the import gate's refusal.
import { lstatSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { RingwallError } from '@ringwall/api/errors';
import { ParseError } from '@ringwall/bytes';
import {
  DiskError,
  judgeImport,
  MAX_IMPORTED_DISK_BYTES,
  openDisk,
  openImage,
  openOva,
  parseImageHeader,
  recogniseOva,
  unlockImage,
  type ByteSource,
  type DecryptSectors,
  type Disk,
  type DiskImage,
  type ExternalReference,
  type FileNode,
  type FileSystem,
  type ImageEncryption,
  type ImportRefusal,
  type LuksHeader,
  type LuksKey,
  type RecognisedFormat,
  type Volume,
} from '@ringwall/disk';
import { FileSource, nodeCodecs } from '@ringwall/disk/node';
import { formatBytes } from '../quantities.ts';
import { shownName } from './file-names.ts';

export interface OpenedImage extends Disposable {
  readonly path: string;
  /** Of the file itself, before anything is unpacked. */
  readonly fileBytes: number;
  readonly image: DiskImage;
  /** Names of the files beside it that it needed. */
  readonly alongside: readonly string[];
}

export interface OpenTarget extends OpenedImage {
  readonly disk: Disk;
}

export interface OpenImageOptions {
  /** Which disk of an archive, from 1 on. */
  readonly member: string | undefined;
  /** For whom: who only looks may see a disk of no bytes. */
  readonly judgedFor: 'looking' | 'import';
  /** Tried on what the image itself encrypts; where none opens it, the image is `locked`. */
  readonly keys: readonly LuksKey[];
  /** Whether files beside the image that it names are read along. */
  readonly alongside: boolean;
  /** What it is, where that is known: whatever header a guest puts on a disk of its own stays data. */
  readonly format?: 'raw' | undefined;
}

export interface OpenTargetOptions {
  /** Tried on whatever is encrypted. */
  readonly keys: readonly LuksKey[];
  readonly member: string | undefined;
  readonly format?: 'raw' | undefined;
}

/** Throws `RingwallError`: `not-found`, `image-failed` for what is no image, or asks for more than itself. */
export function openTarget(path: string, { keys, member, format }: OpenTargetOptions): OpenTarget {
  const opened = openTargetImage(path, { member, judgedFor: 'looking', alongside: true, keys, format });
  try {
    return { ...opened, disk: openDisk(opened.image, { codecs: nodeCodecs, keys }) };
  } catch (error) {
    opened[Symbol.dispose]();
    throw explained(error, path);
  }
}

/** The image alone, whatever its disk holds. The import gate comes before anything else looks at it. */
export function openTargetImage(path: string, options: OpenImageOptions): OpenedImage {
  const { member, judgedFor, alongside, keys, format } = options;
  const open: FileSource[] = [];
  const close = (): void => open.splice(0).forEach((source) => source[Symbol.dispose]());
  try {
    const file = openFile(path, open);
    const needed: string[] = [];
    const mayRead = (name: string): boolean => alongside && isPlainFile(name, join(dirname(path), name));
    const resolve = (reference: ExternalReference): ByteSource | undefined => {
      if (!mayRead(reference.name)) return undefined;
      needed.push(reference.name);
      return openFile(join(dirname(path), reference.name), open);
    };
    const packed = format === undefined ? memberOf(file, member, path) : file;
    const header = parseImageHeader(packed, format);
    const given = new Set(header.references.map(({ name }) => name).filter(mayRead));
    // Whether it can be read without a key is known once it is open.
    const [refusal] = judgeImport(header, { maxDiskBytes: MAX_IMPORTED_DISK_BYTES, given, hasKey: true });
    if (refusal !== undefined && (judgedFor === 'import' || refusal.code !== 'no-disk')) {
      throw new RingwallError('image-failed', `${path}: ${refusal.field} is “${shownName(refusal.value)}”`, {
        hint: hintOf(refusal, alongside),
      });
    }
    const unlock = (encryption: ImageEncryption): DecryptSectors | undefined => unlockImage(encryption, keys);
    const known = format === undefined ? {} : { format };
    const image = openImage(packed, { codecs: nodeCodecs, resolve, unlock, ...known });
    return { path, fileBytes: file.size, image, alongside: needed, [Symbol.dispose]: close };
  } catch (error) {
    close();
    throw explained(error, path);
  }
}

function hintOf({ code, reason }: ImportRefusal, alongside: boolean): string {
  return code === 'other-file' && !alongside
    ? `${reason}: with --alongside, what lies beside the image is read`
    : reason;
}

/** The file system that `--volume` names; else the only one, or the only one that a system lies in. */
export function chooseFileSystem({ disk, path }: OpenTarget, wanted: string | undefined): FileSystem {
  const readable = disk.volumes.flatMap(({ name, contents }) =>
    contents.kind === 'file-system' ? [{ name, fileSystem: contents.fileSystem }] : [],
  );
  if (wanted !== undefined) {
    const volume = disk.volumes.find(({ name }) => name === wanted);
    if (volume === undefined) throw noVolume(`${path} has no volume ${JSON.stringify(wanted)}`, disk.volumes);
    if (volume.contents.kind === 'file-system') return volume.contents.fileSystem;
    throw noVolume(`volume ${wanted} of ${path} holds no file system that can be read`, disk.volumes);
  }
  const systems = readable.filter(({ fileSystem }) => looksLikeSystem(fileSystem));
  const [only] = systems.length === 1 ? systems : readable;
  if (only === undefined) throw noVolume(`${path} holds no file system that can be read`, disk.volumes);
  if (systems.length === 1 || readable.length === 1) return only.fileSystem;
  throw noVolume(`${path} holds ${String(readable.length)} file systems`, disk.volumes, 'name one with --volume: ');
}

const NAMES_OF_RECOGNISED: Readonly<Record<RecognisedFormat, string>> = {
  btrfs: 'btrfs (not read yet)',
  zfs: 'ZFS (not read)',
  exfat: 'exFAT (not read yet)',
  'hfs+': 'HFS+ (not read)',
  apfs: 'APFS (not read)',
  bitlocker: 'BitLocker',
  luks: 'LUKS',
  lvm: 'a part of an LVM group',
  'qcow2-aes': 'AES as QCOW2 had it before LUKS (not read)',
  mdraid: 'a part of a RAID',
  swap: 'swap',
};

/** Whatever is known by name says so before (btrfs, at 64 KiB, is the last). */
const LOST_FROM_BYTES = 128 * 1024;

/** What a volume holds, in a word or two. */
export function describeContents({ contents }: Volume): string {
  if (contents.kind === 'file-system') return contents.fileSystem.kind;
  if (contents.kind === 'damaged') return `damaged ${contents.format}`;
  if (contents.kind === 'luks') return describeLuks(contents.header);
  if (contents.kind === 'recognised') {
    const { format, encrypted, hibernated } = contents.recognised;
    return `${NAMES_OF_RECOGNISED[format]}${encrypted ? ', encrypted' : ''}${hibernated ? ', with a sleeping system' : ''}`;
  }
  if (contents.kind === 'zeros') return 'nothing was written';
  const { dataAt } = contents;
  if (dataAt === undefined) return 'unknown: it begins with zeros, and only its beginning was looked at';
  return dataAt < LOST_FROM_BYTES
    ? 'unknown, or encrypted without a header'
    : `unknown: data from ${formatBytes(dataAt)} on, without the table that would say what it is`;
}

/** What a thief meets: how keys are made of passphrases, and how many there are to guess. */
function describeLuks({ version, slots, tokens, segment }: LuksHeader): string {
  const kinds = [...new Set(slots.map(({ derivation }) => derivation.kind))].join(', ');
  const ways = `${String(slots.length)} ${slots.length === 1 ? 'key slot' : 'key slots'}${kinds === '' ? '' : ` (${kinds})`}`;
  const others = tokens.length === 0 ? '' : `, tokens ${tokens.join(', ')}`;
  const integrity = segment.integrity === undefined ? '' : `, authenticated with ${segment.integrity}`;
  return shownName(`encrypted with LUKS${String(version)}, ${segment.encryption}${integrity}, ${ways}${others}`);
}

/** Runs `work`, and says which file it was about where the disk is not what it claims. */
export function readingFrom<Result>(path: string, work: () => Result): Result {
  try {
    return work();
  } catch (error) {
    throw explained(error, path);
  }
}

/** The image itself, or the one of an appliance's archive (OVA) that is meant. */
function memberOf(file: ByteSource, wanted: string | undefined, path: string): ByteSource {
  if (!recogniseOva(file)) return file;
  const { disks } = openOva(file);
  const list = disks.map(({ id, file: name }, index) => `${String(index + 1)} (${shownName(name ?? id)})`).join(', ');
  if (wanted === undefined && disks.length !== 1) {
    throw new RingwallError('not-found', `${path} is an archive of ${String(disks.length)} disks`, {
      hint: `name one with --disk: ${list}`,
    });
  }
  const disk = disks[Number(wanted ?? '1') - 1];
  if (disk?.source === undefined || disk.compression !== '') {
    throw new RingwallError('not-found', `${path} holds no such disk that can be read`, { hint: `it names: ${list}` });
  }
  return disk.source;
}

function openFile(path: string, open: FileSource[]): FileSource {
  const source = FileSource.open(path);
  open.push(source);
  return source;
}

/** In the same directory, under its own name, and no link to anywhere. */
function isPlainFile(name: string, beside: string): boolean {
  if (name === '' || name !== basename(name) || name.includes('\\') || name === '..' || name === '.') return false;
  return lstatSync(beside, { throwIfNoEntry: false })?.isFile() === true;
}

function looksLikeSystem({ root }: FileSystem): boolean {
  const has = (directory: FileNode | undefined, name: string): FileNode | undefined =>
    directory?.kind === 'directory' ? directory.lookup(name) : undefined;
  return has(has(root, 'etc'), 'passwd') !== undefined || has(has(root, 'Windows'), 'System32') !== undefined;
}

function noVolume(message: string, volumes: readonly Volume[], lead = 'it holds: '): RingwallError {
  const list = volumes.map((volume) => `${volume.name} (${describeContents(volume)})`).join(', ');
  return new RingwallError('not-found', message, { hint: `${lead}${list === '' ? 'nothing' : list}` });
}

function explained(error: unknown, path: string): unknown {
  const cause = { cause: error };
  if (error instanceof ParseError) {
    return new RingwallError('image-failed', `${path}: ${shownName(error.message)} (at byte ${String(error.offset)})`, {
      hint: 'it is damaged, or made to look like what it is not',
      ...cause,
    });
  }
  if (error instanceof DiskError) {
    const code = error.code === 'not-found' || error.code === 'wrong-kind' ? 'not-found' : 'image-failed';
    return new RingwallError(code, `${path}: ${shownName(error.message)}`, cause);
  }
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'ENOENT' || code === 'ENOTDIR') return new RingwallError('not-found', `there is no file ${path}`, cause);
  if (code === 'EACCES' || code === 'EPERM') {
    return new RingwallError('host-lacks', `${path} may not be read`, { hint: 'ask as a user who may', ...cause });
  }
  return error;
}
