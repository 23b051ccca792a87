// Makes a directory and the parents that it lacks. Not mkdirSync's `recursive`: that never comes back where a file
// system answers ENOENT although the parent is there, as /proc does.
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';

/** Idempotent; something else of that name is left for the caller to find. */
export function makeDirectory(path: string, mode: number): void {
  try {
    mkdirSync(path, { mode });
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'EEXIST') return;
    if (code !== 'ENOENT' || dirname(path) === path) throw error;
    makeDirectory(dirname(path), 0o755);
    try {
      mkdirSync(path, { mode });
    } catch (again) {
      if (!(again instanceof Error && 'code' in again && again.code === 'EEXIST')) throw again;
    }
  }
}
