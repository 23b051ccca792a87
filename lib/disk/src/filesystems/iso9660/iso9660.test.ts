import { ParseError } from '@ringwall/bytes';
import { describe, expect, test } from 'vitest';
import { fixture } from '../../../testing/fixtures.ts';
import { exercise } from '../../../testing/hostile.ts';
import { memorySource } from '../../source/byte-source.ts';
import { openIso9660, type Iso9660 } from './iso9660.ts';

const SECTOR = 2048;
const PRIMARY = 16 * SECTOR;
const image = fixture('iso9660');
const open = (bytes: Uint8Array): Iso9660 => openIso9660(memorySource(bytes));

function changed(offset: number, ...bytes: readonly number[]): Uint8Array {
  const copy = new Uint8Array(image);
  copy.set(bytes, offset);
  return copy;
}

/** A directory record. */
function record(
  name: string,
  block: number,
  size: number,
  flags: number,
  systemUse: readonly number[] = [],
): Uint8Array {
  const nameBytes = Buffer.from(name, 'latin1');
  const padded = 33 + nameBytes.length + ((nameBytes.length + 1) % 2);
  const bytes = new Uint8Array(padded + systemUse.length);
  const view = new DataView(bytes.buffer);
  bytes[0] = bytes.length;
  view.setUint32(2, block, true);
  view.setUint32(10, size, true);
  bytes[25] = flags;
  bytes[32] = nameBytes.length;
  bytes.set(nameBytes, 33);
  bytes.set(systemUse, padded);
  return bytes;
}

const SP = [0x53, 0x50, 7, 1, 0xbe, 0xef, 0];
const FIRST_DATA = 20;

/** A disc whose root lies in sector 18 and holds `records`; from sector 20 on, each sector is full of its own number. */
function disc(records: readonly Uint8Array[], rootSystemUse: readonly number[] = []): Uint8Array {
  const bytes = new Uint8Array(32 * SECTOR);
  for (let sector = FIRST_DATA; sector < 32; sector += 1) bytes.fill(sector, sector * SECTOR, (sector + 1) * SECTOR);
  const view = new DataView(bytes.buffer, PRIMARY);
  bytes.set([1, ...Buffer.from('CD001'), 1], PRIMARY);
  view.setUint32(80, 32, true);
  view.setUint16(128, SECTOR, true);
  bytes.set(record('\0', 18, SECTOR, 2), PRIMARY + 156);
  bytes.set([255, ...Buffer.from('CD001'), 1], PRIMARY + SECTOR);
  let at = 18 * SECTOR;
  for (const part of [record('\0', 18, SECTOR, 2, rootSystemUse), record('\u0001', 18, SECTOR, 2), ...records]) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

describe('openIso9660()', () => {
  test('reads a small disc by the names of Rock Ridge', () => {
    const { root, label, names } = open(image);
    expect([label, names]).toEqual(['SMALL', 'rock-ridge']);
    expect([...root.entries()].map((entry) => `${entry.name} ${entry.kind}`)).toEqual(
      expect.arrayContaining(['etc directory', 'large.txt file', 'link symlink', 'null character-device']),
    );
    const shadow = root.lookup('etc')?.lookup('shadow');
    expect(Buffer.from(shadow?.open().read(0, 8) ?? []).toString()).toBe('root:$y$');
    expect(shadow?.modifiedAt).toBe(1_700_000_000_000);
    expect(root.lookup('null')?.device).toEqual({ major: 1, minor: 3 });
    expect(root.lookup('etc')?.lookup('deep')?.lookup('up')?.target()).toBe('../../..');
    let deep = root.lookup('etc');
    for (const name of ['deep', 'er', 'd4', 'd5', 'd6', 'd7', 'd8', 'bottom']) deep = deep?.lookup(name);
    expect(Buffer.from(deep?.open().read(0, 6) ?? []).toString()).toBe('bottom');
  });

  test('reads a small disc by the names of Joliet', () => {
    const { root, names } = open(fixture('iso9660-joliet'));
    expect(names).toBe('joliet');
    const deep = root.lookup('etc')?.lookup('deep')?.lookup('er');
    expect([...(deep?.entries() ?? [])].map(({ name }) => name)).toEqual(['A long name with ünïcödé.txt']);
    expect(root.lookup('LARGE.TXT')?.size).toBe(20_000);
  });

  test('shows what firmware starts', () => {
    const [entry] = open(image).bootEntries();
    expect(entry).toMatchObject({ platform: 'efi', isBootable: true });
    expect(Buffer.from(entry?.loaded.read(0, 6) ?? []).toString()).toBe('line 1');
  });

  test.each([
    ['another magic', PRIMARY + 1, [0], /Standard Identifier/],
    ['blocks of 4 KiB', PRIMARY + 128, [0, 16], /Logical Block Size 4096/],
    ['more blocks than there are', PRIMARY + 83, [1], /Volume Space Size/],
    ['no primary descriptor', PRIMARY, [2], /hold no primary one/],
    ['a root that is no directory', PRIMARY + 158, [16], /directory|Length/],
  ])('refuses %s', (_, offset, bytes, message) => {
    expect(() => open(changed(offset, ...bytes))).toThrow(ParseError);
    expect(() => open(changed(offset, ...bytes))).toThrow(message);
  });

  test('refuses every truncation', () => {
    const { size } = open(image);
    for (let length = 0; length < size; length += 1009)
      expect(() => open(image.subarray(0, length))).toThrow(ParseError);
  });

  test.each(['iso9660', 'iso9660-joliet'])('an intact image is seen whole by the sweep: %s', (name) => {
    expect(exercise(fixture(name), openIso9660)).toBeGreaterThan(45);
  });
});

describe('files in several extents', () => {
  const parts = [record('BIG.;1', 20, SECTOR, 0x80), record('BIG.;1', 25, SECTOR, 0x80), record('BIG.;1', 22, 100, 0)];

  test('are one file', () => {
    const { root } = open(disc(parts));
    expect([...root.entries()].map(({ name }) => name)).toEqual(['BIG']);
    const file = root.lookup('big')?.open();
    expect(file?.size).toBe(2 * SECTOR + 100);
    expect([...(file?.read(SECTOR - 1, 2) ?? [])]).toEqual([20, 25]);
    expect([...(file?.read(2 * SECTOR - 1, 2) ?? [])]).toEqual([25, 22]);
  });

  test('are refused where the last one is missing', () => {
    expect(() => [...open(disc(parts.slice(0, 2))).root.entries()]).toThrow(/the last extent of a file is missing/);
  });
});

describe('records', () => {
  test.each([
    ['that are shorter than themselves', Uint8Array.of(20, 0, 0, 0), /Length of Directory Record 20/],
    ['whose name leaves them', record('A', 20, 1, 0).fill(200, 32, 33), /Length of File Identifier 200/],
    ['of interleaved files', record('A', 20, 1, 0).fill(1, 26, 27), /interleaved/],
  ])('%s are refused', (_, bytes, message) => {
    expect(() => [...open(disc([bytes])).root.entries()]).toThrow(ParseError);
    expect(() => [...open(disc([bytes])).root.entries()]).toThrow(message);
  });

  test('a name that is a path is refused', () => {
    expect(() => [...open(disc([record('A/../B', 20, 1, 0)])).root.entries()]).toThrow(/File Identifier/);
  });
});

describe('Rock Ridge', () => {
  const both = (value: number): number[] => {
    const bytes = Buffer.alloc(8);
    bytes.writeUInt32LE(value, 0);
    bytes.writeUInt32BE(value, 4);
    return [...bytes];
  };
  const name = (text: string, flags: number): number[] => [0x4e, 0x4d, 5 + text.length, 1, flags, ...Buffer.from(text)];
  const only = (systemUse: readonly number[]): Iso9660 => open(disc([record('A', 20, 10, 0, systemUse)], SP));

  test('joins names and targets in pieces', () => {
    const px = [0x50, 0x58, 36, 1, ...both(0o120777), ...both(1), ...both(0), ...both(0)];
    const sl = [0x53, 0x4c, 12, 1, 0, 8, 0, 4, 0, 0, 1, 0x78];
    const { root } = only([...name('lo', 1), ...name('ng', 0), ...px, ...sl]);
    const [entry] = [...root.entries()];
    expect([entry?.name, entry?.kind]).toEqual(['long', 'symlink']);
    expect(entry?.node().target()).toBe('/../x');
  });

  test('continuation areas that lead to themselves end', () => {
    const loop = [0x43, 0x45, 28, 1, ...both(21), ...both(0), ...both(28)];
    const bytes = disc([record('A', 20, 10, 0, loop)], SP);
    bytes.set(loop, 21 * SECTOR);
    expect(() => [...open(bytes).root.entries()]).toThrow(/more than 8 continuation areas/);
  });

  test('a continuation area of a gigabyte is refused', () => {
    expect(() => [...only([0x43, 0x45, 28, 1, ...both(21), ...both(0), ...both(2 ** 30)]).root.entries()]).toThrow(
      /CE an area/,
    );
  });

  test('a name longer than any is refused', () => {
    expect(() => [
      ...only([...name('x'.repeat(100), 1), ...name('y'.repeat(100), 0)].slice(0, 210)).root.entries(),
    ]).not.toThrow();
    const long = [...name('x'.repeat(200), 1)];
    const continued = [0x43, 0x45, 28, 1, ...both(21), ...both(0), ...both(SECTOR)];
    const bytes = disc([record('A', 20, 10, 0, continued)], SP);
    bytes.fill(0, 21 * SECTOR, 22 * SECTOR).set([...long, ...long], 21 * SECTOR);
    expect(() => [...open(bytes).root.entries()]).toThrow(/NM a name of 400 bytes/);
  });

  test('a relocated directory must be one', () => {
    expect(() => [...only([0x43, 0x4c, 12, 1, ...both(25)]).root.entries()]).toThrow(ParseError);
  });
});
