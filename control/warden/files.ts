// Small helps around files and directories of root.
import { chmod, lstat, mkdir, open, readdir } from 'node:fs/promises';
import { RingwallError } from '@ringwall/api';
import { isErrno } from '../files/index.ts';

/** With this very mode, whatever the umask takes away, and of root: in `run` others may have taken the name before. */
export async function makeDirectory(path: string, mode: number): Promise<void> {
  await mkdir(path, { mode }).catch((error: unknown) => {
    if (!isErrno(error, 'EEXIST')) throw fullOr(error);
  });
  const seen = await lstat(path);
  if (!seen.isDirectory() || seen.uid !== process.getuid?.()) {
    throw new RingwallError('conflict', `${path} is not a directory of root`, { hint: 'move it away' });
  }
  await chmod(path, mode);
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

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** A full disk (or quota) is the operator's to solve, and said so; any other error stays what it is. */
export function fullOr(error: unknown): unknown {
  return isErrno(error, 'ENOSPC', 'EDQUOT') ? hostFull(error) : error;
}

export function hostFull(cause: unknown): RingwallError {
  return new RingwallError('host-full', 'the disk of this host is full', {
    hint: 'make room on the file system of the state directory, or remove machines (ringwall rm)',
    cause,
  });
}
