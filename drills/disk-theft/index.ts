// Drill: somebody carries the disk away. A canary that the guest wrote is looked for in the stolen file.
import { truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Drill } from '../drill.ts';
import { bootPlainVm } from '../plain/vm.ts';
import { searchFile } from '../search-file.ts';
import { diskOf, kernelOf, newCanary } from '../victim.ts';

const DISK_BYTES = 64 * 1024 * 1024;
const SEARCH = 'search the stolen image for the canary';

export const diskTheft: Drill = {
  name: 'disk-theft',
  title: 'A stolen disk is read on another machine',
  adversaries: ['A4'],
  story:
    'A guest writes a file. Somebody copies the disk image from the host, a backup or a broken drive and searches it.',
  mustBeTrue: 'The thief has the whole image file, and nothing else of the host.',
  stoppedBy: 'LUKS2 inside the guest, with a key that no file of the host holds in clear.',

  async without({ directory, ringwall, step }) {
    const canary = newCanary();
    const disk = join(directory, 'plain.img');
    writeFileSync(disk, '');
    truncateSync(disk, DISK_BYTES);
    step('a plain VM writes a canary to its disk');
    const printed = await bootPlainVm({
      directory,
      kernel: kernelOf(ringwall),
      disk,
      script: `mke2fs -q /dev/nvme0n1 && mount -t ext4 /dev/nvme0n1 /mnt && echo ${canary} > /mnt/canary && umount /mnt && echo written`,
    });
    if (!printed.includes('written')) throw new Error(`the plain VM did not write its canary:\n${printed.slice(-500)}`);
    return [searchFile(disk, canary, SEARCH)];
  },

  async with({ ringwall, victim, step }) {
    const canary = newCanary();
    step('the machine writes a canary to its disk');
    using console = await ringwall.openConsole(victim);
    await console.run(`echo ${canary} > /data/canary && sync && cat /data/canary`);
    const disk = await diskOf(ringwall, victim);
    const found = searchFile(disk, canary, SEARCH);
    await console.run('rm /data/canary && sync');
    return [found];
  },
};
