// Before the first real test: the bundles in dist/, which all of them start, are what the sources say. Once and not in each
// file, since two files at a time must not exchange what the other is starting.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

const BUILD = join(import.meta.dirname, 'build.ts');

export function setup(): void {
  if (spawnSync(process.execPath, [BUILD, '--check-stale']).status === 0) return;
  const { status, stderr } = spawnSync(process.execPath, [BUILD], { encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
}
