// `ringwall up` where nothing of Ringwall is yet: the services come up, one that dies is started again, and ctrl-C ends all of them.
import { spawn, type ChildProcess } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { BUNDLED_COMMAND } from '@ringwall/testkit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const IS_ROOT = process.getuid?.() === 0;
const LISTENS = /^(\w+) .*listens on .* \(pid (\d+)\)$/gm;

describe.skipIf(!IS_ROOT)(`ringwall up${IS_ROOT ? '' : ' (skipped: needs root)'}`, () => {
  let directory: string;
  let up: ChildProcess;
  let ended: Promise<number | null>;
  let said = '';

  const pids = (): readonly [service: string, pid: number][] =>
    Array.from(said.matchAll(LISTENS), ([, service = '', pid]) => [service, Number(pid)]);

  beforeAll(() => {
    // Its services' users pass through it.
    directory = mkdtempSync('/var/tmp/ringwall-up-');
    chmodSync(directory, 0o755);
    const [file = '', ...rest] = BUNDLED_COMMAND;
    up = spawn(file, [...rest, 'up'], {
      env: {
        PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
        HOME: directory,
        RINGWALL_STATE: join(directory, 'state'),
        RINGWALL_RUN: join(directory, 'run'),
        NO_COLOR: '1',
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const output of [up.stdout, up.stderr])
      output?.setEncoding('utf8').on('data', (text: string) => (said += text));
    ended = new Promise((resolve) => up.once('close', resolve));
  });

  afterAll(async () => {
    up.kill('SIGINT');
    await ended;
    rmSync(directory, { recursive: true });
  });

  test('makes what the services need, and says where they listen', async () => {
    await expect.poll(() => said).toContain('All three answer.');
    expect(pids().map(([service]) => service)).toHaveLength(3);
  });

  test('starts one again that died', async () => {
    const [first] = pids();
    if (first === undefined) throw new Error(`nothing listens: ${said}`);
    const [service, pid] = first;
    process.kill(pid, 'SIGKILL');
    await expect.poll(() => said).toContain('ended with SIGKILL; starting it again');
    await expect.poll(() => pids().filter(([other]) => other === service)).toHaveLength(2);
  });

  test('ends all of them with ctrl-C', async () => {
    const started = pids().map(([, pid]) => pid);
    up.kill('SIGINT');
    expect(await ended).toBe(0);
    expect(said).toContain('machines go on');
    expect(started.filter((pid) => existsSync(`/proc/${String(pid)}`))).toEqual([]);
    expect(readdirSync(join(directory, 'run')).filter((name) => name.endsWith('.sock'))).toEqual([]);
  });
});
