// Drill: somebody copies a disk image, in whatever format it lies there, and reads it; against the same image imported.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { diskListSchema } from '@ringwall/api/disks';
import type { Attempt, Drill } from '../drill.ts';
import { searchFile } from '../search-file.ts';
import { newCanary } from '../victim.ts';
import { makeImages, readPlain } from './images.ts';

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
    context.step('making images of all formats, and reading them');
    for (const image of await makeImages(context.directory, canary)) {
      attempts.push(searchFile(await readPlain(image), canary, `read a stolen image: ${image.name}`));
    }
    return attempts;
  },

  async with(context) {
    const { directory, ringwall, step } = context;
    const canary = newCanary();
    step('making images of all formats');
    const images = await makeImages(directory, canary);
    step(`importing ${images.length} images`);
    const names = images.map((_, index) => `stolen-${index}`);
    await Promise.all(
      images.map(({ path, hasParts }, index) =>
        ringwall.ok('disk', 'import', path, '--name', names[index] ?? '', ...(hasParts ? ['--alongside'] : [])),
      ),
    );
    const { disks } = diskListSchema.parse(await ringwall.api('GET', '/v1/disks'));
    const attempts = images.map(({ name }, index) => {
      const disk = disks.find((each) => each.name === names[index]);
      if (disk?.status.phase !== 'ready') throw new Error(`${name} was not imported`);
      const place = join(ringwall.stateDir, 'disks', disk.id);
      const [file = ''] = readdirSync(place);
      return searchFile(join(place, file), canary, `read the stolen file of an imported disk: ${name}`);
    });
    await ringwall.ok('disk', 'rm', ...names);
    return attempts;
  },
};
