// What to write into a Dockerfile so that a vulnerability is gone, and nothing else changes more than it must. Names and versions
// come from the image: what is no plain word is not put into a command.
import type { InstalledPackage } from '../packages/installed-packages.ts';
import type { PackageType } from '../packages/package-fact.ts';

const PLAIN = /^[\w@.+:~/^-]+$/;

interface Change {
  /** All of one source, parted by blanks. */
  readonly names: string;
  readonly fixed: string;
  readonly path: string;
}

const CHANGES: Readonly<Record<PackageType, (change: Change) => string>> = {
  apk: ({ names, fixed }) =>
    `RUN apk add --no-cache ${names
      .split(' ')
      .map((name) => `'${name}>=${fixed}'`)
      .join(' ')}`,
  cargo: ({ names, fixed }) => `cargo update -p ${names} --precise ${fixed}, and build anew`,
  composer: ({ names, fixed }) => `composer require '${names}:^${fixed}'`,
  deb: ({ names }) => `RUN apt-get update && apt-get install -y --only-upgrade ${names} && rm -rf /var/lib/apt/lists/*`,
  gem: ({ names, fixed }) => `bundle update ${names}, to ${fixed} or later`,
  golang: ({ names, fixed }) =>
    names === 'stdlib' ? `build anew with Go ${fixed}` : `go get ${names}@v${fixed.replace(/^v/, '')}, and build anew`,
  maven: ({ names, fixed, path }) => `${names} ${fixed} in the build that made ${path}`,
  npm: ({ names, fixed }) => `npm install ${names}@${fixed}, and build anew`,
  nuget: ({ names, fixed }) => `dotnet add package ${names} --version ${fixed}, and build anew`,
  pypi: ({ names, fixed }) => `pip install '${names}>=${fixed}'`,
  rpm: ({ names }) => `RUN dnf upgrade -y ${names} && dnf clean all`,
};

/** '' where a name is nothing that a command could take. */
export function smallestChange(packages: readonly InstalledPackage[], fixed: string): string {
  const each = [...new Set(packages.map(({ name }) => name))].toSorted();
  const [first] = packages;
  if (first === undefined || ![...each, fixed].every((word) => PLAIN.test(word) && !word.startsWith('-'))) return '';
  const names = each.join(' ');
  if (first.ownedBy !== '') return `update ${first.ownedBy}, which brings ${names}, to one with ${fixed}`;
  return CHANGES[first.type]({ names, fixed, path: first.path });
}
