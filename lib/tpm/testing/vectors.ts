// Where tests find data that this project did not make: a folder beside the repository, absent on most machines.

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

const VECTORS: string = resolve(import.meta.dirname, '../../../../shared/vectors');
const FIXTURES: string = resolve(import.meta.dirname, '../fixtures');

/** False where the folder is missing; tests that need it then skip. */
export const VECTORS_PRESENT: boolean = existsSync(VECTORS);

/** Ends a test's title where it skips for want of the vectors. */
export const NEEDS_VECTORS: string = VECTORS_PRESENT ? '' : ' (skipped: needs ../shared/vectors)';

export function readVector(path: string): Uint8Array {
  return new Uint8Array(readFileSync(join(VECTORS, path)));
}

export function readFixture(name: string): Uint8Array {
  return new Uint8Array(readFileSync(join(FIXTURES, name)));
}

export function writeFixture(name: string, text: string): void {
  writeFileSync(join(FIXTURES, name), text);
}
