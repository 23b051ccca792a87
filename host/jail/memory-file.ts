// Memory that a jailed process maps from a file instead of making it itself, so that others may read it while the process runs, or
// fill it before it starts. The file lies in a tmpfs of its own, no larger than the memory, that the process has nothing of but this
// file. Kernel documentation: filesystems/tmpfs.rst, admin-guide/mm/transhuge.rst.
import { constants } from 'node:fs';
import { chown, mkdir, open, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { RingwallError } from '@ringwall/api';
import { run, runChecked } from '../exec/index.ts';
import { closeMounts, MOUNT } from './rundir.ts';

const NAME = 'ram';
/** The file, and the directory that it is in. */
const INODE_LIMIT = 2;
/**
 * Best first. `noswap` (Linux 6.4) keeps it out of swap also where we, who have no limit on swap, put it in. QEMU asks for huge pages,
 * as it would have them for memory of its own; `huge=within_size` gives them to us, too, who write what we put in three times as fast so.
 */
const WISHES: readonly string[] = [',huge=within_size,noswap', ',huge=within_size', ''];

/** Makes the file, full of zeros that take no room, for this uid. What was at `dir` before is gone. */
export async function openMemoryFile(
  dir: string,
  { uid, bytes }: { readonly uid: number; readonly bytes: number },
): Promise<FileHandle> {
  await mkdir(dir, { recursive: true, mode: 0o711 });
  await closeMounts(dir);
  await mountMemory(dir, bytes);
  const file = await open(memoryFileOf(dir), constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, 0o600);
  try {
    await file.truncate(bytes);
    await chown(memoryFileOf(dir), uid, uid);
    return file;
  } catch (error) {
    await file.close();
    throw error;
  }
}

export function memoryFileOf(dir: string): string {
  return join(dir, NAME);
}

/** That of a process that runs. The directory is root's: what lies there is the file that was made, whatever the process does. */
export async function readMemoryFile(dir: string, bytes: number): Promise<FileHandle> {
  const file = await open(memoryFileOf(dir), constants.O_RDONLY | constants.O_NOFOLLOW);
  const { size } = await file.stat();
  if (size === bytes) return file;
  await file.close();
  throw new RingwallError('vmm-failed', `a memory of ${bytes} bytes has become one of ${size}`, {
    hint: 'the VMM has cut it: treat this machine as broken into',
  });
}

async function mountMemory(dir: string, bytes: number): Promise<void> {
  for (const [index, wish] of WISHES.entries()) {
    const flags = `nosuid,nodev,noexec,nosymfollow,size=${bytes},nr_inodes=${INODE_LIMIT},mode=0711${wish}`;
    try {
      await runChecked(run, [MOUNT, '-t', 'tmpfs', '-o', flags, 'ringwall', dir]);
      return;
    } catch (error) {
      if (index === WISHES.length - 1) throw error;
    }
  }
}
