// Drill: somebody copies a disk image, in whatever format it lies there, and reads it; against the same image imported.
import { closeSync, openSync, readdirSync, truncateSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { diskListSchema } from '@ringwall/api/disks';
import { run, runChecked } from '@ringwall/host/exec';
import type { Attempt, Drill, DrillContext } from '../drill.ts';
import { searchFile } from '../search-file.ts';
import { newCanary } from '../victim.ts';

const QEMU_IMG = '/usr/bin/qemu-img';
const DISK_BYTES = 8 * 1024 * 1024;
const CANARY_AT = 3 * 1024 * 1024;

/** Each with the name that qemu-img has for it. */
const FORMATS: readonly { readonly name: string; readonly format: string }[] = [
  { name: 'raw', format: 'raw' },
  { name: 'qcow2', format: 'qcow2' },
  { name: 'qed', format: 'qed' },
  { name: 'vmdk', format: 'vmdk' },
  { name: 'vhd', format: 'vpc' },
  { name: 'vhdx', format: 'vhdx' },
  { name: 'vdi', format: 'vdi' },
];

export const imageTheft: Drill = {
  name: 'image-theft',
  title: 'A disk image is copied and read, in every format',
  adversaries: ['A4'],
  story:
    'Disks of machines lie about as images: in downloads, on shares, in backups. Whoever gets a copy opens it with any tool ' +
    'that knows the format, and has all that is on the disk.',
  needsVictim: 'no',
  mustBeTrue: 'The thief has the whole file, and nothing else of the host.',
  stoppedBy: '`disk import`: the disk is encrypted from its first byte, with a key that no file beside it holds.',

  async without(context) {
    const canary = newCanary();
    const attempts: Attempt[] = [];
    for (const { name, path, format } of await makeImages(context, canary)) {
      const plain = `${path}.plain`;
      await runChecked(run, [QEMU_IMG, 'convert', '-f', format, '-O', 'raw', path, plain]);
      attempts.push(searchFile(plain, canary, `read a stolen image: ${name}`));
    }
    return attempts;
  },

  async with(context) {
    const { ringwall, step } = context;
    const canary = newCanary();
    const images = await makeImages(context, canary);
    step(`importing ${images.length} images`);
    const names = images.map((_, index) => `stolen-${index}`);
    // At a time: each spends two seconds on the strength of its header alone.
    await Promise.all(
      images.map(({ path }, index) => ringwall.ok('disk', 'import', path, '--name', names[index] ?? '')),
    );
    const { disks } = diskListSchema.parse(await ringwall.api('GET', '/v1/disks'));
    const attempts = images.map(({ name }, index) => {
      const disk = disks.find((each) => each.name === names[index]);
      if (disk?.status.phase !== 'ready') throw new Error(`${name} was not imported`);
      const directory = join(ringwall.stateDir, 'disks', disk.id);
      const [file = ''] = readdirSync(directory);
      return searchFile(join(directory, file), canary, `read the stolen file of an imported disk: ${name}`);
    });
    await ringwall.ok('disk', 'rm', ...names);
    return attempts;
  },
};

interface PlainImage {
  readonly name: string;
  readonly format: string;
  readonly path: string;
}

async function makeImages({ directory, step }: DrillContext, canary: string): Promise<PlainImage[]> {
  step('making images of all formats');
  const raw = join(directory, 'disk.raw');
  writeFileSync(raw, '');
  truncateSync(raw, DISK_BYTES);
  const file = openSync(raw, 'r+');
  writeSync(file, canary, CANARY_AT);
  closeSync(file);
  const images: PlainImage[] = [];
  for (const [index, { name, format }] of FORMATS.entries()) {
    const path = join(directory, `image-${index}.${format}`);
    await runChecked(run, [QEMU_IMG, 'convert', '-q', '-f', 'raw', '-O', format, raw, path]);
    images.push({ name, format, path });
  }
  return images;
}
