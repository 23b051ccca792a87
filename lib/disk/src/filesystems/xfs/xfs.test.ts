import { ParseError } from '@ringwall/bytes';
import { describe, expect, test } from 'vitest';
import { fixture } from '../../../testing/fixtures.ts';
import { DiskError } from '../../disk-error.ts';
import { memorySource } from '../../source/byte-source.ts';
import type { FileNode } from '../file-system.ts';
import { openXfs, recogniseXfs } from './xfs.ts';

const checked = fixture('xfs');
const unchecked = fixture('xfs-4');

const open = (image: Uint8Array): FileNode => openXfs(memorySource(image)).root;

/** What `read` says of the image with other bytes at a place, which are put back. */
function withChange<T>(image: Uint8Array, at: number, bytes: readonly number[], read: (image: Uint8Array) => T): T {
  const kept = image.slice(at, at + bytes.length);
  image.set(bytes, at);
  try {
    return read(image);
  } finally {
    image.set(kept, at);
  }
}

function readFile(root: FileNode, ...path: readonly string[]): string {
  let node: FileNode | undefined = root;
  for (const name of path) node = node?.lookup(name);
  return Buffer.from(node?.open().read(0, node.size) ?? []).toString();
}

describe('openXfs()', () => {
  test.each([
    ['version 5', checked],
    ['version 4', unchecked],
  ])('reads a small image of %s', (_, image) => {
    const root = open(image);
    expect([...root.entries()].map(({ name }) => name).toSorted()).toEqual([
      'crowd',
      'etc',
      'large.txt',
      'link',
      'many',
      'zeros',
    ]);
    expect(readFile(root, 'etc', 'shadow')).toMatch(/^root:\$y\$/);
    expect(readFile(root, 'many', 'file-39')).toBe('number 39');
    expect(readFile(root, 'large.txt').length).toBe(20_000);
    expect(root.lookup('link')?.target()).toBe('etc/shadow');
    expect(root.lookup('absent')).toBeUndefined();
    expect(root.lookup('etc')?.extendedAttributes().size).toBe(0);
  });

  test('asked for what a node has not, says what it is', () => {
    const root = open(checked);
    expect(() => root.open()).toThrow(DiskError);
    expect(() => root.target()).toThrow(/is a directory, expected a symlink/);
    expect(() => root.lookup('zeros')?.entries()).toThrow(/is a file, expected a directory/);
  });

  test.each<readonly [what: string, at: number, bytes: readonly number[], message: RegExp]>([
    ['another magic', 0, [0], /sb_magicnum/],
    ['version 3', 101, [0xa3], /sb_versionnum 3/],
    ['old directories', 100, [0x84], /without directories of version 2/],
    ['sectors of 513 bytes', 103, [1], /sb_sectsize 513/],
    ['a block size that is no power', 6, [0x10, 1], /sb_blocksize 4097/],
    ['blocks of 2^30', 120, [30], /sb_blocklog 30/],
    ['inodes larger than blocks', 122, [13], /sb_inodelog 13/],
    ['more inodes in a block', 123, [9], /sb_inopblog 9/],
    ['a group larger than its number', 124, [3], /sb_agblklog|sb_agblocks/],
    ['more groups than blocks', 91, [9], /sb_agcount 9/],
    ['a size beyond the image', 12, [0, 0, 0x10, 1], /sb_dblocks 4097/],
    ['a size beyond 2^53', 8, [0xff], /sb_dblocks|sb_agcount/],
    ['a root beyond the disk', 60, [0xff], /block of inode/],
  ])('refuses %s', (_, at, bytes, message) => {
    const read = (): FileNode => withChange(unchecked, at, bytes, open);
    expect(read).toThrow(ParseError);
    expect(read).toThrow(message);
  });

  test('refuses an unknown feature', () => {
    expect(() => withChange(checked, 216, [0x80], open)).toThrow(/sb_features_incompat/);
  });

  test.each<readonly [what: string, find: () => number, message: RegExp, read: (root: FileNode) => unknown]>([
    ['superblock', () => 110, /sb_crc/, (root) => root.kind],
    ['inode', () => inodeAt(open(checked).id) + 40, /di_crc of inode \d+/, (root) => root.kind],
    [
      'directory',
      () => Buffer.from(checked).indexOf('file-39'),
      /checksum of a block of directory/,
      (root) => [...(root.lookup('many')?.entries() ?? [])],
    ],
  ])('names the structure with a wrong checksum: %s', (_, find, message, read) => {
    const at = find();
    expect(at).toBeGreaterThan(0);
    expect(() => withChange(checked, at, [(checked[at] ?? 0) ^ 1], (image) => read(open(image)))).toThrow(message);
  });

  test('refuses every truncation', () => {
    for (let length = 0; length < unchecked.length; length += 65_537) {
      expect(() => open(unchecked.subarray(0, length))).toThrow(ParseError);
    }
  });
});

test('recogniseXfs() goes by the magic number, and never beyond the end', () => {
  expect(recogniseXfs(memorySource(checked))).toBe(true);
  expect(recogniseXfs(memorySource(new Uint8Array(1000)))).toBe(false);
  expect(recogniseXfs(memorySource(new Uint8Array(100)))).toBe(false);
});

/** Of the only group: blocks of 4,096 bytes, inodes of 512. */
function inodeAt(number: number): number {
  return number * 512;
}
