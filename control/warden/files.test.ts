// A full disk is explained, and files in a directory that somebody hostile may write to.
import { linkSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execFileSync } from 'node:child_process';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { fullOr, openNoFollow } from './files.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'warden-files-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

describe('fullOr()', () => {
  it('says of a full disk what to do', () => {
    const error = Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
    expect(fullOr(error)).toMatchObject({ code: 'host-full', hint: expect.stringContaining('make room') });
  });

  it('leaves any other error as it is', () => {
    const error = new Error('EIO');
    expect(fullOr(error)).toBe(error);
  });
});

describe('openNoFollow()', () => {
  const secret = (): string => {
    const path = join(dir, 'secret');
    writeFileSync(path, 'of another machine');
    return path;
  };

  it('refuses a symbolic link', async () => {
    symlinkSync(secret(), join(dir, 'log'));
    await expect(openNoFollow(join(dir, 'log'))).rejects.toThrow('ELOOP');
  });

  it('refuses a second name of another file', async () => {
    linkSync(secret(), join(dir, 'log'));
    await expect(openNoFollow(join(dir, 'log'))).rejects.toMatchObject({ code: 'conflict' });
  });

  it('refuses a FIFO, and does not wait for its writer', async () => {
    execFileSync('/usr/bin/mkfifo', [join(dir, 'log')]);
    await expect(openNoFollow(join(dir, 'log'))).rejects.toMatchObject({ code: 'conflict' });
  });
});
