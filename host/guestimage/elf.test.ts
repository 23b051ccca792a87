import { existsSync, readFileSync } from 'node:fs';
import { Writer, ParseError, concatBytes, utf8 } from '@ringwall/bytes';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { moduleDependencies, neededLibraries } from './elf.ts';

const HEADER_BYTES = 64;

interface TestSection {
  readonly name: string;
  readonly type: number;
  readonly link?: number;
  readonly bytes: Uint8Array;
}

/** The smallest ELF file with these sections; their names come last. */
function elf(sections: readonly TestSection[]): Uint8Array {
  const names = ['', ...sections.map(({ name }) => name), '.shstrtab'];
  const nameOffsets = names.map((_, index) => names.slice(0, index).join('\0').length + (index === 0 ? 0 : 1));
  const all = [
    { type: 0, link: 0, bytes: new Uint8Array(0) },
    ...sections,
    { type: 3, link: 0, bytes: utf8(`${names.join('\0')}\0`) },
  ];
  let offset = HEADER_BYTES;
  const table = new Writer();
  for (const [index, { type, link, bytes }] of all.entries()) {
    table
      .u32le(nameOffsets[index] ?? 0)
      .u32le(type)
      .u64le(0n)
      .u64le(0n)
      .u64le(BigInt(offset));
    table
      .u64le(BigInt(bytes.length))
      .u32le(link ?? 0)
      .u32le(0)
      .u64le(0n)
      .u64le(0n);
    offset += bytes.length;
  }
  const header = new Writer().bytes(Uint8Array.of(0x7f, 0x45, 0x4c, 0x46, 2, 1, 1)).bytes(new Uint8Array(33));
  header
    .u64le(BigInt(offset))
    .bytes(new Uint8Array(10))
    .u16le(64)
    .u16le(all.length)
    .u16le(all.length - 1);
  return concatBytes(header.finish(), ...all.map(({ bytes }) => bytes), table.finish());
}

function dynamic(...entries: readonly (readonly [bigint, bigint])[]): Uint8Array {
  const writer = new Writer();
  for (const [tag, value] of entries) writer.u64le(tag).u64le(value);
  return writer.finish();
}

const MODULE = elf([{ name: '.modinfo', type: 1, bytes: utf8('license=GPL\0depends=dm-mod,dm-bufio\0name=dm_x\0') }]);
const PROGRAM = elf([
  { name: '.dynamic', type: 6, link: 2, bytes: dynamic([1n, 1n], [5n, 9n], [1n, 11n], [0n, 0n]) },
  { name: '.dynstr', type: 3, bytes: utf8('\0libc.so.6\0libm.so.6\0') },
]);

describe('moduleDependencies()', () => {
  it('reads the names in depends=', () => {
    expect(moduleDependencies(MODULE)).toEqual(['dm-mod', 'dm-bufio']);
    expect(moduleDependencies(elf([{ name: '.modinfo', type: 1, bytes: utf8('depends=\0') }]))).toEqual([]);
  });

  it('refuses a file that is no module', () => {
    expect(() => moduleDependencies(PROGRAM)).toThrow(ParseError);
  });
});

describe('neededLibraries()', () => {
  it('reads DT_NEEDED', () => {
    expect(neededLibraries(PROGRAM)).toEqual(['libc.so.6', 'libm.so.6']);
    expect(neededLibraries(MODULE)).toEqual([]);
  });

  it.skipIf(!existsSync('/usr/sbin/cryptsetup'))('reads a real program (skipped: needs cryptsetup)', () => {
    expect(neededLibraries(readFileSync('/usr/sbin/cryptsetup'))).toContain('libcryptsetup.so.12');
  });

  it.each([
    ['nothing', new Uint8Array(0)],
    ['text', utf8('#!/bin/sh\n'.repeat(20))],
    [
      'a string outside the table',
      elf([
        { name: 'x', type: 6, link: 2, bytes: dynamic([1n, 99n]) },
        { name: 'y', type: 3, bytes: utf8('\0') },
      ]),
    ],
    ['no string table', elf([{ name: 'x', type: 6, link: 9, bytes: dynamic([1n, 1n]) }])],
    [
      'a table without end',
      elf([
        { name: 'x', type: 6, link: 2, bytes: dynamic([1n, 0n]) },
        { name: 'y', type: 3, bytes: utf8('\0') },
      ]),
    ],
  ])('refuses %s', (_name, bytes) => {
    expect(() => neededLibraries(bytes)).toThrow(ParseError);
  });

  it('throws only ParseError, whatever the bytes', () => {
    const altered = fc.tuple(fc.nat(PROGRAM.length - 1), fc.nat(255));
    const property = fc.property(fc.array(altered, { maxLength: 8 }), fc.nat(PROGRAM.length), (changes, length) => {
      const bytes = PROGRAM.slice(0, length);
      for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
      return [neededLibraries, moduleDependencies].every((read) => {
        try {
          read(bytes);
          return true;
        } catch (error) {
          return error instanceof ParseError;
        }
      });
    });
    expect(fc.check(property).failed).toBe(false);
  });
});
