// Files and directories as root must handle them: in its own directories without surprises, in others' without trust.
import { constants } from 'node:fs';
import { lstat, mkdir, open, readdir, type FileHandle } from 'node:fs/promises';
import { RingwallError } from '@ringwall/api';
import { isErrno } from '../files/index.ts';

/**
 * Opens a regular file for reading in a directory that somebody else may write to: an escaped VMM could put a symbolic
 * link, a second name of another file, or a FIFO where its log was.
 */
export async function openNoFollow(path: string): Promise<FileHandle | undefined> {
  let file: FileHandle;
  try {
    file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
  const seen = await file.stat();
  if (seen.isFile() && seen.nlink === 1) return file;
  await file.close();
  throw new RingwallError('conflict', `${path} is not the plain file that it should be`, {
    hint: 'somebody replaced it: treat this machine as broken into',
  });
}

export async function makeDirectory(path: string, mode: number): Promise<void> {
  try {
    await mkdir(path, { mode });
  } catch (error) {
    if (!isErrno(error, 'EEXIST') || !(await lstat(path)).isDirectory()) throw fullOr(error);
  }
}

export async function syncDirectory(path: string): Promise<void> {
  await using directory = await open(path, 'r');
  await directory.sync();
}

export async function namesIn(path: string): Promise<string[]> {
  try {
    return await readdir(path);
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return [];
    throw error;
  }
}

/** Whether there is anything of this name, a dangling link included. */
export async function isThere(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return false;
    throw error;
  }
}

/** A full disk (or quota) is the operator's to solve, and said so; any other error stays what it is. */
export function fullOr(error: unknown): unknown {
  if (!isErrno(error, 'ENOSPC', 'EDQUOT')) return error;
  return new RingwallError('host-full', 'the disk of this host is full', {
    hint: 'make room on the file system of the state directory, or remove machines (ringwall rm)',
    cause: error,
  });
}
