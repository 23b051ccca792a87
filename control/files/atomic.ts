// Small files that a crash leaves old or new and never half: written beside, flushed, renamed over, directory flushed.
import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { open, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { RingwallError } from '@ringwall/api';
import { syncDirectory } from './directories.ts';
import { explainFileError, isErrno } from './errors.ts';

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
    throw explainFileError(error, path);
  }
  await syncDirectory(dirname(path));
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
    throw explainFileError(error, path);
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
