// The disk of a template: as the snapshot has it, which its guest has encrypted, and copied for each machine that goes on from there. On
// file systems that share blocks between files (Btrfs, XFS) a copy costs nothing; elsewhere what is used of it is copied.
import { constants } from 'node:fs';
import { copyFile, open, rename, rm, type FileHandle } from 'node:fs/promises';
import { isErrno, syncDirectory } from '../files/index.ts';
import { DiskCopy } from './disk-copy.ts';
import type { MachineLayout } from './layout.ts';
import type { Extent } from './parts.ts';

/** Looked at, and copied, as one. */
const PIECE_BYTES = 64 * 1024;
const READ_BYTES = 2 ** 20;
const ZEROS = Buffer.alloc(PIECE_BYTES);
/** Behind the name of a disk that is not whole. */
export const UNFINISHED = '.new';

export interface TemplateDisk {
  readonly path: string;
  readonly bytes: number;
  /** Where it is not zero. */
  readonly extents: readonly Extent[];
  readonly remove: () => Promise<void>;
}

/** What `fill` writes into an empty file of this length. */
export async function makeTemplateDisk(
  path: string,
  bytes: number,
  fill: (descriptor: number) => Promise<void>,
): Promise<TemplateDisk> {
  const remove = (): Promise<void> => rm(path, { force: true });
  await remove();
  try {
    await using file = await open(path, 'wx+', 0o600);
    await file.truncate(bytes);
    await fill(file.fd);
    return { path, bytes, extents: await findData(file, bytes), remove };
  } catch (error) {
    await remove();
    throw error;
  }
}

/** Takes the place of a disk that was never used. It is on the drive once `sync` of what this answers is done. */
export async function putDisk(template: TemplateDisk, { disk, data }: MachineLayout): Promise<DiskInPlace> {
  const unfinished = `${disk}${UNFINISHED}`;
  try {
    await rm(unfinished, { force: true });
    if (!(await shareBlocks(template.path, unfinished))) {
      await using copy = await DiskCopy.open(template.path, unfinished, template.bytes);
      await copy.take(template.extents);
    }
    await rename(unfinished, disk);
  } catch (error) {
    await rm(unfinished, { force: true });
    throw error;
  }
  return {
    sync: async () => {
      await using file = await open(disk, 'r');
      await file.sync();
      await syncDirectory(data);
    },
  };
}

export interface DiskInPlace {
  readonly sync: () => Promise<void>;
}

async function shareBlocks(from: string, to: string): Promise<boolean> {
  try {
    await copyFile(from, to, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE_FORCE);
    return true;
  } catch (error) {
    if (isErrno(error, 'ENOTSUP', 'EOPNOTSUPP', 'ENOTTY', 'EINVAL', 'EXDEV', 'ENOSYS')) return false;
    throw error;
  }
}

async function findData(file: FileHandle, bytes: number): Promise<Extent[]> {
  const extents: { offset: number; length: number }[] = [];
  const buffer = Buffer.allocUnsafe(READ_BYTES);
  for (let at = 0; at < bytes; at += READ_BYTES) {
    const { bytesRead } = await file.read(buffer, 0, Math.min(READ_BYTES, bytes - at), at);
    for (let from = 0; from < bytesRead; from += PIECE_BYTES) {
      const piece = buffer.subarray(from, Math.min(from + PIECE_BYTES, bytesRead));
      if (piece.equals(ZEROS.subarray(0, piece.length))) continue;
      const last = extents.at(-1);
      if (last !== undefined && last.offset + last.length === at + from) last.length += piece.length;
      else extents.push({ offset: at + from, length: piece.length });
    }
  }
  return extents;
}
