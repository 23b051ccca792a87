import { concatBytes, Writer } from '@ringwall/bytes';
import { describe, expect, it } from 'vitest';
import { makeEntry, makeImage, type MadeFile, ROOMY } from '../../testing/make-image.ts';
import { INSPECTORS } from '../inspection/catalogue.ts';
import { installedPackages } from './installed-packages.ts';
import { elfLinksInspector, parseElfLinks } from './programs/elf-links.ts';

/** A program of 64 bits with a dynamic section and its strings, and nothing else. */
function linkedElf(needed: readonly string[], soname: string = ''): Uint8Array {
  const names = ['', ...needed, soname];
  const strings = new TextEncoder().encode(names.map((name) => `${name}\0`).join(''));
  const offsetOf = (index: number): number => names.slice(0, index).reduce((sum, name) => sum + name.length + 1, 0);
  const dynamic = new Writer();
  for (const index of needed.keys()) dynamic.u64le(1n).u64le(BigInt(offsetOf(index + 1)));
  if (soname !== '') dynamic.u64le(14n).u64le(BigInt(offsetOf(names.length - 1)));
  const entries = dynamic.u64le(0n).u64le(0n).finish();
  const section = (type: number, offset: number, size: number, link: number): Uint8Array =>
    new Writer()
      .u32le(0)
      .u32le(type)
      .u64le(0n)
      .u64le(0n)
      .u64le(BigInt(offset))
      .u64le(BigInt(size))
      .u32le(link)
      .bytes(new Uint8Array(20))
      .finish();
  const tableAt = 64 + entries.length + strings.length;
  const head = new Writer().bytes(Uint8Array.of(0x7f, 0x45, 0x4c, 0x46, 2, 1, 1)).bytes(new Uint8Array(9));
  head.u16le(3).u16le(62).u32le(1).u64le(0n).u64le(0n).u64le(BigInt(tableAt)).u32le(0);
  head.u16le(64).u16le(56).u16le(0).u16le(64).u16le(2).u16le(0);
  const table = [section(6, 64, entries.length, 1), section(3, 64 + entries.length, strings.length, 0)];
  return concatBytes(head.finish(), entries, strings, ...table);
}

const LIB = 'usr/lib/x86_64-linux-gnu';
const executable = (content: Uint8Array): MadeFile => ({ mode: 0o755, content });
const list = (...paths: readonly string[]): string => paths.map((path) => `/${path}\n`).join('');
const status = (...names: readonly string[]): string =>
  names.map((name) => `Package: ${name}\nStatus: install ok installed\nVersion: 1\nArchitecture: amd64\n`).join('\n');

function unlinkedOf(files: Readonly<Record<string, MadeFile>>): readonly string[] {
  const image = makeImage({
    inspectors: INSPECTORS,
    layers: [
      {
        'var/lib/dpkg/status': status('liba1', 'libb1', 'libc6', 'tool'),
        'var/lib/dpkg/info/liba1:amd64.list': list(`${LIB}/liba.so.1`, `${LIB}/liba.so.1.0`),
        'var/lib/dpkg/info/libb1:amd64.list': list(`${LIB}/libb.so.1`),
        'var/lib/dpkg/info/tool.list': list('usr/bin/tool', `${LIB}/libtool.so.1`),
        [`${LIB}/liba.so.1`]: { type: 'symlink', target: 'liba.so.1.0' },
        [`${LIB}/liba.so.1.0`]: linkedElf(['libb.so.1', 'libc.so.6'], 'liba.so.1'),
        [`${LIB}/libb.so.1`]: linkedElf([], 'libb.so.1'),
        [`${LIB}/libtool.so.1`]: linkedElf([], 'libtool.so.1'),
        ...files,
      },
    ],
  });
  return [...(installedPackages(image).unlinked ?? [])];
}

describe('unlinkedPackages()', () => {
  it('names libraries that no program needs, also where other such libraries need them', () => {
    expect(unlinkedOf({ 'usr/bin/x': executable(linkedElf(['libc.so.6'])) })).toEqual(['liba1', 'libb1']);
  });

  it.each([
    ['a program needs it', { 'usr/bin/x': executable(linkedElf(['liba.so.1'])) }, []],
    ['a program anywhere needs it', { 'opt/app/x': executable(linkedElf(['libb.so.1'])) }, ['liba1']],
    ['something that is loaded by its path needs it', { [`${LIB}/app/plug.so`]: linkedElf(['liba.so.1']) }, []],
    ['the C library may load it', { [`${LIB}/libnss_x.so.2`]: linkedElf(['liba.so.1']) }, []],
    ['some program cannot be read', { 'usr/bin/x': executable(linkedElf(['libc.so.6']).subarray(0, 100)) }, []],
  ])('says nothing of a library where %s', (_why, files, expected) => {
    expect(unlinkedOf(files)).toEqual(expected);
  });
});

it('elfLinksInspector takes of a large program every name in its beginning, or says that it knows none', () => {
  const inspected = (names: string): readonly unknown[] =>
    elfLinksInspector.inspect(
      makeEntry('usr/bin/node', { mode: 0o755, bytes: 100e6 }),
      concatBytes(linkedElf([]).subarray(0, 64), new TextEncoder().encode(names)),
      ROOMY,
    );
  expect(inspected('\0libdl.so.2\0x\0libc.so.6\0')).toEqual([{ needed: ['libdl.so.2', 'libc.so.6'], soname: '' }]);
  expect(inspected('\0nothing\0')).toEqual([{ unread: true }]);
});

it('parseElfLinks() reads names, and survives every truncation and a flip of every byte', () => {
  const whole = linkedElf(['libb.so.1', 'libc.so.6'], 'liba.so.1');
  expect(parseElfLinks(whole)).toEqual({ needed: ['libb.so.1', 'libc.so.6'], soname: 'liba.so.1' });
  for (let length = 64; length < whole.length; length += 1)
    expect(() => parseElfLinks(whole.subarray(0, length))).not.toThrow();
  for (let at = 4; at < whole.length; at += 1) {
    const flipped = whole.slice();
    flipped[at] = 0xff ^ (flipped[at] ?? 0);
    expect(() => parseElfLinks(flipped)).not.toThrow();
  }
});
