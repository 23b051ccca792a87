// Directories that belong to one user, and what lies in them.
import { chmod, lstat, mkdir, open, readdir } from 'node:fs/promises';
import { RingwallError } from '@ringwall/api';
import { explainFileError, fullOr, isErrno } from './errors.ts';

/** Makes a directory for this user alone, or sees that it is one. */
export async function makePrivateDirectory(path: string): Promise<void> {
  try {
    await mkdir(path, { mode: 0o700 });
  } catch (error) {
    if (!isErrno(error, 'EEXIST')) throw explainFileError(error, path);
  }
  const seen = await lstat(path);
  if (!seen.isDirectory()) throw new RingwallError('conflict', `${path} is not a directory`);
  const uid = process.getuid?.();
  if (uid !== undefined && seen.uid !== uid) {
    throw new RingwallError('conflict', `${path} belongs to uid ${String(seen.uid)} and not to this user`, {
      hint: `chown -R ${String(uid)} ${path}, or use another state directory`,
    });
  }
  if ((seen.mode & 0o077) !== 0) {
    throw new RingwallError('conflict', `${path} is open to other users (mode ${(seen.mode & 0o7777).toString(8)})`, {
      hint: `chmod 0700 ${path}, and think about who may have read it`,
    });
  }
}

/** With this very mode, whatever the umask takes away, and of this user: in `run` others may have taken the name before. */
export async function makeDirectory(path: string, mode: number): Promise<void> {
  await mkdir(path, { mode }).catch((error: unknown) => {
    if (!isErrno(error, 'EEXIST')) throw fullOr(error);
  });
  const seen = await lstat(path);
  if (!seen.isDirectory() || seen.uid !== process.getuid?.()) {
    throw new RingwallError('conflict', `${path} is not a directory of this user`, { hint: 'move it away' });
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
