// What is kept between scans: what is known of layers, and what was found in images that were judged before. `--no-cache` reads all
// anew, and keeps nothing.
import { createHash } from 'node:crypto';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { openVerdictCache, type VerdictCache } from '@ringwall/host/images';
import { readBuild, SOURCE_BUILD } from '../installation.ts';
import type { Invocation } from '../invocation.ts';
import { advisoriesStamp } from './advisories-file.ts';

/** What of an invocation decides about it. */
export type Keeping = Pick<Invocation, 'flags' | 'values' | 'environment' | 'installation' | 'paths'>;

export function cacheFolder({ flags, environment }: Keeping, what: 'layers' | 'verdicts'): string | undefined {
  if (flags.has('no-cache')) return undefined;
  const caches = environment['XDG_CACHE_HOME'] || join(environment['HOME'] ?? homedir(), '.cache');
  return join(caches, 'ringwall', what);
}

export interface Grounds {
  /** Of what looks at samples; '' where nothing does. */
  readonly scanner: string;
  /** The documents that are heeded, as they were read, and the image that they may speak of. */
  readonly vex: Uint8Array;
  readonly imageDigest: string;
}

/** Verdicts by the rules of this build and by the advisories as they are now; undefined where none are kept. */
export function openVerdicts(invocation: Keeping, { scanner, vex, imageDigest }: Grounds): VerdictCache | undefined {
  const folder = cacheFolder(invocation, 'verdicts');
  const { id } = readBuild(invocation.installation);
  // Sources may change from one run to the next.
  if (folder === undefined || id === SOURCE_BUILD) return undefined;
  const heeded = vex.length === 0 ? '' : `${imageDigest} ${createHash('sha256').update(vex).digest('hex')}`;
  return openVerdictCache(folder, [id, scanner, advisoriesStamp(invocation), heeded]);
}
