import { ParseError } from '@ringwall/bytes';
import { describe, expect, test } from 'vitest';
import { fixture } from '../../../testing/fixtures.ts';
import { exercise } from '../../../testing/hostile.ts';
import { DiskError } from '../../disk-error.ts';
import { memorySource } from '../../source/byte-source.ts';
import type { FileNode } from '../file-system.ts';
import { openErofs } from './erofs.ts';

const SUPERBLOCK = 1024;
const image = fixture('erofs');
const open = (bytes: Uint8Array): ReturnType<typeof openErofs> => openErofs(memorySource(bytes));

/** Without the checksum of its superblock, which a liar would have computed anew. */
function changed(from: Uint8Array, offset: number, ...bytes: readonly number[]): Uint8Array {
  const copy = new Uint8Array(from);
  copy.fill(0, SUPERBLOCK + 8, SUPERBLOCK + 12);
  copy.set(bytes, offset);
  return copy;
}

/** Where in the image the inode of `node` begins: these fixtures have their metadata at the start. */
const inodeOf = (node: FileNode | undefined): number => (node?.id ?? 0) * 32;

describe('openErofs()', () => {
  test.each(['erofs', 'erofs-lz4', 'erofs-lz4-legacy', 'erofs-chunked'])('reads a small image: %s', (name) => {
    const { root, uuid } = open(fixture(name));
    expect(uuid).toBe('12345678-9abc-def0-1234-56789abcdef0');
    expect([...root.entries()].map((entry) => `${entry.name} ${entry.kind}`)).toEqual([
      'etc directory',
      'large.txt file',
      'link symlink',
      'many directory',
      'null character-device',
      'zeros file',
    ]);
    const shadow = root.lookup('etc')?.lookup('shadow');
    expect(Buffer.from(shadow?.open().read(0, 8) ?? []).toString()).toBe('root:$y$');
    expect(shadow?.extendedAttributes().get('user.note')).toEqual(new Uint8Array(Buffer.from('a note')));
    expect(root.lookup('null')?.device).toEqual({ major: 1, minor: 3 });
    expect(root.lookup('link')?.target()).toBe('etc/shadow');
    expect(exercise(fixture(name), openErofs)).toBe(52);
  });

  test.each([
    ['another magic', 0, [0], /^magic/],
    ['blocks of 256 bytes', 12, [8], /blkszbits 8, expected 9\.\.16/],
    ['blocks of 2^200', 12, [200], /blkszbits 200/],
    ['more blocks than there are', 36, [0xff], /blocks \d+ of 4096 bytes/],
    ['large directory blocks', 90, [1], /dirblkbits 1/],
    ['48-bit addresses', 80, [0x80], /feature_incompat has 48-bit addresses/],
    ['a metabox', 80, [0, 1], /feature_incompat has metabox/],
    ['a feature that nobody knows yet', 80, [0, 0, 0x10], /feature_incompat has 0x100000/],
    ['a root elsewhere', 14, [0xff, 0xff], ParseError],
  ])('refuses %s', (_, offset, bytes, message) => {
    const bad = changed(image, SUPERBLOCK + offset, ...bytes);
    expect(() => open(bad)).toThrow(ParseError);
    expect(() => open(bad)).toThrow(message);
  });

  test('refuses a superblock with another checksum', () => {
    const bytes = new Uint8Array(image).fill(7, SUPERBLOCK + 24, SUPERBLOCK + 25);
    expect(() => open(bytes)).toThrow(/^checksum 0x/);
  });

  test('refuses every truncation', () => {
    for (let length = 0; length < image.length; length += 7)
      expect(() => open(image.subarray(0, length))).toThrow(ParseError);
  });

  test('refuses a layout and a kind that there is not', () => {
    const inode = inodeOf(open(image).root.lookup('zeros'));
    expect(() => open(changed(image, inode, 0xfe)).root.lookup('zeros')).toThrow(/i_format 0xfe/);
    expect(() => open(changed(image, inode + 4, 0, 0xf0)).root.lookup('zeros')).toThrow(/i_mode 0o170000/);
  });

  test('a size that nothing holds is noticed at the byte that is missing', () => {
    const inode = inodeOf(open(image).root.lookup('large.txt'));
    const file = open(changed(image, inode + 8, 1, 0, 0, 0x70)).root.lookup('large.txt');
    expect(() => file?.open().read(0x6fff_0000, 10)).toThrow(ParseError);
    expect(() => file?.open().read(0, 0x7000_0001)).toThrow(DiskError);
  });

  test('a directory whose names overlap its entries is refused', () => {
    const { root } = open(image);
    const many = inodeOf(root.lookup('many'));
    const view = new DataView(image.buffer);
    const inline = many + (view.getUint16(many, true) % 2 === 1 ? 64 : 32);
    const bad = changed(image, inline + 8, 13);
    expect(() => [...(open(bad).root.lookup('many')?.entries() ?? [])]).toThrow(/nameoff 269/);
  });
});

describe('chunks', () => {
  const chunked = fixture('erofs-chunked');
  const zeros = open(chunked).root.lookup('zeros');
  const inode = inodeOf(zeros);
  const view = new DataView(chunked.buffer);
  const table = inode + (view.getUint16(inode, true) % 2 === 1 ? 64 : 32);

  test('a hole reads as zeros, and is passed over', () => {
    const bytes = changed(chunked, table + 4, 255, 255, 255, 255);
    const file = open(bytes).root.lookup('zeros')?.open();
    expect(file?.read(4000, 200)).toEqual(new Uint8Array(200));
    expect(file?.read(0, 10)).toEqual(new Uint8Array(10));
    expect(file?.nextData?.(0)).toEqual({ offset: 4096, length: 4096 });
    expect(open(chunked).root.lookup('zeros')?.open().nextData?.(0)).toEqual({ offset: 0, length: 4096 });
  });

  test('a chunk on another device is a reference', () => {
    const bytes = changed(chunked, table + 2, 1);
    new DataView(bytes.buffer).setUint16(SUPERBLOCK + 86, 1, true);
    expect(() => open(bytes).root.lookup('zeros')?.open().read(0, 1)).toThrow(/device_id 1/);
  });
});

describe('compressed clusters', () => {
  const compressed = fixture('erofs-lz4');
  const inode = inodeOf(open(compressed).root.lookup('large.txt'));
  const extended = (compressed[inode] ?? 0) % 2 === 1;
  const header = inode + (extended ? 64 : 32);
  const read = (bytes: Uint8Array): Uint8Array | undefined => {
    const file = open(bytes).root.lookup('large.txt')?.open();
    return file?.read(0, file.size);
  };

  test.each([
    ['fragments', 4, [0x20], /fragments/],
    ['a file that lies in the packed inode', 7, [0x80], /fragments/],
    ['huge clusters', 7, [15], /h_clusterbits/],
    ['LZMA', 6, [1], /LZMA, expected LZ4/],
    ['heads that differ', 4, [3], /h_advise/],
  ])('names %s', (_, offset, bytes, message) => {
    expect(() => read(changed(compressed, header + offset, ...bytes))).toThrow(message);
  });

  test('a chain of clusters that leads out of the file is refused', () => {
    const bytes = changed(compressed, header + 8, 0xff, 0x2f);
    expect(() => read(bytes)).toThrow(ParseError);
  });
});
