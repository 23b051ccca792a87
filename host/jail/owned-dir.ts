// Hands a directory and the files in it to another uid. What lies in it was written by a jailed process: no symbolic
// link in it is followed, and nothing but regular files is kept.
import { lchown, lstat, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';

/** Idempotent; a directory that is gone is left alone. */
export async function giveDir(dir: string, uid: number): Promise<void> {
  const info = await lstat(dir).catch(() => undefined);
  if (info?.isDirectory() !== true) return;
  // While root holds it, nobody can change what is looked at here.
  await lchown(dir, 0, 0);
  for (const name of await readdir(dir)) {
    const path = join(dir, name);
    const entry = await lstat(path);
    // A second link could be a file of somebody else's on this file system.
    if (!entry.isFile() || entry.nlink !== 1) await rm(path, { recursive: true, force: true });
    else await lchown(path, uid, uid);
  }
  await lchown(dir, uid, uid);
}
