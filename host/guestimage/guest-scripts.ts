// The guest's scripts: what an image is made from beside Debian's packages. Their digest goes into its manifest, so that
// whoever has a newer Ringwall is told that an image still carries the scripts of an older one.
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Beside a bundled program, or in the source tree, where `programDir` is an app's folder. */
export function guestDirectory(programDir: string): string {
  const beside = join(programDir, 'guest');
  return existsSync(beside) ? beside : join(programDir, '../guest');
}

/** SHA-256 over the path and the contents of every script that goes into the image of this name. */
export async function guestScriptsDigest(guestDir: string, image: string): Promise<string> {
  const whole = createHash('sha256');
  for (const part of ['common', 'initrd', image]) {
    const found = await readdir(join(guestDir, part), { recursive: true, withFileTypes: true });
    const paths = found.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
    for (const path of paths.toSorted()) {
      const digest = createHash('sha256').update(await readFile(path));
      whole.update(`${digest.digest('hex')} ${path.slice(guestDir.length + 1)}\n`);
    }
  }
  return whole.digest('hex');
}
