import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { run } from '../exec/index.ts';
import { reseedProgram } from './reseed-program.ts';

const [EPERM, ENOTTY] = [1, 25];

test('reseedProgram() asks the device that is its input, and ends with what the kernel answers', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'ringwall-reseed-'));
  try {
    const program = join(directory, 'reseed');
    writeFileSync(program, reseedProgram(), { mode: 0o755 });
    const ask = async (device: string): Promise<number> =>
      (await run(['/bin/sh', '-c', `exec "$0" <${device}`, program])).code;
    expect(await ask('/dev/null')).toBe(ENOTTY);
    // New keys for this host's random numbers hurt nobody.
    expect([0, EPERM]).toContain(await ask('/dev/urandom'));
  } finally {
    rmSync(directory, { recursive: true });
  }
});
