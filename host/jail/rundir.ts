// The one place where a jailed process may write: a small file system in memory of its own, so that a guest which
// floods its console fills only that, and nothing that is written there can be executed or be a device. What lies in it
// is the jailed process's to choose: on our side no symbolic link in it is followed (nosymfollow), and only
// `readRunFile` opens a file of it.
import { constants } from 'node:fs';
import { chmod, mkdir, open, readFile, rmdir, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { RingwallError } from '@ringwall/api';
import { run, runChecked } from '../exec/index.ts';

export const MOUNT = '/usr/bin/mount';
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
  await using handle = await openRunFile(dir, name, constants.O_RDONLY);
  return handle === undefined ? undefined : await readTail(handle, maxBytes);
}

/**
 * Cuts a log that has outgrown `maxBytes` down to its last `keepBytes`, so that the newest lines find room. The process
 * writes it in append mode; what it writes between the two steps comes before the kept part, which is no harm to a log.
 */
export async function boundRunFile(
  dir: string,
  name: string,
  limits: { readonly maxBytes: number; readonly keepBytes: number },
): Promise<void> {
  await using handle = await openRunFile(dir, name, constants.O_RDWR | constants.O_APPEND);
  if (handle === undefined || (await handle.stat()).size <= limits.maxBytes) return;
  const kept = await readTail(handle, limits.keepBytes);
  await handle.truncate(0);
  await handle.write(kept);
}

async function openRunFile(dir: string, name: string, mode: number): Promise<FileHandle | undefined> {
  // O_NONBLOCK: a pipe in its place must not hold us up.
  const flags = mode | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const handle = await open(join(dir, name), flags).catch(() => undefined);
  if (handle === undefined || (await handle.stat()).isFile()) return handle;
  await handle.close();
  return undefined;
}

async function readTail(handle: FileHandle, maxBytes: number): Promise<Buffer> {
  const { size } = await handle.stat();
  const length = Math.min(size, maxBytes);
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(length), 0, length, size - length);
  return buffer.subarray(0, bytesRead);
}

/** Whatever is mounted at this very path. */
export async function closeMounts(dir: string): Promise<void> {
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
