// A full disk is explained, and a directory is root's or nothing.
import { chownSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { fullOr, makeDirectory } from './index.ts';

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

describe('makeDirectory()', () => {
  it('gives the mode that was asked for, whatever the umask', async () => {
    const before = process.umask(0o077);
    try {
      await makeDirectory(join(dir, 'a'), 0o711);
      await makeDirectory(join(dir, 'a'), 0o711);
    } finally {
      process.umask(before);
    }
    expect(statSync(join(dir, 'a')).mode & 0o777).toBe(0o711);
  });

  it('refuses a link in its place', async () => {
    symlinkSync('/etc', join(dir, 'a'));
    await expect(makeDirectory(join(dir, 'a'), 0o711)).rejects.toMatchObject({ code: 'conflict' });
  });

  it.skipIf(process.getuid?.() !== 0)('refuses a directory of somebody else', async () => {
    mkdirSync(join(dir, 'a'));
    chownSync(join(dir, 'a'), 65534, 65534);
    await expect(makeDirectory(join(dir, 'a'), 0o711)).rejects.toMatchObject({ code: 'conflict' });
  });
});
