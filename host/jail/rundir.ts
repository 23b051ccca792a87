// The one place where a jailed process may write: a small file system in memory of its own, so that a guest which
// floods its console fills only that, and nothing that is written there can be executed or be a device. What lies in it
// is the jailed process's to choose: on our side no symbolic link in it is followed (nosymfollow), and only
// `readRunFile` opens a file of it.
import { constants } from 'node:fs';
import { chmod, mkdir, open, readFile, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { RingwallError } from '@ringwall/api';
import { run, runChecked } from '../exec/index.ts';

const MOUNT = '/usr/bin/mount';
const UMOUNT = '/usr/bin/umount';
/** Sockets, logs and a copy of the firmware's variables: a handful. */
const INODE_LIMIT = 64;

export interface RunDirOptions {
  readonly uid: number;
  readonly sizeBytes: number;
}

/** Mounts it at `dir`, which must be empty or absent. */
export async function openRunDir(dir: string, options: RunDirOptions): Promise<void> {
  await mkdir(dir, { recursive: true, mode: 0o700 });
  await closeMounts(dir);
  const flags = `size=${options.sizeBytes},nr_inodes=${INODE_LIMIT},mode=0700,uid=${options.uid},gid=${options.uid}`;
  await runChecked(run, [MOUNT, '-t', 'tmpfs', '-o', `nosuid,nodev,noexec,nosymfollow,${flags}`, 'ringwall', dir]);
}

/** Removes it with all that is in it. Idempotent. */
export async function closeRunDir(dir: string): Promise<void> {
  await closeMounts(dir);
  await rmdir(dir).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code !== 'ENOENT') {
      throw new RingwallError('internal', `${dir} could not be removed: ${cause.message}`, { cause });
    }
  });
}

/** The last bytes of a file that the jailed process wrote; undefined where there is no such regular file. */
export async function readRunFile(dir: string, name: string, maxBytes: number): Promise<Buffer | undefined> {
  // O_NONBLOCK: a pipe in its place must not hold us up.
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const handle = await open(join(dir, name), flags).catch(() => undefined);
  if (handle === undefined) return undefined;
  try {
    const info = await handle.stat();
    if (!info.isFile()) return undefined;
    const length = Math.min(info.size, maxBytes);
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(length), 0, length, info.size - length);
    return buffer.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
}

async function closeMounts(dir: string): Promise<void> {
  // Several can lie on one another after a crash between two starts.
  for (let left = mountsAt(await readFile('/proc/self/mountinfo', 'utf8'), dir); left > 0; left -= 1) {
    await runChecked(run, [UMOUNT, '--lazy', dir]);
  }
}

/** Pure: how many file systems are mounted at this very path. */
export function mountsAt(mountinfo: string, dir: string): number {
  return mountinfo.split('\n').filter((line) => unescapeMount(line.split(' ')[4] ?? '') === dir).length;
}

/** proc(5): space, tab, newline and backslash appear as octal escapes. */
export function unescapeMount(path: string): string {
  return path.replaceAll(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}

/** Opens a directory of the path for those who only pass through it. */
export async function makePassable(dir: string): Promise<void> {
  await mkdir(dir, { recursive: true });
  await chmod(dir, 0o711);
}
