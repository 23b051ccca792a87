// A device node that belongs to one jailed process alone, so that no jail needs membership of the host's kvm group.
// It lies in /dev: the run directory forbids device nodes.
import { chmod, chown, mkdir, rm, rmdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { RingwallError } from '@ringwall/api';
import { run, runChecked } from '../exec/index.ts';

const MKNOD = '/usr/bin/mknod';
export const DEVICE_DIR = '/dev/ringwall';
/** To make a node while others come and go. */
const ATTEMPTS = 5;

/** Makes a node for the same device as `original`, for this uid alone; answers its path. */
export async function openDeviceNode(name: string, original: string, uid: number): Promise<string> {
  const info = await stat(original).catch((cause: unknown) => {
    throw new RingwallError('host-lacks', `${original} is not there`, { cause });
  });
  if (!info.isCharacterDevice()) throw new RingwallError('host-lacks', `${original} is not a character device`);
  const path = join(DEVICE_DIR, name);
  const { major, minor } = splitDevice(info.rdev);
  const argv = [MKNOD, '--mode=0600', path, 'c', String(major), String(minor)];
  for (let attempt = 1; ; attempt += 1) {
    try {
      await mkdir(DEVICE_DIR, { recursive: true, mode: 0o711 });
      await chmod(DEVICE_DIR, 0o711);
      await rm(path, { force: true });
      await runChecked(run, argv);
      await chown(path, uid, uid);
      return path;
    } catch (error) {
      // Another instance on this host may have closed the last other node, and the directory with it.
      if (attempt === ATTEMPTS) throw error;
    }
  }
}

export async function closeDeviceNode(name: string): Promise<void> {
  await rm(join(DEVICE_DIR, name), { force: true });
  await rmdir(DEVICE_DIR).catch(() => undefined);
}

/** Pure: makedev(3) the other way round. */
export function splitDevice(rdev: number): { major: number; minor: number } {
  const value = BigInt(rdev);
  const major = ((value >> 8n) & 0xfffn) | ((value >> 32n) & 0xfffff000n);
  const minor = (value & 0xffn) | ((value >> 12n) & 0xffffff00n);
  return { major: Number(major), minor: Number(minor) };
}
