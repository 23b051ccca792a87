// A root folder as an image of one layer: read file by file, following no link. Extended attributes, and so file capabilities, are
// not seen: Node has no way to read them.
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  readlinkSync,
  readSync,
  type Stats,
} from 'node:fs';
import { join } from 'node:path';
import {
  openEntryInspection,
  type ContentSink,
  type EntryType,
  type Inspector,
  type LayerContents,
  type TarEntry,
} from '@ringwall/oci';

const READ_BYTES: number = 1024 * 1024;

/**
 * Files that cannot be read are as empty ones, and told to `onUnread`. `room` says between files what to wait for. Throws OciError,
 * or what node:fs throws of `root` itself.
 */
export async function inspectFolder(
  root: string,
  inspectors: readonly Inspector[],
  onUnread: (path: string) => void,
  room: () => Promise<void> | undefined = () => undefined,
): Promise<LayerContents> {
  const inspection = openEntryInspection(inspectors);
  const buffer = Buffer.allocUnsafe(READ_BYTES);
  // The file system of the root, and no other: /proc is no part of an image.
  const device = lstatSync(root).dev;
  const open: string[] = [''];
  for (let path = open.pop(); path !== undefined; path = open.pop()) {
    const whole = join(root, path);
    const stat = lstatSync(whole, { throwIfNoEntry: false });
    // Gone since its folder was read.
    if (stat === undefined || (stat.dev !== device && path !== '')) continue;
    const entry = entryOf(path, whole, stat);
    const sink = inspection.entry(entry);
    try {
      if (stat.isDirectory()) open.push(...childrenOf(path, whole));
      else if (sink !== undefined && stat.isFile()) readInto(sink, whole, buffer);
    } catch (error) {
      if (!isUnreadable(error)) throw error;
      onUnread(path);
    }
    // oxlint-disable-next-line no-await-in-loop -- nearly always there is room
    await room();
  }
  return inspection.end();
}

function childrenOf(path: string, whole: string): string[] {
  const names = readdirSync(whole).toSorted().toReversed();
  return names.map((name) => (path === '' ? name : `${path}/${name}`));
}

function readInto({ bytes, take }: ContentSink, whole: string, buffer: Buffer): void {
  const descriptor = openSync(whole, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    if (!fstatSync(descriptor).isFile()) return;
    for (let left = bytes; left > 0;) {
      const got = readSync(descriptor, buffer, { length: Math.min(left, buffer.length) });
      if (got === 0) return;
      take(buffer.subarray(0, got));
      left -= got;
    }
  } finally {
    closeSync(descriptor);
  }
}

function entryOf(path: string, whole: string, stat: Stats): TarEntry {
  const type = typeOf(stat);
  return {
    path,
    type,
    mode: stat.mode & 0o7777,
    uid: stat.uid,
    gid: stat.gid,
    userName: '',
    groupName: '',
    bytes: type === 'file' ? stat.size : 0,
    modified: Math.trunc(stat.mtimeMs / 1000),
    target: type === 'symlink' ? readlinkSync(whole) : '',
    attributes: new Map(),
    isSparse: false,
    hazards: type === 'character-device' || type === 'block-device' ? ['device'] : [],
  };
}

function typeOf(stat: Stats): EntryType {
  if (stat.isFile()) return 'file';
  if (stat.isDirectory()) return 'directory';
  if (stat.isSymbolicLink()) return 'symlink';
  if (stat.isCharacterDevice()) return 'character-device';
  if (stat.isBlockDevice()) return 'block-device';
  return stat.isFIFO() ? 'fifo' : 'other';
}

function isUnreadable(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return code === 'EACCES' || code === 'EPERM' || code === 'ENOENT' || code === 'ELOOP' || code === 'EIO';
}
