// Where this command line lies: bundles in dist/, or the sources of a checkout. Services are started from the same kind.
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

export interface Installation {
  readonly kind: 'bundles' | 'sources';
  /** dist/ of bundles, the repository's root of sources. */
  readonly directory: string;
  /** The file that was started. */
  readonly entry: string;
}

/** The id of what runs from a checkout: it can change at any time. */
export const SOURCE_BUILD = 'source';

export interface Build {
  readonly version: string;
  /** Names the sources that the bundles were made of; `source` where there are none. */
  readonly id: string;
}

export function findInstallation(entryDirectory: string, entryFile: string): Installation {
  return entryFile.endsWith('.ts')
    ? { kind: 'sources', directory: resolve(entryDirectory, '../..'), entry: entryFile }
    : { kind: 'bundles', directory: entryDirectory, entry: entryFile };
}

export function readBuild({ kind, directory }: Installation): Build {
  const file = join(directory, kind === 'bundles' ? 'build.json' : 'package.json');
  const { version, id }: { version?: unknown; id?: unknown } = JSON.parse(readFileSync(file, 'utf8'));
  return {
    version: typeof version === 'string' ? version : 'unknown',
    id: typeof id === 'string' && /^[0-9a-f]{16}$/.test(id) ? id : SOURCE_BUILD,
  };
}

export function packagesFile({ kind, directory }: Installation): string {
  return kind === 'bundles' ? join(directory, 'packages.txt') : join(directory, 'tools/setup/packages.txt');
}

/** The page that judges proofs in a browser. */
export function proofPageFile({ kind, directory }: Installation): string {
  return join(directory, kind === 'bundles' ? 'ringwall-proof.html' : 'dist/ringwall-proof.html');
}
