import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { guestScriptsDigest } from './guest-scripts.ts';

describe('guestScriptsDigest()', () => {
  let dir: string;
  const write = (path: string, content: string): void => {
    mkdirSync(join(dir, path, '..'), { recursive: true });
    writeFileSync(join(dir, path), content);
  };

  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'ringwall-scripts-'));
    write('common/button', 'off');
    write('initrd/init', 'start');
    write('hello/start', 'hello');
    write('debian/etc/start', 'debian');
  });
  afterEach(() => rmSync(dir, { recursive: true }));

  it.each([
    ['a script that every image has', 'common/button'],
    ['the initrd', 'initrd/init'],
    ['a script of its own', 'hello/start'],
    ['a script more', 'hello/more'],
  ])('is another one after a change of %s', async (_, path) => {
    const before = await guestScriptsDigest(dir, 'hello');
    write(path, 'changed');
    expect(await guestScriptsDigest(dir, 'hello')).not.toBe(before);
  });

  it('is the same wherever the scripts lie, and after a change of another image', async () => {
    const before = await guestScriptsDigest(dir, 'hello');
    write('debian/etc/start', 'changed');
    expect(await guestScriptsDigest(dir, 'hello')).toBe(before);
  });

  it('tells a script that moved', async () => {
    write('hello/a', 'x');
    const before = await guestScriptsDigest(dir, 'hello');
    rmSync(join(dir, 'hello/a'));
    write('hello/b', 'x');
    expect(await guestScriptsDigest(dir, 'hello')).not.toBe(before);
  });
});
