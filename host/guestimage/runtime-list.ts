// Lists what may run in an image: from the entries of the initrd and of small systems, and from what is found in the
// tree of a Debian system. The list itself is of lib/evidence, which judges running machines by it.
import { createHash } from 'node:crypto';
import { lstat, readdir, readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import type { RuntimeFile, RuntimePackage } from '@ringwall/evidence';
import type { CpioEntry } from './cpio.ts';

/** The files that a package brought, relative to where it was unpacked. */
export interface UnpackedPackage extends RuntimePackage {
  readonly directory: string;
  readonly paths: readonly string[];
}

const ANY_EXECUTE_BIT = 0o111;
/** ELF (which shared objects and kernel modules are too), and scripts, by their first bytes. */
const MAGICS = ['\u007fELF', '#!'].map((magic) => Buffer.from(magic, 'latin1'));
/** Debian 12 has these as links to their namesakes in /usr; packages still name files by the old paths. */
const MERGED = /^\/(?=(?:bin|sbin|lib|lib32|lib64|libx32)\/)/;

/** What of these entries the kernel could be asked to run or load. `from` has the packages by SHA-256. */
export function runtimeFilesOf(
  entries: readonly CpioEntry[],
  from: ReadonlyMap<string, RuntimePackage>,
): readonly RuntimeFile[] {
  return entries.flatMap((entry) => {
    if (entry.kind !== 'file' || !isRunnable(entry.mode, entry.content)) return [];
    const sha256 = createHash('sha256').update(entry.content).digest('hex');
    return [{ path: `/${entry.path}`, sha256, package: from.get(sha256) }];
  });
}

/** By SHA-256, which package each runnable file came from. */
export async function packagesByDigest(unpacked: readonly UnpackedPackage[]): Promise<Map<string, RuntimePackage>> {
  const found = new Map<string, RuntimePackage>();
  for (const { name, version, directory, paths } of unpacked) {
    for (const path of paths.map((each) => join(directory, each))) {
      const stats = await lstat(path);
      if (!stats.isFile()) continue;
      const content = await readFile(path);
      if (!isRunnable(stats.mode, content)) continue;
      found.set(createHash('sha256').update(content).digest('hex'), { name, version });
    }
  }
  return found;
}

/** What may run of a Debian system that was unpacked to `tree`, with the packages that its dpkg knows. */
export async function runtimeFilesIn(
  tree: string,
  versions: ReadonlyMap<string, string>,
): Promise<readonly RuntimeFile[]> {
  const owners = await readOwners(join(tree, 'var/lib/dpkg/info'));
  const found: RuntimeFile[] = [];
  for (const file of await filesBelow(tree)) {
    const content = await readFile(file);
    if (!isRunnable((await lstat(file)).mode, content)) continue;
    const path = `/${relative(tree, file)}`;
    const name = owners.get(path);
    const version = name === undefined ? undefined : versions.get(name);
    found.push({
      path,
      sha256: createHash('sha256').update(content).digest('hex'),
      package: name === undefined || version === undefined ? undefined : { name, version },
    });
  }
  return found;
}

/** Not Node's own recursion, which follows links to directories, out of the tree too. */
async function filesBelow(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { withFileTypes: true });
  const found = await Promise.all(
    entries.map(async (entry) => {
      const path = join(directory, entry.name);
      if (entry.isDirectory()) return filesBelow(path);
      return entry.isFile() ? [path] : [];
    }),
  );
  return found.flat();
}

/** Which package each path belongs to: `libc6:amd64.list` has the paths of libc6, one a line. */
async function readOwners(info: string): Promise<Map<string, string>> {
  const owners = new Map<string, string>();
  for (const file of await readdir(info)) {
    const name = /^([a-z0-9][a-z0-9+.-]*)(?::[a-z0-9]+)?\.list$/.exec(file)?.[1];
    if (name === undefined) continue;
    for (const path of (await readFile(join(info, file), 'utf8')).split('\n')) {
      owners.set(path.replace(MERGED, '/usr/'), name);
    }
  }
  return owners;
}

function isRunnable(mode: number, content: Uint8Array): boolean {
  return (mode & ANY_EXECUTE_BIT) !== 0 || MAGICS.some((magic) => magic.equals(content.subarray(0, magic.length)));
}
