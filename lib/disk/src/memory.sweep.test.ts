// Bad input, by what it costs: disks that were made to take memory or time, each read in a process of its own.
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { HOSTILE_DISKS } from '../testing/hostile-disks.ts';

const WORK = join(import.meta.dirname, '../testing/hostile-work.ts');
/** What any image may cost, beyond the process itself. */
const MAX_GROWN_BYTES = 128_000_000;
/** Each ends within some seconds; what has no end is found all the same. */
const TIMEOUT_MS = 300_000;
const CLEAR_REFS = '/proc/self/clear_refs';

describe.skipIf(!existsSync(CLEAR_REFS))('a disk that asks for too much (skipped: needs Linux)', () => {
  test.concurrent.for(Object.keys(HOSTILE_DISKS))('%s costs less than 128 MB', async (name) => {
    const argv = ['--conditions=ringwall-source', '--expose-gc', WORK, name];
    const { stdout } = await promisify(execFile)(process.execPath, argv, { timeout: TIMEOUT_MS });
    const { grownBytes }: { readonly grownBytes: number } = JSON.parse(stdout);
    expect(grownBytes).toBeLessThan(MAX_GROWN_BYTES);
  });
});
