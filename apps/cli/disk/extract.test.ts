import {
  existsSync,
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  loopedFileSystem,
  memoryFileSystem,
  type MemoryContents,
} from '../../../lib/disk/testing/memory-file-system.ts';
import { extractTree, leadsOut, type Extraction } from './extract.ts';

describe('extractTree()', () => {
  let dir: string;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'ringwall-extract-'));
  });
  afterEach(() => rmSync(dir, { recursive: true }));
  const extract = (files: Readonly<Record<string, MemoryContents>>): Extraction =>
    extractTree(memoryFileSystem(files).root, join(dir, 'out'));

  it('writes files, directories and links that stay inside', () => {
    const done = extract({ '/a/b': 'text', '/a/link': { link: '../c' }, '/c': '' });
    expect(readFileSync(join(dir, 'out/a/b'), 'utf8')).toBe('text');
    expect(readlinkSync(join(dir, 'out/a/link'))).toBe('../c');
    expect(done).toMatchObject({ files: 2, directories: 2, links: 1, bytes: 4, leftOut: [] });
  });

  it('takes neither owners nor set-user-id along', () => {
    extract({ '/a': 'x' });
    expect(statSync(join(dir, 'out/a')).mode & 0o7777).toBe(0o600);
  });

  it.each(['/etc/shadow', '../../x', '..', 'b/../../..', '', 'a/..'])('leaves out a link to %j', (link) => {
    const done = extract({ '/d/link': { link }, '/d/after': 'x' });
    expect(existsSync(join(dir, 'out/d/after'))).toBe(true);
    expect(lstatSync(join(dir, 'out/d/link'), { throwIfNoEntry: false })?.isSymbolicLink() ?? false).toBe(
      link === '..',
    );
    expect(done.leftOutCount).toBe(link === '..' ? 0 : 1);
  });

  it.each(['..', '.', 'a\0b'])('leaves out an entry that is called %j', (name) => {
    const fs = memoryFileSystem({ '/good': 'x' });
    const root = {
      ...fs.root,
      kind: fs.root.kind,
      id: fs.root.id,
      entries: () => [{ name, kind: 'file' as const, id: 9, node: () => fs.root }],
    };
    expect(extractTree(root, join(dir, 'out')).leftOut).toMatchObject([{ reason: 'a name that is a path' }]);
    expect(readdirSync(dir)).toEqual(['out']);
  });

  it('writes nothing through a link of the same name', () => {
    writeFileSync(join(dir, 'victim'), 'whole');
    const fs = memoryFileSystem({ '/x': { link: 'y' }, '/y': 'z' });
    const [link, file] = [...fs.root.entries()];
    if (link === undefined || file === undefined) throw new Error('no entries');
    const root = {
      ...fs.root,
      kind: fs.root.kind,
      id: fs.root.id,
      entries: () => [link, { name: 'x', kind: file.kind, id: file.id, node: () => file.node() }],
    };
    const done = extractTree(root, join(dir, 'out'));
    expect(done.leftOut).toEqual([{ path: 'x', reason: 'a second entry of the same name' }]);
    expect(readFileSync(join(dir, 'victim'), 'utf8')).toBe('whole');
  });

  it('walks a loop once', () => {
    const done = extractTree(loopedFileSystem().root, join(dir, 'out'));
    expect(done.leftOut).toEqual([{ path: 'a/again', reason: 'a directory that holds itself' }]);
  });

  it('touches nothing that is there', () => {
    writeFileSync(join(dir, 'out'), 'mine');
    expect(() => extract({ '/a': 'x' })).toThrow(expect.objectContaining({ code: 'conflict' }));
    expect(readFileSync(join(dir, 'out'), 'utf8')).toBe('mine');
  });
});

describe('leadsOut()', () => {
  it.each([
    ['b', 0],
    ['./b//c', 0],
    ['../b', 1],
    ['../..', 2],
    ['.', 0],
  ])('lets %j stay, %i deep', (target, depth) => {
    expect(leadsOut(target, depth)).toBe(false);
  });

  it.each([
    ['/b', 9],
    ['../b', 0],
    ['../../b', 1],
    // Behind a link to its own directory this leads one further up than it looks.
    ['d/..', 9],
    ['', 9],
  ])('sees that %j leads out, %i deep', (target, depth) => {
    expect(leadsOut(target, depth)).toBe(true);
  });
});
