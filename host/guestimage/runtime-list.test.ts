import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { utf8 } from '@ringwall/bytes';
import { describe, expect, it } from 'vitest';
import type { CpioEntry } from './cpio.ts';
import { packagesByDigest, runtimeFilesIn, runtimeFilesOf } from './runtime-list.ts';

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
const file = (path: string, mode: number, content: string): CpioEntry => ({
  kind: 'file',
  path,
  mode,
  content: utf8(content),
});
const BUSYBOX = { name: 'busybox-static', version: '1:1.35.0-4' };

describe('runtimeFilesOf()', () => {
  it('lists what has an execute bit, is ELF, or is a script, with its package', () => {
    const entries: readonly CpioEntry[] = [
      file('bin/busybox', 0o755, 'busybox'),
      file('lib/modules/dm-mod.ko', 0o644, '\u007fELF…'),
      file('lib/x', 0o644, '#!/bin/sh'),
      file('etc/passwd', 0o644, 'root'),
      file('lib/y', 0o644, '\u007fEL'),
      { kind: 'link', path: 'bin/sh', target: 'busybox' },
      { kind: 'directory', path: 'dev', mode: 0o755 },
    ];
    expect(runtimeFilesOf(entries, new Map([[sha256('busybox'), BUSYBOX]]))).toEqual([
      { path: '/bin/busybox', sha256: sha256('busybox'), package: BUSYBOX },
      { path: '/lib/modules/dm-mod.ko', sha256: sha256('\u007fELF…'), package: undefined },
      { path: '/lib/x', sha256: sha256('#!/bin/sh'), package: undefined },
    ]);
  });
});

describe('packagesByDigest()', () => {
  it('finds the package of a file by its content, and follows no link', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'ringwall-runtime-'));
    try {
      await mkdir(join(directory, 'bin'));
      await writeFile(join(directory, 'bin/busybox'), 'busybox', { mode: 0o755 });
      await writeFile(join(directory, 'bin/readme'), 'text', { mode: 0o644 });
      await symlink('/bin/ls', join(directory, 'bin/ls'));
      const paths = ['./bin/busybox', './bin/readme', './bin/ls'];
      const found = await packagesByDigest([{ ...BUSYBOX, directory, paths }]);
      expect([...found]).toEqual([[sha256('busybox'), BUSYBOX]]);
    } finally {
      await rm(directory, { recursive: true });
    }
  });
});

describe('runtimeFilesIn()', () => {
  it('lists what may run, with its package, also where that names it by its path before /usr was merged', async () => {
    const tree = await mkdtemp(join(tmpdir(), 'ringwall-runtime-'));
    try {
      await mkdir(join(tree, 'usr/lib'), { recursive: true });
      await mkdir(join(tree, 'var/lib/dpkg/info'), { recursive: true });
      await writeFile(join(tree, 'usr/lib/libc.so.6'), '\u007fELF…', { mode: 0o644 });
      await writeFile(join(tree, 'usr/lib/script'), '#!/bin/sh', { mode: 0o755 });
      await writeFile(join(tree, 'usr/lib/data'), 'data', { mode: 0o644 });
      await symlink('/etc/shadow', join(tree, 'usr/lib/link'));
      await symlink('usr/lib', join(tree, 'lib'));
      await symlink('/bin', join(tree, 'usr/outside'));
      await writeFile(join(tree, 'var/lib/dpkg/info/libc6:amd64.list'), '/.\n/lib/libc.so.6\n');
      await writeFile(join(tree, 'var/lib/dpkg/info/gone.list'), '/usr/lib/script\n');
      const files = await runtimeFilesIn(tree, new Map([['libc6', '2.36-9']]));
      expect(files.toSorted((a, b) => (a.path < b.path ? -1 : 1))).toEqual([
        { path: '/usr/lib/libc.so.6', sha256: sha256('\u007fELF…'), package: { name: 'libc6', version: '2.36-9' } },
        { path: '/usr/lib/script', sha256: sha256('#!/bin/sh'), package: undefined },
      ]);
    } finally {
      await rm(tree, { recursive: true });
    }
  });
});
