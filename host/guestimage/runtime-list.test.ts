import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { utf8 } from '@ringwall/bytes';
import { describe, expect, it } from 'vitest';
import type { CpioEntry } from './cpio.ts';
import { packagesByDigest, parseSystemFiles, runtimeFilesOf } from './runtime-list.ts';

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

describe('parseSystemFiles()', () => {
  const digest = 'ab'.repeat(32);
  const versions = new Map([['libc6', '2.36-9']]);
  const lists = 'libc6:amd64.list:/.\nlibc6:amd64.list:/lib/x86_64-linux-gnu/libc.so.6\nbash.list:/bin/bash\n';

  it('joins digests and packages, also where a package names a file by its path before /usr was merged', () => {
    const digests = `${digest}  ./usr/lib/x86_64-linux-gnu/libc.so.6\0${digest}  ./opt/with\nline feed\0`;
    expect(parseSystemFiles(digests, lists, versions)).toEqual([
      {
        path: '/usr/lib/x86_64-linux-gnu/libc.so.6',
        sha256: digest,
        package: { name: 'libc6', version: '2.36-9' },
      },
      { path: '/opt/with\nline feed', sha256: digest, package: undefined },
    ]);
  });

  it('knows no package without its version', () => {
    expect(parseSystemFiles(`${digest}  ./usr/bin/bash\0`, lists, versions)[0]?.package).toBeUndefined();
  });

  it.each(['x', `${digest} /bin/sh`, `\\${digest}  ./bin/sh`, `${digest}  /bin/sh`])('refuses %j', (record) => {
    expect(() => parseSystemFiles(record, '', versions)).toThrow('is no file with its digest');
  });
});
