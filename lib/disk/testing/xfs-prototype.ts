// A tree as mkfs.xfs takes it (xfsprogs, mkfs.xfs(8), "-p"): fills a file system without a kernel that knows it.
import { lstatSync, readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';

/** The prototype of the folder `root`. Names with spaces cannot be said, and are left out. */
export function xfsPrototype(root: string): string {
  return ['boot', '0 0', 'd--755 0 0', ...linesOf(root), '$', ''].join('\n');
}

function linesOf(folder: string): string[] {
  return readdirSync(folder)
    .filter((name) => !/\s/.test(name))
    .flatMap((name) => {
      const path = join(folder, name);
      const stat = lstatSync(path);
      const mode = (stat.mode & 0o777).toString(8).padStart(3, '0');
      const owner = `${stat.uid} ${stat.gid}`;
      if (stat.isDirectory()) return [`${name} d--${mode} ${owner}`, ...linesOf(path), '$'];
      if (stat.isSymbolicLink()) return [`${name} l--${mode} ${owner} ${readlinkSync(path)}`];
      return stat.isFile() ? [`${name} ---${mode} ${owner} ${path}`] : [];
    });
}
