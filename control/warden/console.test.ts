// The console's log stays bounded, and is read only if it is a log.
import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readConsoleTail, rotateConsoleLog } from './console.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'warden-console-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

describe('readConsoleTail()', () => {
  it('reads the last bytes', async () => {
    writeFileSync(join(dir, 'log'), 'hello world');
    expect(Buffer.from(await readConsoleTail(join(dir, 'log'), 5)).toString()).toBe('world');
    expect(Buffer.from(await readConsoleTail(join(dir, 'log'), 500)).toString()).toBe('hello world');
  });

  it('takes a missing log for an empty one', async () => {
    expect(await readConsoleTail(join(dir, 'log'), 5)).toEqual(new Uint8Array());
  });
});

describe('rotateConsoleLog()', () => {
  it('leaves a log within its bound alone', async () => {
    writeFileSync(join(dir, 'log'), 'x'.repeat(100));
    expect(await rotateConsoleLog(join(dir, 'log'), 100)).toBe(false);
  });

  it('keeps the last part, in the same file, so that an appending writer goes on', async () => {
    const path = join(dir, 'log');
    writeFileSync(path, `${'a'.repeat(200)}${'b'.repeat(100)}`);
    const before = statSync(path).ino;
    expect(await rotateConsoleLog(path, 100)).toBe(true);
    appendFileSync(path, 'c');
    expect(readFileSync(path, 'utf8')).toBe(`${'b'.repeat(100)}c`);
    expect(statSync(path).ino).toBe(before);
  });

  it('never cuts the file that a link leads to', async () => {
    writeFileSync(join(dir, 'other'), 'x'.repeat(200));
    symlinkSync(join(dir, 'other'), join(dir, 'log'));
    await expect(rotateConsoleLog(join(dir, 'log'), 100)).rejects.toThrow('ELOOP');
    expect(statSync(join(dir, 'other')).size).toBe(200);
  });
});
