// Small images made by real tools (make-fixtures.ts).
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';

export const FIXTURES: string = join(import.meta.dirname, '..', 'fixtures');

/** The image `name`, in memory of its own. */
export function fixture(name: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(gunzipSync(readFileSync(join(FIXTURES, `${name}.gz`))));
}
