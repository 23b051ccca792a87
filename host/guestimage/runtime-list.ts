// Lists what may run in an image: from the entries of the initrd and of small systems, and from what is found in the
// tree of a Debian system. The list itself is of lib/evidence, which judges running machines by it.
import { createHash } from 'node:crypto';
import { lstat, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { RingwallError } from '@ringwall/api';
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
    for (const path of paths.map((relative) => join(directory, relative))) {
      const stats = await lstat(path);
      if (!stats.isFile()) continue;
      const content = await readFile(path);
      if (!isRunnable(stats.mode, content)) continue;
      found.set(createHash('sha256').update(content).digest('hex'), { name, version });
    }
  }
  return found;
}

/** Parses what apps/guest/debian/list-files wrote: `sha256sum --zero` over the tree, and the file lists of dpkg. */
export function parseSystemFiles(
  digests: string,
  packageLists: string,
  versions: ReadonlyMap<string, string>,
): readonly RuntimeFile[] {
  const owners = parsePackageLists(packageLists);
  return digests
    .split('\0')
    .filter((record) => record !== '')
    .map((record) => {
      // 64 digits, a space, a space or an asterisk, and the path as `find` gave it.
      const match = /^([0-9a-f]{64}) [ *]\.(\/[\s\S]+)$/.exec(record);
      const [, sha256, path] = match ?? [];
      if (sha256 === undefined || path === undefined) {
        throw new RingwallError('image-failed', `${JSON.stringify(record.slice(0, 100))} is no file with its digest`);
      }
      const name = owners.get(path);
      const version = name === undefined ? undefined : versions.get(name);
      return { path, sha256, package: name === undefined || version === undefined ? undefined : { name, version } };
    });
}

/** Lines of `grep -H '' *.list`: `libc6:amd64.list:/lib/x86_64-linux-gnu/libc.so.6`. */
function parsePackageLists(text: string): Map<string, string> {
  const owners = new Map<string, string>();
  for (const line of text.split('\n')) {
    const [, name, path] = /^([a-z0-9][a-z0-9+.-]*)(?::[a-z0-9]+)?\.list:(\/.+)$/.exec(line) ?? [];
    if (name !== undefined && path !== undefined) owners.set(path.replace(MERGED, '/usr/'), name);
  }
  return owners;
}

function isRunnable(mode: number, content: Uint8Array): boolean {
  return (mode & ANY_EXECUTE_BIT) !== 0 || MAGICS.some((magic) => magic.equals(content.subarray(0, magic.length)));
}
