// Drill: somebody gives you a disk image to import that asks for a file of your host.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '@ringwall/host/exec';
import type { Attempt, Drill } from '../drill.ts';
import { searchFile } from '../search-file.ts';
import { newCanary } from '../victim.ts';
import { QEMU_IMG, setTraps } from './traps.ts';

const SECTORS = 128;
const SECRET_BYTES = SECTORS * 512;

export const importTraps: Drill = {
  name: 'import-traps',
  title: 'An image to import asks for a file of the host',
  adversaries: ['A7'],
  story:
    'An image’s header can say that its contents lie in another file: as backing file, as external data file, as extent. ' +
    'Whoever imports it by a program that follows such words has that file in the disk, and the guest reads it.',
  needsVictim: 'no',
  mustBeTrue: 'The attacker knows the path of a file that whoever imports may read.',
  stoppedBy:
    'An import gate that reads the header itself and refuses what it asks for beyond its own bytes; and services that ' +
    'get the contents of the disk alone, and open no image.',

  async without({ directory, step }) {
    const { secret, canary } = makeSecret(directory);
    const attempts: Attempt[] = [];
    for (const { field, format, path } of await setTraps(directory, secret, SECTORS)) {
      step(`qemu-img converts an image with ${field}`);
      const output = `${path}.raw`;
      await run([QEMU_IMG, 'convert', '-f', format, '-O', 'raw', path, output]);
      attempts.push(searchFile(output, canary, `read the host’s file through ${format}, ${field}`));
    }
    return attempts;
  },

  async with({ directory, ringwall, step }) {
    const { secret } = makeSecret(directory);
    const attempts: Attempt[] = [];
    for (const { field, format, path } of await setTraps(directory, secret, SECTORS)) {
      step(`Ringwall is to import an image with ${field}`);
      const { code, stderr } = await ringwall.cli('disk', 'import', path, '--name', 'trap');
      // Only a refusal that names what was asked for counts: any other failure says nothing of the trap.
      if (code !== 0 && !stderr.includes(`“${secret}”`)) throw new Error(`not refused, but failed: ${stderr}`);
      const seen = code === 0 ? 'it was imported' : (/^error: (.*)$/m.exec(stderr)?.[1] ?? stderr);
      attempts.push({ what: `read the host’s file through ${format}, ${field}`, succeeded: code === 0, seen });
    }
    return attempts;
  },
};

function makeSecret(directory: string): { readonly secret: string; readonly canary: string } {
  const canary = newCanary();
  const secret = join(directory, 'secret-of-the-host');
  writeFileSync(secret, canary.padEnd(SECRET_BYTES, '\n'));
  return { secret, canary };
}
