import { ParseError } from '@ringwall/bytes';
import { expect, it } from 'vitest';
import { memoryFileSystem } from '../../../lib/disk/testing/memory-file-system.ts';
import { compareTrees } from './difference.ts';

it('compareTrees() names what came, went and changed', () => {
  const broken = new ParseError('invalid', 'extent', 0, 'is broken');
  const before = memoryFileSystem({
    '/same': 'x',
    '/gone/a': 'x',
    '/text': 'abc',
    '/link': { link: 'a' },
    '/kind': 'x',
    '/dir/deep': 'x',
    '/bad': { broken },
  });
  const after = memoryFileSystem({
    '/same': 'x',
    '/new/a': 'x',
    '/text': 'abd',
    '/link': { link: 'b' },
    '/kind/x': 'x',
    '/dir/deep': 'yy',
    '/bad': { broken },
  });
  expect([...compareTrees(before.root, after.root)].map(({ path, change, what }) => [path, change, ...what])).toEqual([
    ['/bad', 'unreadable', 'extent is broken'],
    ['/dir/deep', 'changed', 'contents'],
    ['/gone', 'removed'],
    ['/kind', 'changed', 'file → directory'],
    ['/link', 'changed', 'target'],
    ['/new', 'added'],
    ['/text', 'changed', 'contents'],
  ]);
});
