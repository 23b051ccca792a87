import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { ParseError, utf8 } from '@ringwall/bytes';
import { array, assert, constantFrom, nat, property, tuple } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MAX_PAX_BYTES, parsePax } from './pax.ts';
import { pathFromRoot, type TarEntry } from './tar-entry.ts';
import { openTarReader } from './tar-reader.ts';

const FIXTURES = join(import.meta.dirname, '../../fixtures/tar');
const fixture = (name: string): Uint8Array =>
  new Uint8Array(gunzipSync(readFileSync(join(FIXTURES, `${name}.tar.gz`))));

interface Seen extends TarEntry {
  readonly content: string;
}

function read(archive: Uint8Array, chunkBytes = archive.length): readonly Seen[] {
  const seen: (TarEntry & { content: string })[] = [];
  const decoder = new TextDecoder();
  const reader = openTarReader({
    entry: (entry) => {
      const kept = { ...entry, content: '' };
      seen.push(kept);
      const take = (chunk: Uint8Array): void => {
        kept.content += decoder.decode(chunk);
      };
      return { bytes: Infinity, take };
    },
  });
  for (let at = 0; at < archive.length; at += Math.max(1, chunkBytes))
    reader.push(archive.subarray(at, at + Math.max(1, chunkBytes)));
  reader.end();
  return seen;
}

function outcomeOf(archive: Uint8Array): readonly Seen[] | 'refused' {
  try {
    return read(archive);
  } catch (error) {
    if (error instanceof ParseError) return 'refused';
    throw error;
  }
}

interface Made {
  readonly name: string;
  readonly type?: string;
  readonly content?: string;
  readonly link?: string;
  readonly size?: number;
  readonly sizeText?: string;
}

/** An archive of entries as an attacker would write them. */
function make(...entries: readonly Made[]): Uint8Array {
  const blocks = entries.flatMap(({ name, type = '0', content = '', link = '', size, sizeText }) => {
    const header = new Uint8Array(512);
    const body = utf8(content);
    const put = (text: string, at: number): void => header.set(utf8(text), at);
    put(name, 0);
    put('0000644\0', 100);
    put('0000000\0', 108);
    put('0000000\0', 116);
    put(sizeText ?? `${(size ?? body.length).toString(8).padStart(11, '0')}\0`, 124);
    put('00000000000\0', 136);
    put('        ', 148);
    put(type, 156);
    put(link, 157);
    put('ustar\u000000', 257);
    const sum = header.reduce((total, byte) => total + byte, 0);
    put(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
    const padded = new Uint8Array(Math.ceil(body.length / 512) * 512);
    padded.set(body);
    return [header, padded];
  });
  const archive = new Uint8Array(blocks.reduce((total, block) => total + block.length, 1024));
  let at = 0;
  for (const block of blocks) {
    archive.set(block, at);
    at += block.length;
  }
  return archive;
}

const pax = (records: Readonly<Record<string, string>>): string =>
  Object.entries(records)
    .map(([key, value]) => {
      const rest = utf8(` ${key}=${value}\n`).length;
      const length = rest + String(rest + String(rest).length).length;
      return `${length} ${key}=${value}\n`;
    })
    .join('');

describe('openTarReader()', () => {
  const all = ['gnu', 'oldgnu', 'posix', 'ustar', 'v7', 'posix-sparse-0.0', 'posix-sparse-0.1'];
  const find = (name: string, path: string): Seen | undefined =>
    read(fixture(name)).find((entry) => entry.path === path);

  it('has a fixture for each format', () => {
    expect(
      readdirSync(FIXTURES)
        .map((file) => file.replace('.tar.gz', ''))
        .toSorted(),
    ).toEqual(all.toSorted());
  });

  it.each(all)('reads what GNU tar wrote as %s', (name) => {
    expect(find(name, 'etc/hello')).toMatchObject({
      type: 'file',
      mode: 0o4755,
      bytes: 6,
      content: 'hello\n',
      uid: 0,
      modified: 1767323045,
    });
    expect(find(name, 'etc/bücher')).toMatchObject({ type: 'file', content: 'x\n' });
    expect(find(name, 'etc')).toMatchObject({ type: 'directory', hazards: [] });
  });

  it.each(['gnu', 'oldgnu', 'posix', 'ustar', 'v7'])('reads the links of %s', (name) => {
    expect(find(name, 'usr/bin/hard')).toMatchObject({ type: 'hardlink', target: './etc/hello', hazards: [] });
    expect(find(name, 'usr/bin/out')).toMatchObject({ target: '../../../../etc/shadow', hazards: ['link-outside'] });
    expect(find(name, 'usr/bin/abs')).toMatchObject({ type: 'symlink', target: '/etc/hello', hazards: [] });
  });

  it.each(['gnu', 'oldgnu', 'posix', 'posix-sparse-0.0', 'posix-sparse-0.1'])(
    'reads devices and sparse files of %s',
    (name) => {
      expect(find(name, 'etc/null')).toMatchObject({ type: 'character-device', hazards: ['device'] });
      expect(find(name, 'etc/pipe')?.type).toBe('fifo');
      const sparse = find(name, 'etc/sparse');
      expect(sparse).toMatchObject({ isSparse: true, bytes: 1024 * 1024 });
      expect(sparse?.content.length).toBe(1024 * 1024);
      expect(sparse?.content.replaceAll('\0', '')).toBe('dataend');
      expect(sparse?.content.indexOf('data')).toBe(500_000);
      expect(sparse?.content.endsWith('end')).toBe(true);
    },
  );

  it.each(['gnu', 'oldgnu', 'posix'])('reads the long names of %s', (name) => {
    const long = read(fixture(name)).find(({ path, type }) => path.length > 240 && type === 'file');
    expect(long).toMatchObject({ content: 'long\n' });
  });

  it('sees the same in chunks of any size', () => {
    for (const name of ['posix', 'oldgnu', 'posix-sparse-0.0']) {
      const archive = fixture(name);
      const whole = read(archive);
      for (const bytes of [1, 7, 511, 512, 513, 4096]) expect(read(archive, bytes)).toEqual(whole);
    }
  });

  it('refuses every truncation within an entry, and never reads past it', () => {
    const archive = make({ name: 'a', content: 'x'.repeat(600) });
    for (let length = 1; length < 512 + 1024; length += 1) {
      expect(() => read(archive.subarray(0, length)), `${length} bytes`).toThrow(ParseError);
    }
    // The blocks of zeros may be missing.
    expect(read(archive.subarray(0, 512 + 1024)).length).toBe(1);
  });

  it.each<[what: string, entry: Made, hazards: string[], path: string]>([
    ['a path upwards', { name: '../../etc/passwd' }, ['outside'], 'etc/passwd'],
    ['a path up in the middle', { name: 'a/../../b' }, ['outside'], 'b'],
    ['a path from the root', { name: '/etc/passwd' }, [], 'etc/passwd'],
    ['dots that stay inside', { name: './a/./b/../c//' }, [], 'a/c'],
    ['a link out', { name: 'a/b', type: '2', link: '../../x' }, ['link-outside'], 'a/b'],
    ['a link within', { name: 'a/b', type: '2', link: '../x' }, [], 'a/b'],
    ['a hard link out', { name: 'a', type: '1', link: '../x' }, ['link-outside'], 'a'],
    ['a link to itself', { name: 'a', type: '2', link: 'a' }, [], 'a'],
    ['a block device', { name: 'a', type: '4' }, ['device'], 'a'],
  ])('tells of %s', (_what, entry, hazards, path) => {
    expect(read(make(entry))[0]).toMatchObject({ hazards, path });
  });

  it('obeys PAX records for the next entry alone, and attributes', () => {
    const [first, second] = read(
      make(
        {
          name: 'x',
          type: 'x',
          content: pax({ path: 'ü/long', uid: '70000', mtime: '12.5', 'SCHILY.xattr.user.a': 'bé' }),
        },
        { name: 'short', content: 'abc' },
        { name: 'next' },
      ),
    );
    expect(first).toMatchObject({
      path: 'ü/long',
      uid: 70_000,
      modified: 12,
      content: 'abc',
      // Bytes, each as one character: an attribute is no text.
      attributes: new Map([['user.a', 'b\u00c3\u00a9']]),
    });
    expect(second).toMatchObject({ path: 'next', uid: 0, attributes: new Map() });
  });

  it('reads global records, and refuses those that would name every file', () => {
    const global = (records: Readonly<Record<string, string>>): Uint8Array =>
      make({ name: 'g', type: 'g', content: pax(records) }, { name: 'a' }, { name: 'b' });
    expect(read(global({ uname: 'me' })).map(({ userName }) => userName)).toEqual(['me', 'me']);
    expect(() => read(global({ path: 'x' }))).toThrow(ParseError);
  });

  it('gives links and folders no contents, whatever their size says', () => {
    const [link, next] = read(make({ name: 'a', type: '2', link: 'b', size: 5000 }, { name: 'c', content: 'd' }));
    expect([link?.content, next?.path, next?.content]).toEqual(['', 'c', 'd']);
  });

  it.each<[what: string, archive: Uint8Array]>([
    ['a wrong checksum', make({ name: 'a' }).map((byte, at) => (at === 0 ? 0x62 : byte))],
    ['a size that is no number', make({ name: 'a', sizeText: '99999999999\0' })],
    ['a negative size', make({ name: 'a', sizeText: `${String.fromCharCode(0x7f)}x` })],
    [
      'a file that unpacks to a bomb',
      make(
        {
          name: 'x',
          type: 'x',
          content: pax({ 'GNU.sparse.size': String(2 ** 50), 'GNU.sparse.map': `${2 ** 50},0` }),
        },
        { name: 'a' },
      ),
    ],
    ['a negative size by PAX', make({ name: 'x', type: 'x', content: pax({ size: '-1' }) }, { name: 'a' })],
    ['a PAX header without end', make({ name: 'x', type: 'x', size: MAX_PAX_BYTES + 1 })],
    [
      'many PAX headers for one entry',
      make(
        ...Array.from({ length: 5 }, (): Made => ({ name: 'x', type: 'x', content: pax({ a: 'b'.repeat(300_000) }) })),
      ),
    ],
    [
      'too many attributes',
      make({ name: 'x', type: 'x', content: pax({ 'SCHILY.xattr.a': 'b'.repeat(200_000) }) }, { name: 'a' }),
    ],
    [
      'a path that is too long',
      make({ name: 'x', type: 'x', content: pax({ path: 'a/'.repeat(3000) }) }, { name: 'a' }),
    ],
    ['a path with a zero', make({ name: 'x', type: 'x', content: pax({ path: 'a\0b' }) }, { name: 'a' })],
    ['a PAX header for nothing', make({ name: 'x', type: 'x', content: pax({ path: 'a' }) }).subarray(0, 1024)],
  ])('refuses %s', (_what, archive) => {
    expect(outcomeOf(archive)).toBe('refused');
  });

  it('throws only ParseError on altered archives', () => {
    const archives = ['posix', 'gnu', 'oldgnu'].map((name) => fixture(name));
    assert(
      property(
        constantFrom(...archives),
        array(tuple(nat(9000), nat(255)), { minLength: 1, maxLength: 6 }),
        (archive, edits) => {
          const changed = new Uint8Array(archive);
          for (const [at, value] of edits) changed[at % changed.length] = value;
          const outcome = outcomeOf(changed);
          return (
            outcome === 'refused' ||
            outcome.every(({ path }) => !path.startsWith('/') && !path.split('/').includes('..'))
          );
        },
      ),
      { numRuns: 300 },
    );
  });
});

describe('files with holes', () => {
  const wanted = (archive: Uint8Array, bytes: number): string => {
    let content = '';
    const reader = openTarReader({
      entry: () => ({ bytes, take: (chunk) => (content += new TextDecoder().decode(chunk)) }),
    });
    reader.push(archive);
    reader.end();
    return content;
  };
  const of01 = (map: string, content: string, size = 20): Uint8Array =>
    make(
      { name: 'x', type: 'x', content: pax({ 'GNU.sparse.size': String(size), 'GNU.sparse.map': map }) },
      { name: 'a', content },
    );
  const of10 = (map: string, content: string, records: Readonly<Record<string, string>> = {}): Uint8Array =>
    make(
      {
        name: 'x',
        type: 'x',
        content: pax({
          'GNU.sparse.major': '1',
          'GNU.sparse.minor': '0',
          'GNU.sparse.name': 'real',
          'GNU.sparse.realsize': '20',
          ...records,
        }),
      },
      { name: 'GNUSparseFile.1/a', content: map.padEnd(512, '\0') + content },
    );

  it('are given as they would be unpacked', () => {
    const whole = `${'\0'.repeat(5)}abc${'\0'.repeat(2)}de${'\0'.repeat(8)}`;
    expect(read(of01('5,3,10,2,20,0', 'abcde'))[0]).toMatchObject({ path: 'a', bytes: 20, content: whole });
    expect(read(of10('3\n5\n3\n10\n2\n20\n0\n', 'abcde'))[0]).toMatchObject({ path: 'real', content: whole });
    expect(wanted(of01('5,3,10,2,20,0', 'abcde'), 7)).toBe('\0\0\0\0\0ab');
  });

  it('have a map of as many blocks as it needs', () => {
    const pieces = Array.from({ length: 200 }, (_, at) => `${at * 2}\n1\n`).join('');
    const map = `200\n${pieces}`;
    const padded = map.padEnd(Math.ceil(map.length / 512) * 512, '\0');
    const [file] = read(of10(padded, 'x'.repeat(200), { 'GNU.sparse.realsize': '400' }), 100);
    expect(file?.content).toBe('x\0'.repeat(200));
  });

  it.each<[what: string, archive: Uint8Array]>([
    ['a piece beyond the end', of01('5,3,18,3', 'abcdef')],
    ['a piece over another', of01('5,3,7,3', 'abcdef')],
    ['pieces out of order', of01('10,3,5,3', 'abcdef')],
    ['more pieces than are stored', of01('0,3,10,3', 'abc')],
    ['fewer pieces than are stored', of01('0,3', 'abcdef')],
    ['half a piece', of01('0', 'a')],
    ['a piece that is no number', of01('0,x', 'a')],
    ['a map that does not end', of10('9\n1\n', '')],
    ['a map of too many pieces', of10('100001\n', '')],
    ['a map without a number', of10(`${'1'.repeat(17)}\n`, '')],
    ['a version that nobody knows', of10('0\n', '', { 'GNU.sparse.minor': '7' })],
    ['a name, and no map', make({ name: 'x', type: 'x', content: pax({ 'GNU.sparse.name': 'b' }) }, { name: 'a' })],
    [
      'lengths before offsets',
      make({ name: 'x', type: 'x', content: pax({ 'GNU.sparse.numbytes': '1' }) }, { name: 'a', content: 'b' }),
    ],
    ['a folder with a map', make({ name: 'x', type: 'x', content: pax({ 'GNU.sparse.map': '0,0' }) }, { name: 'a/' })],
  ])('are refused with %s', (_what, archive) => {
    expect(outcomeOf(archive)).toBe('refused');
  });

  it('have holes that cost time only up to a limit', () => {
    const records = { 'GNU.sparse.size': String(2 ** 36), 'GNU.sparse.map': `${2 ** 36},0` };
    const files = [{ name: 'x', type: 'x', content: pax(records) }, { name: 'a' }] as const;
    expect(() => wanted(make(...files), 2 ** 31)).toThrow(/bytes of holes/);
    expect(() => wanted(make(...files, ...files), 0)).not.toThrow();
  });
});

describe('parsePax()', () => {
  it.each([
    '5 a=b',
    '9 a=b\n',
    '3 a=b\n',
    '0 a=b\n',
    '06 a=b\n',
    'a=b\n',
    ' a=b\n',
    '6 a=b\n6',
    '4 =\n',
    '99999999999 a=b\n',
    '-6 a=b\n',
    '2 \n',
  ])('refuses “%s”', (text) => {
    expect(() => parsePax(utf8(text), 0)).toThrow(ParseError);
  });

  it('reads values with newlines and equals signs', () => {
    expect(parsePax(utf8(pax({ a: 'b=c\nd', e: '' })), 0)).toEqual(
      new Map([
        ['a', 'b=c\nd'],
        ['e', ''],
      ]),
    );
  });
});

describe('pathFromRoot()', () => {
  it('stays at the root', () => {
    expect(pathFromRoot('a/../../..')).toEqual({ path: '', leaves: true });
  });
});
