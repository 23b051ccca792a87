import { ParseError } from '@ringwall/bytes';
import { describe, expect, test } from 'vitest';
import { fixture } from '../../../testing/fixtures.ts';
import { exercise } from '../../../testing/hostile.ts';
import { memorySource } from '../../source/byte-source.ts';
import type { FileSystem } from '../file-system.ts';
import { looksLikeFat, parseFatBootSector } from './boot-sector.ts';
import { openFat } from './fat.ts';

const image = fixture('fat12');
const geometry = parseFatBootSector(memorySource(image));
const open = (bytes: Uint8Array): FileSystem => openFat(memorySource(bytes));

function changed(offset: number, ...bytes: readonly number[]): Uint8Array {
  const copy = new Uint8Array(image);
  copy.set(bytes, offset);
  return copy;
}

/** Where the entry with the short name `name` lies. */
function entryOf(name: string): number {
  return Buffer.from(image).indexOf(Buffer.from(name, 'latin1'));
}

/** The image with the entry of `cluster` in its first table set to `next`. */
function linked(cluster: number, next: number): Uint8Array {
  const copy = new Uint8Array(image);
  const at = geometry.tableStart + cluster + (cluster >> 1);
  const word = (copy[at] ?? 0) | ((copy[at + 1] ?? 0) << 8);
  const set = cluster % 2 === 0 ? (word & 0xf000) | next : (word & 0x000f) | (next << 4);
  copy.set([set & 0xff, set >> 8], at);
  return copy;
}

const firstCluster = (name: string): number => new DataView(image.buffer).getUint16(entryOf(name) + 26, true);

describe('openFat()', () => {
  test.each([
    ['fat12', 'fat12'],
    ['fat16', 'fat16'],
  ])('reads a small volume: %s', (name, kind) => {
    const fat = open(fixture(name));
    expect([fat.kind, fat.label, fat.uuid]).toEqual([kind, 'SMALL', '1234-ABCD']);
    expect([...fat.root.entries()].map((entry) => `${entry.name} ${entry.kind}`)).toEqual([
      'etc directory',
      'many directory',
      'large.txt file',
      'zeros file',
    ]);
    const shadow = fat.root.lookup('ETC')?.lookup('Shadow');
    expect(Buffer.from(shadow?.open().read(0, 8) ?? []).toString()).toBe('root:$y$');
    const deep = fat.root.lookup('etc')?.lookup('deep')?.lookup('er');
    expect([...(deep?.entries() ?? [])].map((entry) => entry.name)).toEqual(['A long name with ünïcödé.txt']);
    expect(exercise(fixture(name), openFat)).toBe(50);
  });

  test('gives a deleted file the whole of its name back', () => {
    const [deleted, ...others] = [...(open(image).deletedFiles?.() ?? [])];
    expect([deleted?.name, deleted?.overwrittenBlocks, others.length]).toEqual(['deleted secret.key', 0, 0]);
    expect(Buffer.from(deleted?.node.open().read(0, 25) ?? []).toString()).toBe('a secret that was deleted');
  });

  test.each([
    ['no signature', 510, [0], /boot signature/],
    ['sectors of 511 bytes', 11, [0xff, 1], /BPB_BytsPerSec 511/],
    ['clusters of three sectors', 13, [3], /BPB_SecPerClus 3/],
    ['no reserved sector', 14, [0, 0], /BPB_RsvdSecCnt 0/],
    ['no table', 16, [0], /BPB_NumFATs 0/],
    ['no entries in the root', 17, [0, 0], /BPB_RootEntCnt 0/],
    ['more sectors than there are', 19, [0xff, 0xff], /BPB_TotSec32 65535/],
    ['tables that leave no room', 22, [0xff, 0xff], /leaves no cluster/],
  ])('refuses %s', (_, offset, bytes, message) => {
    expect(() => open(changed(offset, ...bytes))).toThrow(ParseError);
    expect(() => open(changed(offset, ...bytes))).toThrow(message);
  });

  test('refuses every truncation', () => {
    for (let length = 0; length < image.length; length += 997)
      expect(() => open(image.subarray(0, length))).toThrow(ParseError);
  });

  test('a long name that belongs to another short name is not believed', () => {
    const withName = entryOf('ALONGN~1TXT');
    expect(withName).toBeGreaterThan(0);
    const copy = changed(withName, ...Buffer.from('BLONGN~1TXT'));
    const names = [...(open(copy).root.lookup('etc')?.lookup('deep')?.lookup('er')?.entries() ?? [])];
    expect(names.map(({ name }) => name)).toEqual(['BLONGN~1.TXT']);
  });
});

describe('chains of clusters', () => {
  const first = firstCluster('LARGE   TXT');
  const read = (bytes: Uint8Array): unknown => open(bytes).root.lookup('large.txt')?.open().read(0, 20_000);

  test.each([
    ['into themselves', first + 5, first + 2, /leads to cluster \d+ again/],
    ['to a free cluster', first + 3, 0, /to a free one/],
    ['to a bad cluster', first + 3, 0xff7, /to a bad one/],
    ['beyond the volume', first + 3, 0xff0, /leads to cluster 4080, which there is not/],
    ['to an early end', first + 3, 0xfff, /ends after 2048 bytes, but the file has 20000/],
  ])('that lead %s are refused', (_, cluster, next, message) => {
    expect(() => read(linked(cluster, next))).toThrow(ParseError);
    expect(() => read(linked(cluster, next))).toThrow(message);
  });

  test('of a directory that lead in a circle end', () => {
    const many = firstCluster('MANY       ');
    expect(() => [...(open(linked(many, many)).root.lookup('many')?.entries() ?? [])]).toThrow(ParseError);
  });
});

test('looksLikeFat() takes no other boot sector for it', () => {
  expect(looksLikeFat(memorySource(image))).toBe(true);
  expect(looksLikeFat(memorySource(changed(0, 0)))).toBe(false);
  expect(looksLikeFat(memorySource(changed(21, 0)))).toBe(false);
  expect(looksLikeFat(memorySource(image.subarray(0, 100)))).toBe(false);
});
