// What a machine of the tests boots: firmware as it is, then a kernel that is none, beside two disks of zeros.
import { truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { VmmOptions } from '../start.ts';
import { emptyKernel } from './empty-kernel.ts';

export const FIRMWARE = { code: '/usr/share/OVMF/OVMF_CODE.fd', variables: '/usr/share/OVMF/OVMF_VARS.fd' } as const;
const DISK_BYTES: number = 16 * 2 ** 20;

export async function makeBootFiles(dir: string): Promise<void> {
  await writeFile(join(dir, 'kernel'), emptyKernel(), { mode: 0o644 });
  await writeFile(join(dir, 'initrd'), 'none', { mode: 0o644 });
  for (const name of ['system.img', 'data.img']) {
    await writeFile(join(dir, name), '', { mode: 0o600 });
    await truncate(join(dir, name), DISK_BYTES);
  }
}

export function directFiles(dir: string): NonNullable<VmmOptions['direct']> {
  return {
    kernel: join(dir, 'kernel'),
    initrd: join(dir, 'initrd'),
    commandLine: 'console=ttyS0, quiet',
    systemImage: join(dir, 'system.img'),
    dataDisk: join(dir, 'data.img'),
  };
}
