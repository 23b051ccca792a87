import { ParseError } from '@ringwall/bytes';
import { describe, expect, test } from 'vitest';
import { CANARY, EXAMPLES } from '../../testing/exposed-files.ts';
import {
  loopedFileSystem,
  memoryFileSystem,
  type MemoryContents,
  type MemoryOptions,
} from '../../testing/memory-file-system.ts';
import { FileContent, HEAD_BYTES } from './file-content.ts';
import { inspectFiles, type FilesReport } from './inspect-files.ts';
import { EXPOSURE_RULES } from './rules/index.ts';

function inspect(files: Readonly<Record<string, MemoryContents>>, options: MemoryOptions = {}): FilesReport {
  const text = (path: string): string | undefined => {
    const contents = files[path];
    return typeof contents === 'string' ? contents : undefined;
  };
  return inspectFiles(memoryFileSystem(files, options), { readText: text });
}

const ids = ({ finds }: FilesReport): string[] => finds.map(({ rule }) => rule.id).toSorted();

describe('the rules of exposure', () => {
  test('have an example each, and an id of their own', () => {
    const examples = new Set(EXAMPLES.map(({ rule }) => rule));
    expect(EXPOSURE_RULES.map(({ id }) => id).filter((id) => !examples.has(id))).toEqual([]);
    expect(new Set(EXPOSURE_RULES.map(({ id }) => id)).size).toBe(EXPOSURE_RULES.length);
  });

  test('give a reason, a worth within bounds and a reference that can be looked up', () => {
    for (const { id, reason, worth, references } of EXPOSURE_RULES) {
      expect(worth, id).toBeGreaterThan(0);
      expect(worth, id).toBeLessThanOrEqual(90);
      expect(reason, id).toMatch(/^\S.{20,200}[^.]$/);
      expect(references.length, id).toBeGreaterThan(0);
      for (const reference of references) expect(reference, id).toMatch(/^(?:CWE-\d+|ATT&CK T\d{4}(?:\.\d{3})?)$/);
    }
  });

  test.each(EXAMPLES)('$rule: finds $found.0', ({ rule, found: [path, contents] }) => {
    expect(ids(inspect({ [path]: contents }))).toContain(rule);
  });

  test.each(EXAMPLES)('$rule: passes over $passed.0', ({ rule, passed: [path, contents] }) => {
    expect(ids(inspect({ [path]: contents }))).not.toContain(rule);
  });

  test('never repeat a part of a secret', () => {
    const report = JSON.stringify(inspect(Object.fromEntries(EXAMPLES.map(({ found }) => found))).finds);
    for (let at = 0; at + 8 <= CANARY.length; at += 1) expect(report).not.toContain(CANARY.slice(at, at + 8));
  });

  test.each([
    ['spaces', ' '],
    ['tabs and no line end', 'password\t\t\t\t'],
    ['words', 'a'],
    ['line ends', '\n'],
    ['beginnings of keys', '-----BEGIN '],
    ['nearly secrets', 'export A_PASSWORD_'],
    ['nearly statements', 'COPY '],
    ['colons', 'a:'],
    ['quotes and spaces', '"token" :  "'],
    ['a name, then spaces', `psk${' '.repeat(200)}`],
  ])('take no longer for a file of %s', (_, unit) => {
    const head = new TextEncoder().encode(unit.repeat(HEAD_BYTES)).slice(0, HEAD_BYTES);
    const judge = (): unknown => EXPOSURE_RULES.map(({ recognise }) => recognise?.(new FileContent(head.length, head)));
    expect(judge).not.toThrow();
  });
});

describe('inspectFiles()', () => {
  test('names system, accounts and what it counted', () => {
    const report = inspect({
      '/etc/os-release': 'NAME=Debian\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\n',
      '/etc/hostname': 'web\n',
      '/etc/passwd': 'root:x:0:0:root:/root:/bin/bash\n',
      '/etc/shadow': 'root:$6$a$b:1::\n',
    });
    expect(report.system).toEqual({ name: 'Debian GNU/Linux 12 (bookworm)', family: 'linux', hostname: 'web' });
    expect(report.accounts).toMatchObject([{ name: 'root', canLogIn: true }]);
    expect([report.files, report.directories]).toEqual([4, 2]);
  });

  test('looks in the homes that accounts name', () => {
    const files = { '/etc/passwd': 'git:x:9:9::/srv/git:/bin/sh\n', '/srv/git/.netrc': 'password x\n' };
    expect(ids(inspect(files))).toEqual(['netrc']);
  });

  test('folds case where the file system does', () => {
    expect(ids(inspect({ '/WINDOWS/system32/CONFIG/sam': 'regf' }, { kind: 'ntfs' }))).toEqual(['windows-accounts']);
  });

  test('finds deleted files by what is in them, or by their name', () => {
    const deleted = [
      { contents: '-----BEGIN PRIVATE KEY-----\n' },
      { name: 'backup.sql', contents: 'CREATE TABLE x' },
      { contents: 'a letter' },
    ];
    const { finds } = inspect({}, { deleted });
    expect(finds.map(({ rule, deleted: gone }) => [rule.id, gone])).toEqual([
      ['private-key', true],
      ['database-dump', true],
    ]);
  });

  test('works where directories do not say what their entries are', () => {
    const report = inspect({ '/root/.netrc': 'password x\n', '/a/b/c': '' }, { withoutKinds: true });
    expect(ids(report)).toEqual(['netrc']);
    expect([report.files, report.directories]).toEqual([2, 4]);
  });

  test('follows no link, and walks a loop once', () => {
    expect(ids(inspect({ '/root/.netrc': { link: '/etc/shadow' } }))).toEqual([]);
    expect(inspectFiles(loopedFileSystem(), { readText: () => undefined }).directories).toBe(2);
  });

  test('names what is damaged, and goes on', () => {
    const broken = new ParseError('invalid', 'ee_block', 4096, '7, expected 3');
    const report = inspect({ '/etc/shadow-': { broken }, '/root/.netrc': 'password x\n' });
    expect(report.damages).toEqual([{ path: '/etc/shadow-', message: 'ee_block 7, expected 3' }]);
    expect(ids(report)).toEqual(['netrc']);
  });

  test('hides no error of its own', () => {
    expect(() => inspect({ '/etc/shadow-': { broken: new TypeError('ours') } })).toThrow('ours');
  });

  test('lists so many of one kind, and counts the rest', () => {
    const files = Object.fromEntries(
      Array.from({ length: 250 }, (_, index) => [`/srv/${String(index)}/.env`, 'A_SECRET=abcdefgh\n']),
    );
    const report = inspect(files);
    expect(report.finds).toHaveLength(200);
    expect([...report.more]).toEqual([['application-secrets', 50]]);
  });
});
