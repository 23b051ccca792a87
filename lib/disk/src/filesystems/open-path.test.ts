import { describe, expect, test } from 'vitest';
import { memoryFileSystem } from '../../testing/memory-file-system.ts';
import { openPath, readTextAt } from './open-path.ts';

const fs = memoryFileSystem({
  '/etc/os-release': { link: '../usr/lib/os-release' },
  '/usr/lib/os-release': 'here',
  '/etc/absolute': { link: '/usr/lib/os-release' },
  '/etc/out': { link: '../../../../usr/lib/os-release' },
  '/lib': { link: 'usr/lib' },
  '/loop': { link: 'loop' },
  '/a': { link: 'b' },
  '/b': { link: 'a' },
  '/deep': { link: 'deep/deep' },
  '/nowhere': { link: '/none' },
  '/empty': { link: '' },
});

describe('openPath()', () => {
  test.each([
    '/usr/lib/os-release',
    'usr//lib/./os-release',
    '/etc/os-release',
    '/etc/absolute',
    '/etc/out',
    '/lib/os-release',
    '/lib/../lib/os-release',
    '/../../etc/../lib/os-release',
  ])('finds one file by %s', (path) => {
    expect(openPath(fs, path).id).toBe(openPath(fs, '/usr/lib/os-release').id);
  });

  test('goes up from where a link has led, as Unix does', () => {
    expect(openPath(fs, '/lib/..').id).toBe(openPath(fs, '/usr').id);
  });

  test('gives the link itself where it is asked for', () => {
    expect(openPath(fs, '/etc/os-release', { followLast: false }).target()).toBe('../usr/lib/os-release');
    expect(openPath(fs, '/lib/os-release', { followLast: false }).kind).toBe('file');
  });

  test.each([
    ['/none', 'not-found'],
    ['/nowhere', 'not-found'],
    ['/empty', 'not-found'],
    ['/usr/lib/os-release/x', 'wrong-kind'],
    ['/loop', 'limit'],
    ['/a', 'limit'],
    ['/deep', 'limit'],
  ])('refuses %s: %s', (path, code) => {
    expect(() => openPath(fs, path)).toThrow(expect.objectContaining({ name: 'DiskError', code }));
  });
});

describe('readTextAt()', () => {
  test('reads a small file through links, and nothing else', () => {
    expect(readTextAt(fs, '/etc/os-release', 4)).toBe('here');
    expect(readTextAt(fs, '/etc/os-release', 3)).toBeUndefined();
    expect(readTextAt(fs, '/etc', 99)).toBeUndefined();
    expect(readTextAt(fs, '/none', 99)).toBeUndefined();
  });
});
