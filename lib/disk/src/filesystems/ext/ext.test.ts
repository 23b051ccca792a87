import { ParseError } from '@ringwall/bytes';
import { describe, expect, test } from 'vitest';
import { fixture } from '../../../testing/fixtures.ts';
import { exercise } from '../../../testing/hostile.ts';
import { CRC_START, crc32c } from '../../checksum/crc.ts';
import { DiskError } from '../../disk-error.ts';
import { memorySource } from '../../source/byte-source.ts';
import type { FileNode } from '../file-system.ts';
import { openExt, recogniseExt } from './ext.ts';

const SUPERBLOCK = 1024;
const unchecked = fixture('ext4-unchecked');
const checked = fixture('ext4');

type Change = readonly [offset: number, bytes: readonly number[]];

function changed(image: Uint8Array, ...changes: readonly Change[]): Uint8Array {
  const copy = new Uint8Array(image);
  for (const [offset, bytes] of changes) copy.set(bytes, offset);
  return copy;
}

const open = (image: Uint8Array): FileNode => openExt(memorySource(image)).root;

/** Reads everything that a path of names leads to. */
function readFile(root: FileNode, ...path: readonly string[]): string {
  let node: FileNode | undefined = root;
  for (const name of path) node = node?.lookup(name);
  return Buffer.from(node?.open().read(0, node.size) ?? []).toString();
}

describe('openExt()', () => {
  test.each(['ext2', 'ext4', 'ext4-unchecked'])('reads a small image: %s', (name) => {
    const system = openExt(memorySource(fixture(name)));
    expect(system.kind).toBe(name.slice(0, 4));
    const { root } = system;
    expect([...root.entries()].map((entry) => `${entry.name} ${entry.kind}`).toSorted()).toEqual([
      'crowd directory',
      'etc directory',
      'large.txt file',
      'link symlink',
      'lost+found directory',
      'many directory',
      'null character-device',
      'zeros file',
    ]);
    expect(readFile(root, 'etc', 'shadow')).toMatch(/^root:\$y\$/);
    expect(readFile(root, 'many', 'file-39')).toBe('number 39');
    expect(root.lookup('crowd')?.lookup('one-of-many-files-7')?.size).toBe(0);
    expect(readFile(root, 'large.txt').length).toBe(20_000);
    expect(root.lookup('etc')?.lookup('shadow')?.extendedAttributes().get('user.note')).toEqual(
      new Uint8Array(Buffer.from('a note')),
    );
    expect(root.lookup('null')?.device).toEqual({ major: 1, minor: 3 });
    expect(root.lookup('link')?.target()).toBe('etc/shadow');
    expect(root.lookup('absent')).toBeUndefined();
    expect(root.lookup('.')).toBeUndefined();
  });

  test('asked for what a node has not, says what it is', () => {
    const root = open(checked);
    expect(() => root.open()).toThrow(DiskError);
    expect(() => root.target()).toThrow(/is a directory, expected a symlink/);
    expect(() => root.lookup('zeros')?.entries()).toThrow(/is a file, expected a directory/);
  });

  test.each<readonly [what: string, at: number, bytes: readonly number[], message: RegExp]>([
    ['another magic', 0x38, [0], /s_magic/],
    ['blocks of 128 KiB', 0x18, [7], /s_log_block_size 7/],
    ['more blocks than there are', 4, [0, 2, 0, 0], /s_blocks_count 512 blocks of 1024 bytes/],
    ['no blocks', 4, [1, 0, 0, 0], /s_blocks_count 1/],
    ['an odd first block', 0x14, [0], /s_first_data_block 0/],
    ['groups of no blocks', 0x20, [0, 0, 0, 0], /s_clusters_per_group 0/],
    ['groups beyond their bitmap', 0x20, [0, 0, 1, 0], /s_clusters_per_group 65536/],
    ['no inodes in a group', 0x28, [0, 0, 0, 0], /s_inodes_per_group 0/],
    ['another count of inodes', 0, [1], /s_inodes_count 1,/],
    ['inodes of 96 bytes', 0x58, [96, 0], /s_inode_size 96/],
    ['inodes of 2,048 bytes', 0x58, [0, 8], /s_inode_size 2048/],
    ['compressed files', 0x60, [0xc3], /s_feature_incompat .* compression/],
    ['an unknown feature', 0x62, [0x10], /unknown features/],
    ['a journal of another file system', 0x60, [0xca], /journal_dev/],
  ])('refuses %s', (_, at, bytes, message) => {
    const image = changed(unchecked, [SUPERBLOCK + at, bytes]);
    expect(() => open(image)).toThrow(ParseError);
    expect(() => open(image)).toThrow(message);
  });

  test.each<readonly [what: string, find: string | number, message: RegExp, read: (root: FileNode) => unknown]>([
    ['superblock', SUPERBLOCK + 0x78, /s_checksum/, (root) => root.kind],
    ['group descriptor', 2048 + 0xc, /bg_checksum .* of group 0/, (root) => root.kind],
    ['inode', 'inode', /i_checksum .* of inode 2/, (root) => root.kind],
    ['directory', 'shadow\0\0', /det_checksum .* of directory/, (root) => readFile(root, 'etc', 'shadow')],
    ['listed directory', 'shadow\0\0', /det_checksum/, (root) => [...(root.lookup('etc')?.entries() ?? [])]],
    ['leaf of an index', 'files-39', /det_checksum/, (root) => readFile(root, 'crowd', 'one-of-many-files-39')],
    ['index', 'index', /dt_checksum/, (root) => readFile(root, 'crowd', 'one-of-many-files-39')],
    ['listed index', 'index', /dt_checksum/, (root) => [...(root.lookup('crowd')?.entries() ?? [])]],
  ])('names the structure with a wrong checksum: %s', (what, find, message, read) => {
    let at = typeof find === 'number' ? find : Buffer.from(checked).indexOf(find);
    const view = new DataView(checked.buffer);
    if (find === 'inode') at = view.getUint32(2048 + 8, true) * 1024 + 256 + 0x10;
    if (find === 'index') at = indexRoot() + 0x24;
    expect(at, what).toBeGreaterThan(0);
    const image = changed(checked, [at, [(checked[at] ?? 0) ^ 1]]);
    expect(() => read(open(image))).toThrow(ParseError);
    expect(() => read(open(image))).toThrow(message);
  });

  test('a wrong checksum is what is refused, not the change: put right, it is read', () => {
    const image = changed(checked, [SUPERBLOCK + 0x78, [...Buffer.from('renamed')]]);
    const checksum = crc32c(CRC_START, image, SUPERBLOCK, SUPERBLOCK + 0x3fc);
    new DataView(image.buffer).setUint32(SUPERBLOCK + 0x3fc, checksum, true);
    expect(openExt(memorySource(image)).label).toBe('renamed');
  });

  test('refuses every truncation', () => {
    for (let length = 0; length < unchecked.length; length += 512) {
      expect(() => open(unchecked.subarray(0, length))).toThrow(ParseError);
    }
  });

  test('an intact image is seen whole by the sweep', () => {
    for (const image of [checked, unchecked]) expect(exercise(image, openExt)).toBe(114);
  });
});

test('recogniseExt() goes by the magic number, and never beyond the end', () => {
  expect(recogniseExt(memorySource(checked))).toBe(true);
  expect(recogniseExt(memorySource(changed(checked, [SUPERBLOCK + 0x38, [0]])))).toBe(false);
  expect(recogniseExt(memorySource(new Uint8Array(1100)))).toBe(false);
});

/** Where the index of the only indexed directory begins: behind '..', whose record spans the block. */
function indexRoot(): number {
  for (let at = 0; at < checked.length; at += 1024) {
    const isRoot = checked[at + 0x1d] === 8 && checked[at + 6] === 1 && checked[at + 12 + 6] === 2;
    if (isRoot && checked[at + 8] === 0x2e && checked[at + 0x20] !== 0) return at;
  }
  return 0;
}
