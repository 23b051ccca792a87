// Starts real processes of the host, all of them short.
import { once } from 'node:events';
import { mkdtemp, open, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { isAlive, killProcess, readStat, run, socketPair, spawnDetached, waitForExit } from './index.ts';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'ringwall-exec-'));
});
afterEach(async () => {
  await rm(dir, { recursive: true });
});

describe('run()', () => {
  test('gives a child an empty environment, and only what it is given', async () => {
    expect((await run(['/usr/bin/env'])).stdout.toString()).toBe('');
    expect((await run(['/usr/bin/env'], { env: { A: '1' } })).stdout.toString()).toBe('A=1\n');
  });

  test('passes input, and answers status and output', async () => {
    const result = await run(['/bin/sh', '-c', 'cat; echo oops >&2; exit 3'], { input: 'hello' });
    expect([result.code, result.stdout.toString(), result.stderr.toString()]).toEqual([3, 'hello', 'oops\n']);
  });

  test('passes input as it comes, while the program answers', async () => {
    const inputStream = new PassThrough();
    const said: string[] = [];
    const onOutput = (chunk: Uint8Array): void => {
      said.push(Buffer.from(chunk).toString());
      if (said.length === 2) inputStream.end();
      else inputStream.write('two\n');
    };
    inputStream.write('one\n');
    const script = 'while read -r line; do echo "$line"; done';
    expect((await run(['/bin/sh', '-c', script], { inputStream, onOutput })).code).toBe(0);
    expect(said).toEqual(['one\n', 'two\n']);
  });

  test('kills the whole group when the time is over', async () => {
    const file = join(dir, 'pid');
    const script = `sleep 3600 & echo $! > ${file}; wait`;
    // On a busy host the first time is over before the shell has written.
    let pid = 0;
    for (let timeoutMs = 300; pid === 0 && timeoutMs < 60_000; timeoutMs *= 3) {
      await expect(run(['/bin/sh', '-c', script], { timeoutMs })).rejects.toMatchObject({ code: 'timeout' });
      pid = Number(await readFile(file, 'utf8').catch(() => ''));
    }
    expect(pid).toBeGreaterThan(0);
    expect(readStat(pid)?.state ?? 'gone').toMatch(/gone|Z/);
  });

  test('ends a program that writes without end', async () => {
    await expect(run(['/usr/bin/yes'], { maxOutputBytes: 100_000 })).rejects.toMatchObject({ code: 'too-large' });
  });

  test('refuses a relative path and says what is not installed', async () => {
    await expect(run(['true'])).rejects.toMatchObject({ code: 'internal' });
    await expect(run(['/usr/bin/no-such-program'])).rejects.toMatchObject({
      code: 'host-lacks',
      message: '/usr/bin/no-such-program is not installed',
    });
  });

  test('can be cancelled', async () => {
    const abort = new AbortController();
    setTimeout(() => abort.abort(), 50);
    await expect(run(['/bin/sleep', '60'], { signal: abort.signal })).rejects.toMatchObject({ code: 'timeout' });
  });
});

describe('spawnDetached()', () => {
  test('hands over bytes, sockets and files by number, in a session of its own', async () => {
    await using log = await open(join(dir, 'log'), 'w');
    await using file = await open('/etc/hostname', 'r');
    const [ours, theirs] = await socketPair(dir);
    const script = 'cat <&5; cat <&3 >&4; exec sleep 60';
    const child = await spawnDetached(['/bin/sh', '-c', script], {
      logFd: log.fd,
      env: { PATH: '/usr/bin:/bin' },
      descriptors: [
        { kind: 'bytes', bytes: new TextEncoder().encode('secret') },
        { kind: 'socket', socket: theirs },
        { kind: 'file', fd: file.fd },
      ],
    });
    try {
      const [chunk] = await once(ours.resume(), 'data');
      expect(String(chunk)).toBe('secret');
      expect(isAlive(child)).toBe(true);
      const session = (await readFile(`/proc/${child.pid}/stat`, 'utf8')).split(') ')[1]?.split(' ')[3];
      expect(Number(session)).toBe(child.pid);
      expect(await readFile(join(dir, 'log'), 'utf8')).toContain(await readFile('/etc/hostname', 'utf8'));
    } finally {
      ours.destroy();
      expect(await killProcess(child)).toBe(true);
    }
    expect(await child.exited).toEqual({ code: undefined, signal: 'SIGKILL' });
    expect(isAlive(child)).toBe(false);
  });

  test('says what is not installed', async () => {
    await using log = await open(join(dir, 'log'), 'w');
    await expect(spawnDetached(['/usr/bin/no-such-program'], { logFd: log.fd })).rejects.toMatchObject({
      code: 'host-lacks',
    });
  });

  test('notices an end', async () => {
    await using log = await open(join(dir, 'log'), 'w');
    const child = await spawnDetached(['/bin/sh', '-c', 'exit 4'], { logFd: log.fd });
    expect(await child.exited).toEqual({ code: 4, signal: undefined });
    expect(await waitForExit(child, 60_000)).toBe(true);
  });
});

test('socketPair() leaves no name behind', async () => {
  const [a, b] = await socketPair(dir);
  expect(await readdir(dir)).toEqual([]);
  a.destroy();
  b.destroy();
});
