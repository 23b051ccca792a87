import { ParseError } from '@ringwall/bytes';
import { describe, expect, test } from 'vitest';
import { fixture } from '../../testing/fixtures.ts';
import { altered, le32, le64, MIB } from '../../testing/image-maker.ts';
import { memorySource } from '../source/byte-source.ts';
import { openImage } from './open-image.ts';

const image = fixture('image-vdi');
const MAP_AT = new DataView(image.buffer).getUint32(340, true);
const UUID = image.subarray(392, 408);

/** A disk upon `image`: of its own it has nothing. */
function child(parent: Uint8Array): Uint8Array {
  const differencing = altered(altered(image, 76, le32(4)), 440, parent);
  return altered(altered(differencing, 388, le32(0)), MAP_AT, le32(0xffffffff));
}

test('openImage() reads a differencing VDI upon the parent of that UUID', () => {
  const own = openImage(memorySource(image));
  const upon = openImage(memorySource(child(UUID)), { resolve: () => memorySource(image) });
  expect(Buffer.compare(upon.read(0, own.size), own.read(0, own.size))).toBe(0);
  expect(upon.references).toEqual([
    { kind: 'parent', name: own.facts['uuid'], format: 'vdi', field: 'uuid_parent', offset: 440 },
  ]);
});

test('openImage() reads a block of zeros as such, whatever lies below', () => {
  const bytes = altered(child(UUID), MAP_AT, le32(0xfffffffe));
  const upon = openImage(memorySource(bytes), { resolve: () => memorySource(image) });
  expect(upon.read(0, upon.size).every((byte) => byte === 0)).toBe(true);
  expect(upon.nextData(0)).toBeUndefined();
});

describe('openImage() refuses a VDI', () => {
  test.each<[string, Uint8Array, RegExp]>([
    ['of version 2', altered(image, 68, le32(0x2_0000)), /^version 0x20000/],
    ['of an unknown type', altered(image, 76, le32(3)), /^image_type 3/],
    ['of 2^63 bytes', altered(image, 368, le64(2n ** 63n)), /^disk_size/],
    ['of more blocks than it has', altered(image, 368, le64(2 ** 40)), /^blocks_in_image 1/],
    ['with sectors of 4 KiB', altered(image, 360, le32(4096)), /^sector_size 4096/],
    ['with blocks of nothing', altered(image, 376, le32(0)), /^block_size 0/],
    ['with more blocks in use than it has', altered(image, 388, le32(9)), /^blocks_allocated 9/],
    ['with its map beyond its end', altered(image, 340, le32(2 ** 31)), /^offset_bmap says/],
    ['with its map in its header', altered(image, 340, le32(8)), /^offset_bmap 8/],
    ['with data over its map', altered(image, 344, le32(MAP_AT)), /^offset_data/],
    [
      'with a block that is not in use',
      altered(image, MAP_AT, le32(1)),
      /^block map entry 1, expected below blocks_allocated 1/,
    ],
    ['with blocks beyond its end', altered(image, 344, le32(64 * MIB)), /^block map entry says/],
  ])('%s', (_, bytes, message) => {
    const read = (): unknown => openImage(memorySource(bytes)).read(0, 1000);
    expect(read).toThrow(message);
    expect(read).toThrow(ParseError);
  });

  test('upon another parent, or upon itself', () => {
    const other = child(new Uint8Array(16).fill(1));
    expect(() => openImage(memorySource(other), { resolve: () => memorySource(image) })).toThrow(
      /^uuid_parent says 01010101/,
    );
    const self = child(UUID);
    expect(() => openImage(memorySource(self), { resolve: () => memorySource(self) })).toThrow(
      /names image 65 of a chain/,
    );
  });
});
