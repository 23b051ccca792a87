import { ParseError } from '@ringwall/bytes';
import { describe, expect, test } from 'vitest';
import { altered, be32, be64, KIB, vhd } from '../../../testing/image-maker.ts';
import { memorySource } from '../../source/byte-source.ts';
import type { DiskImage } from '../disk-image.ts';
import { openImage } from '../open-image.ts';
import { vhdChecksum } from './footer.ts';

const FULL = [0xff, 0xff];
const PARENT = vhd(1, [{ bitmap: FULL, fill: 0x11 }, { bitmap: FULL, fill: 0x12 }, undefined]);
const CHILD = vhd(2, [{ bitmap: [0b0110_0000, 0x01], fill: 0x21 }, undefined, { bitmap: FULL, fill: 0x23 }], {
  uuid: 1,
  name: 'base.vhd',
});

function openChild(bytes: Uint8Array, parent: Uint8Array = PARENT): DiskImage {
  return openImage(memorySource(bytes), { resolve: () => memorySource(parent) });
}

/** The dynamic header, or the footer and its copy, with a number written over and their checksums made good. */
function lie(at: number, change: Uint8Array): Uint8Array {
  const bytes = altered(PARENT, at, change);
  if (at < 512) bytes.set(change, bytes.length - 512 + at);
  for (const [start, length, checksum] of [
    [0, 512, 64],
    [512, 1024, 36],
    [bytes.length - 512, 512, 64],
  ] as const) {
    bytes.set(be32(vhdChecksum(bytes.subarray(start, start + length), checksum)), start + checksum);
  }
  return bytes;
}

test('openImage() reads a differencing VHD: its own sectors by the bitmap, its parent’s between', () => {
  const image = openChild(CHILD);
  const sectors = Array.from({ length: 48 }, (_, sector) => image.read(sector * 512, 1)[0]);
  const block = (own: number, below: number, mine: readonly number[]): number[] =>
    Array.from({ length: 16 }, (_, sector) => (mine.includes(sector) ? own : below));
  expect(sectors).toEqual([...block(0x21, 0x11, [1, 2, 15]), ...block(0, 0x12, []), ...block(0x23, 0x23, [])]);
  expect([...image.read(511, 2)]).toEqual([0x11, 0x21]);
  expect(image.references).toMatchObject([
    { kind: 'parent', name: 'base.vhd', field: 'parent_unicode_name', offset: 576 },
    { kind: 'parent', name: 'base.vhd', field: 'parent locator W2ru', offset: 2048 },
  ]);
});

describe('openImage() refuses a VHD', () => {
  test('upon a parent that is another disk', () => {
    expect(() => openChild(CHILD, vhd(3, [undefined, undefined, undefined]))).toThrow(/^parent_unique_id says 0101/);
  });

  test('upon a parent that nobody gave', () => {
    expect(() => openImage(memorySource(CHILD))).toThrow(/parent locator W2ru at 2048 names another file/);
  });

  test('upon itself', () => {
    const self = vhd(1, [undefined], { uuid: 1, name: 'x' });
    expect(() => openChild(self, self)).toThrow(/names image 65 of a chain/);
  });

  test.each<[string, number, Uint8Array, RegExp]>([
    ['of an unknown version', 12, be32(0x2_0000), /^file_format_version 0x20000/],
    ['of an unknown type', 60, be32(5), /^disk_type 5/],
    ['of 2^63 bytes', 48, be64(2n ** 63n), /^current_size 9223372036854775808/],
    ['of part of a sector', 48, be64(1000), /^current_size 1000, expected a multiple of 512/],
    ['of more blocks than its table has', 48, be64(2n ** 40n), /^max_table_entries 3, expected at least/],
    ['with its header beyond its end', 16, be64(2n ** 40n), /^data_offset says 1024 bytes at 1099511627776/],
    ['with blocks of 2 GiB', 512 + 32, be32(2 ** 31), /^block_size 2147483648/],
    ['with blocks of an odd size', 512 + 32, be32(3 * 512), /^block_size 1536/],
    ['with blocks of nothing', 512 + 32, be32(0), /^block_size 0/],
    ['with its table beyond its end', 512 + 16, be64(2n ** 40n), /^table_offset says 12 bytes/],
    ['with its table askew', 512 + 16, be64(1537), /^table_offset 1537/],
    ['with a block beyond its end', 1536, be32(2 ** 31), /^block allocation table entry says/],
    ['with a block that is its footer', 1536, be32(0), /^block allocation table entry 0/],
  ])('%s', (_, at, change, message) => {
    const read = (): Uint8Array => openImage(memorySource(lie(at, change)), { format: 'vhd' }).read(0, 24 * KIB);
    expect(read).toThrow(message);
    expect(read).toThrow(ParseError);
  });

  test('whose checksum does not fit', () => {
    const bytes = altered(PARENT, 512 + 30, new Uint8Array([1]));
    expect(() => openImage(memorySource(bytes))).toThrow(/^checksum 0x/);
  });
});

test('openImage() reads a dynamic VHD whose end is lost by the copy at its start', () => {
  const image = openImage(memorySource(PARENT.subarray(0, -512)));
  expect(image.format).toBe('vhd');
  expect(image.read(8 * KIB, 1)[0]).toBe(0x12);
});
