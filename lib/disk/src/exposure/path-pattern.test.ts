import { describe, expect, test } from 'vitest';
import { indexPaths } from './path-pattern.ts';

function found(
  paths: readonly string[],
  path: string,
  options: { ignoreCase?: boolean; homes?: string[] } = {},
): boolean {
  const index = indexPaths([{ paths }], { ignoreCase: false, ...options });
  return index.find(path.split('/').slice(1)).length > 0;
}

describe('indexPaths()', () => {
  test.each([
    ['/etc/shadow', '/etc/shadow'],
    ['~/.ssh/id_*', '/root/.ssh/id_ed25519'],
    ['~/.ssh/id_*', '/home/ada/.ssh/id_rsa'],
    ['~/.ssh/id_*', '/Users/ada/.ssh/id_rsa'],
    ['**/.aws/credentials', '/srv/a/b/.aws/credentials'],
    ['**/.aws/credentials', '/.aws/credentials'],
    ['**/*.pem', '/a/b/c.pem'],
    ['/var/lib/*/x*y*z', '/var/lib/q/x1y2z'],
  ])('%s means %s', (pattern, path) => {
    expect(found([pattern], path)).toBe(true);
  });

  test.each([
    ['/etc/shadow', '/srv/etc/shadow'],
    ['/etc/shadow', '/etc/shadow/x'],
    ['/etc/shadow', '/etc/SHADOW'],
    ['~/.ssh/id_*', '/home/.ssh/id_rsa'],
    ['~/.ssh/id_*', '/home/a/b/.ssh/id_rsa'],
    ['**/.aws/credentials', '/x.aws/credentials'],
    ['**/*.pem', '/a/pem'],
    ['**/*.pem', '/a/b.pem.txt'],
    ['/a/x.y', '/a/xzy'],
  ])('%s does not mean %s', (pattern, path) => {
    expect(found([pattern], path)).toBe(false);
  });

  test('folds case only where the file system does', () => {
    expect(found(['/Windows/System32/config/SAM'], '/WINDOWS/system32/config/sam', { ignoreCase: true })).toBe(true);
    expect(found(['/Windows/System32/config/SAM'], '/WINDOWS/system32/config/sam')).toBe(false);
  });

  test('knows homes that the accounts name', () => {
    expect(found(['~/.netrc'], '/srv/git/.netrc')).toBe(false);
    expect(found(['~/.netrc'], '/srv/git/.netrc', { homes: ['/srv/git'] })).toBe(true);
  });

  test('names a rule once, however many of its patterns mean a path', () => {
    const rule = { paths: ['**/a', '/a', '**/a*'] };
    expect(indexPaths([rule], { ignoreCase: false }).find(['a'])).toEqual([rule]);
  });

  test('may mean each name that a pattern ends with, and no other', () => {
    const index = indexPaths([{ paths: ['/etc/a+b', '~/.x_*', '**/*.k*y'] }], { ignoreCase: true });
    for (const name of ['a+b', 'A+B', '.x_', '.x_1', '.key', 'a.kX\ny']) expect(index.mayMean(name), name).toBe(true);
    for (const name of ['aab', 'a+bc', 'x_1', '.ke', '']) expect(index.mayMean(name), name).toBe(false);
  });

  test('is not slowed down by a name that nearly matches', () => {
    const index = indexPaths([{ paths: ['**/*a*a*a*b'] }], { ignoreCase: false });
    expect(index.find(['a'.repeat(255)])).toEqual([]);
    expect(index.find(['a'.repeat(100_000)])).toEqual([]);
  });
});
