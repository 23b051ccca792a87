// Writes the entries of an archive as a directory tree, for tools that take nothing else.
import { chmod, mkdir, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { CpioEntry } from './cpio.ts';

const DIRECTORY_MODE = 0o755;

/** Modes are exactly those of the entries, whatever the umask is. */
export async function writeTree(root: string, entries: readonly CpioEntry[]): Promise<void> {
  await mkdir(root);
  await chmod(root, DIRECTORY_MODE);
  const made = new Set<string>();
  const directory = async (path: string, mode: number): Promise<void> => {
    if (path === '.' || made.has(path)) return;
    await directory(dirname(path), DIRECTORY_MODE);
    await mkdir(join(root, path));
    await chmod(join(root, path), mode);
    made.add(path);
  };
  for (const entry of entries) if (entry.kind === 'directory') await directory(entry.path, entry.mode);
  for (const entry of entries) {
    if (entry.kind === 'directory') continue;
    await directory(dirname(entry.path), DIRECTORY_MODE);
    const path = join(root, entry.path);
    if (entry.kind === 'link') await symlink(entry.target, path);
    else {
      await writeFile(path, entry.content, { flag: 'wx' });
      await chmod(path, entry.mode);
    }
  }
}
