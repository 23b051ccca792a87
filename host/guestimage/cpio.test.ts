import { existsSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { run } from '../exec/index.ts';
import { writeCpio, type CpioEntry } from './cpio.ts';

const text = (content: string): Uint8Array => new TextEncoder().encode(content);
const ENTRIES: CpioEntry[] = [
  { kind: 'file', path: 'b/c', mode: 0o644, content: text('hello') },
  { kind: 'link', path: 'a', target: 'b/c' },
  { kind: 'directory', path: 'd', mode: 0o700 },
];

describe('writeCpio()', () => {
  it('writes the bytes of the newc format', () => {
    const readable = Buffer.from(writeCpio(ENTRIES)).toString('latin1').replaceAll('\0', '.');
    const member = (inode: number, mode: string, size: number, nameBytes: number, rest: string): string => {
      const hex = (value: number): string => value.toString(16).toUpperCase().padStart(8, '0');
      const [owner, links, time, devices, checksum] = [hex(0) + hex(0), hex(1), hex(0), hex(0).repeat(4), hex(0)];
      return `070701${hex(inode)}${mode}${owner}${links}${time}${hex(size)}${devices}${hex(nameBytes)}${checksum}${rest}`;
    };
    expect(readable).toBe(
      [
        member(1, '0000A1FF', 3, 2, 'a.b/c.'),
        member(2, '000041ED', 0, 2, 'b.'),
        member(3, '000081A4', 5, 4, 'b/c...hello...'),
        member(4, '000041C0', 0, 2, 'd.'),
        member(0, '00000000', 0, 11, 'TRAILER!!!....'),
      ].join(''),
    );
  });

  it('is the same in whatever order the entries come', () => {
    expect(Buffer.from(writeCpio(ENTRIES.toReversed())).equals(writeCpio(ENTRIES))).toBe(true);
  });

  it.each(['', '/etc', '../etc', 'a/../b', 'a//b', './a', 'a/', 'a\0b', 'TRAILER!!!'])(
    'refuses the path %j',
    (path) => {
      expect(() => writeCpio([{ kind: 'directory', path, mode: 0o755 }])).toThrow(/is no path for an archive/);
    },
  );

  it('refuses two entries of one name, and a file that has entries in it', () => {
    const file: CpioEntry = { kind: 'file', path: 'a', mode: 0o644, content: text('') };
    expect(() => writeCpio([file, file])).toThrow('two entries for a in one archive');
    expect(() => writeCpio([file, { ...file, path: 'a/b' }])).toThrow('a is not a directory');
  });

  it.skipIf(!existsSync('/usr/bin/cpio'))(
    'is read back by cpio (skipped: needs cpio, where it is missing)',
    async () => {
      const listed = await run(['/usr/bin/cpio', '--list', '--quiet'], { input: writeCpio(ENTRIES) });
      expect(listed.stdout.toString()).toBe('a\nb\nb/c\nd\n');
    },
  );
});
