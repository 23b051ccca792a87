// The contents of an image as Debian's are: whole packages of this Debian, first those that each system must have, then others; at
// last single files of the rest, until the image has as many files and bytes as are wanted. Folders and links are among them, and
// the package manager's own list.
import { execFileSync } from 'node:child_process';
import { lstatSync, mkdirSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

const STATUS = '/var/lib/dpkg/status';
const INFO = '/var/lib/dpkg/info';
/** A package, or a file, is taken where its files are at most so much larger than those still wanted. */
const MAX_FILE_RATIO = 1.5;
/** What images with many small files have them of. */
const LANGUAGE = /^(?:lib)?(?:python3|perl)/;

export interface DebianLayer {
  readonly files: number;
  readonly bytes: number;
  readonly packages: number;
}

interface Package {
  readonly name: string;
  readonly stanza: string;
  /** The smaller ones first. */
  readonly rank: number;
}

interface PackagePath {
  readonly path: string;
  /** Undefined for what is no regular file. */
  readonly bytes: number | undefined;
}

/** Writes the archive `tar`, at most `files` regular files of `bytes` together. `folder`: for what is written on the way. */
export function writeDebianLayer(tar: string, folder: string, wanted: { files: number; bytes: number }): DebianLayer {
  const packages = installedPackages();
  const taken = new Set<string>();
  const stanzas: string[] = [];
  // The list of packages is a file of its own.
  let left = { files: wanted.files - 1, bytes: wanted.bytes };
  const take = (paths: readonly PackagePath[], whateverSize: boolean): boolean => {
    const sizes = paths.flatMap(({ bytes }) => bytes ?? []);
    const bytes = sizes.reduce((sum, size) => sum + size, 0);
    if (sizes.length === 0 || sizes.length > left.files || bytes > left.bytes) return false;
    if (!whateverSize && bytes / sizes.length > (MAX_FILE_RATIO * left.bytes) / left.files) return false;
    for (const { path } of paths) taken.add(path);
    left = { files: left.files - sizes.length, bytes: left.bytes - bytes };
    return true;
  };
  const rest: PackagePath[] = [];
  for (const { name, stanza, rank } of packages.toSorted((one, other) => one.rank - other.rank)) {
    const paths = pathsOf(name);
    if (take(paths, rank === 0)) stanzas.push(stanza);
    else rest.push(...paths);
  }
  for (const path of rest) if (left.files > 0 && !taken.has(path.path)) take([path], false);
  const own = join(folder, 'own');
  mkdirSync(join(own, dirname(STATUS)), { recursive: true });
  writeFileSync(join(own, STATUS), stanzas.join('\n'));
  const list = join(folder, 'paths');
  writeFileSync(list, `${[...taken].toSorted().join('\n')}\n`);
  execFileSync('tar', ['-cf', tar, '--no-recursion', '-C', '/', '-T', list, '-C', own, STATUS.slice(1)]);
  return { files: wanted.files - left.files, bytes: wanted.bytes - left.bytes, packages: stanzas.length };
}

function installedPackages(): readonly Package[] {
  return readFileSync(STATUS, 'utf8')
    .split(/\n\n/)
    .filter((stanza) => stanza.includes('\nStatus: install ok installed\n'))
    .map((stanza) => {
      const field = (name: string): string => new RegExp(`^${name}: (.*)$`, 'm').exec(stanza)?.[1] ?? '';
      const isMultiarch = field('Multi-Arch') === 'same';
      return {
        name: isMultiarch ? `${field('Package')}:${field('Architecture')}` : field('Package'),
        stanza: `${stanza}\n`,
        rank: field('Priority') === 'required' ? 0 : LANGUAGE.test(field('Package')) ? 1 : 2,
      };
    })
    .toSorted((one, other) => (one.name < other.name ? -1 : 1));
}

/** As they lie now: where a package says `/bin/ls`, Debian has `/usr/bin/ls`. */
function pathsOf(name: string): readonly PackagePath[] {
  return readFileSync(join(INFO, `${name}.list`), 'utf8')
    .split('\n')
    .flatMap((line) => {
      const stat = line === '' || line === '/.' ? undefined : lstatSync(line, { throwIfNoEntry: false });
      if (stat === undefined) return [];
      const path = join(realpathSync(dirname(line)), basename(line)).slice(1);
      return [{ path, bytes: stat.isFile() ? stat.size : undefined }];
    });
}
