import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { makePrivateDirectory, readFileBounded, removeUnfinished, writeFileAtomic } from './index.ts';

let directory = '';
beforeEach(() => (directory = mkdtempSync(join(tmpdir(), 'files-'))));
afterEach(() => rmSync(directory, { recursive: true, force: true }));

describe('writeFileAtomic()', () => {
  test('replaces the content and sets the mode, whatever the umask', async () => {
    const path = join(directory, 'a');
    const umask = process.umask(0o077);
    try {
      await writeFileAtomic(path, 'one');
      expect(statSync(path).mode & 0o777).toBe(0o600);
      await writeFileAtomic(path, 'two', 0o644);
    } finally {
      process.umask(umask);
    }
    expect(readFileSync(path, 'utf8')).toBe('two');
    expect(statSync(path).mode & 0o777).toBe(0o644);
    expect(readdirSync(directory)).toEqual(['a']);
  });

  test('leaves the old content and no rubbish when it fails', async () => {
    const path = join(directory, 'a');
    mkdirSync(path);
    await expect(writeFileAtomic(path, 'x')).rejects.toThrow('EISDIR');
    expect(readdirSync(directory)).toEqual(['a']);
  });

  test('replaces a symbolic link and does not write through it', async () => {
    const path = join(directory, 'link');
    writeFileSync(join(directory, 'target'), 'precious');
    symlinkSync(join(directory, 'target'), path);
    await writeFileAtomic(path, 'new');
    expect(readFileSync(join(directory, 'target'), 'utf8')).toBe('precious');
    expect(readFileSync(path, 'utf8')).toBe('new');
  });
});

describe('readFileBounded()', () => {
  test('reads a file, says undefined for none, refuses large ones, links and directories', async () => {
    const path = join(directory, 'a');
    expect(await readFileBounded(path, 10)).toBeUndefined();
    writeFileSync(path, '0123456789');
    expect(await readFileBounded(path, 10)).toHaveLength(10);
    await expect(readFileBounded(path, 9)).rejects.toMatchObject({ code: 'too-large' });
    symlinkSync(path, join(directory, 'link'));
    await expect(readFileBounded(join(directory, 'link'), 10)).rejects.toMatchObject({ code: 'conflict' });
    await expect(readFileBounded(directory, 10)).rejects.toMatchObject({ code: 'conflict' });
  });
});

describe('makePrivateDirectory()', () => {
  test('makes it for this user alone, and refuses one that is open to others', async () => {
    const path = join(directory, 'd');
    await makePrivateDirectory(path);
    await makePrivateDirectory(path);
    expect(statSync(path).mode & 0o777).toBe(0o700);
    chmodSync(path, 0o750);
    await expect(makePrivateDirectory(path)).rejects.toMatchObject({ code: 'conflict' });
    writeFileSync(join(directory, 'f'), '');
    await expect(makePrivateDirectory(join(directory, 'f'))).rejects.toMatchObject({ code: 'conflict' });
  });
});

describe('removeUnfinished()', () => {
  test('removes only what was being written for that file', async () => {
    for (const name of ['a', 'a.unfinished-0123456789abcdef', 'b.unfinished-0123456789abcdef', 'a.unfinished-x']) {
      writeFileSync(join(directory, name), '');
    }
    await removeUnfinished(join(directory, 'a'));
    expect(readdirSync(directory).toSorted()).toEqual(['a', 'a.unfinished-x', 'b.unfinished-0123456789abcdef']);
  });
});
