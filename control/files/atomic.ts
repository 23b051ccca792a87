// Small files that a crash leaves old or new and never half: written beside, flushed, renamed over, directory flushed.
import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { lstat, mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { RingwallError } from '@ringwall/api';

/** The mark of a file that was being written; after a crash it is rubbish. */
const UNFINISHED = /\.unfinished-[0-9a-f]{16}$/;

/**
 * Replaces `path` as a whole, or throws and leaves what was there. The mode holds from the first byte on: a secret is
 * at no time in a file that others may read. The directory must belong to this user alone.
 */
export async function writeFileAtomic(path: string, content: Uint8Array | string, mode = 0o600): Promise<void> {
  const beside = `${path}.unfinished-${randomBytes(8).toString('hex')}`;
  try {
    await using file = await open(beside, 'wx', mode);
    // The umask may have taken bits away; it cannot have added any.
    await file.chmod(mode);
    await file.writeFile(content);
    await file.sync();
    await rename(beside, path);
  } catch (error) {
    await rm(beside, { force: true });
    throw explained(error, path);
  }
  await using directory = await open(dirname(path), 'r');
  await directory.sync();
}

/** The content of a plain file of at most `limitBytes`, or undefined where there is none. Follows no link. */
export async function readFileBounded(path: string, limitBytes: number): Promise<Uint8Array<ArrayBuffer> | undefined> {
  try {
    await using file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    const seen = await file.stat();
    if (!seen.isFile()) throw new RingwallError('conflict', `${path} is not a plain file`);
    if (seen.size > limitBytes) {
      throw new RingwallError('too-large', `${path} has ${String(seen.size)} bytes, at most ${String(limitBytes)}`);
    }
    const buffer = new Uint8Array(seen.size);
    const { bytesRead } = await file.read(buffer, 0, seen.size, 0);
    return buffer.subarray(0, bytesRead);
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw explained(error, path);
  }
}

/** Makes a directory for this user alone, or sees that it is one. */
export async function makePrivateDirectory(path: string): Promise<void> {
  try {
    await mkdir(path, { mode: 0o700 });
  } catch (error) {
    if (!isErrno(error, 'EEXIST')) throw explained(error, path);
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

/** Removes what a killed process left half written for `path`. */
export async function removeUnfinished(path: string): Promise<void> {
  const directory = dirname(path);
  for (const name of await readdir(directory)) {
    if (name.startsWith(`${basename(path)}.`) && UNFINISHED.test(name))
      await rm(join(directory, name), { force: true });
  }
}

export function isErrno(error: unknown, ...codes: readonly string[]): boolean {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' && codes.includes(error.code);
}

/** A full or read-only disk is the operator's to solve, and said so. */
function explained(error: unknown, path: string): unknown {
  if (isErrno(error, 'ENOSPC', 'EDQUOT')) {
    return new RingwallError('host-full', `no room to write ${path}`, {
      hint: 'make room on that file system',
      cause: error,
    });
  }
  if (isErrno(error, 'EROFS', 'EACCES', 'EPERM')) {
    return new RingwallError('conflict', `this user may not read or write ${path}`, {
      hint: 'see who owns the state directory, and that it is not mounted read-only',
      cause: error,
    });
  }
  if (isErrno(error, 'ELOOP')) return new RingwallError('conflict', `${path} is a symbolic link`, { cause: error });
  return error;
}
