import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';

/** Writes half a file, and waits for more to come. */
const HALF = `
  import { openOutput } from ${JSON.stringify(join(import.meta.dirname, 'ends.ts'))};
  const output = await openOutput(process.argv[1]);
  await output.write(Buffer.alloc(1000));
  setInterval(() => {}, 1000);
`;

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'ringwall-interrupted-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

test.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)(
  'a program that is ended by %s leaves no half file',
  async (signal) => {
    const argv = ['--conditions=ringwall-source', '--input-type=module', '-e', HALF, join(dir, 'sealed')];
    const child = spawn(process.execPath, argv, { stdio: ['ignore', 'ignore', 'inherit'] });
    const exit = once(child, 'exit');
    while (readdirSync(dir).length === 0) await sleep(20);
    child.kill(signal);
    expect((await exit)[1]).toBe(signal);
    expect(readdirSync(dir)).toEqual([]);
  },
);
