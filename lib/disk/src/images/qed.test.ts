import { ParseError } from '@ringwall/bytes';
import { describe, expect, test } from 'vitest';
import { fixture } from '../../testing/fixtures.ts';
import { altered, le32, le64 } from '../../testing/image-maker.ts';
import { memorySource } from '../source/byte-source.ts';
import { openImage } from './open-image.ts';

const image = fixture('image-qed');
const L1_AT = Number(new DataView(image.buffer).getBigUint64(40, true));
const L2_AT = Number(new DataView(image.buffer).getBigUint64(L1_AT, true));
/** Of the first cluster with data: the disk begins with zeros. */
const DATA_AT = image.findIndex((byte, at) => at >= L2_AT && at % 8 !== 0 && byte !== 0) & ~7;

test('the fixture has data where the tests look for them', () => {
  expect(DATA_AT).toBeGreaterThanOrEqual(L2_AT);
});

describe('openImage() refuses a QED', () => {
  test.each<[string, Uint8Array, RegExp]>([
    ['with clusters of 3,000 bytes', altered(image, 4, le32(3000)), /^cluster_size 3000/],
    ['with clusters of 2 GiB', altered(image, 4, le32(2 ** 31)), /^cluster_size 2147483648/],
    ['with tables of 3 clusters', altered(image, 8, le32(3)), /^table_size 3/],
    ['with a header of nothing', altered(image, 12, le32(0)), /^header_size 0/],
    ['with an unknown feature', altered(image, 16, le64(8)), /^features 0x8/],
    ['with its L1 table beyond its end', altered(image, 40, le64(2n ** 45n)), /^l1_table_offset says/],
    ['with its L1 table in its header', altered(image, 40, le64(0)), /^l1_table_offset 0/],
    ['of more than its tables reach', altered(image, 48, le64(2n ** 52n)), /^image_size/],
    ['of 2^63 bytes', altered(image, 48, le64(2n ** 63n)), /^image_size 9223372036854775808/],
    [
      'with a backing file named outside its header',
      altered(altered(image, 16, le64(1)), 56, le32(2 ** 31, 5)),
      /^backing_filename_size 5 at/,
    ],
    ['with an L2 table askew', altered(image, L1_AT, le64(L2_AT + 8)), /^L1 entry/],
    ['with an L2 table beyond its end', altered(image, L1_AT, le64(2n ** 50n)), /^L1 entry says/],
    ['with a cluster in its header', altered(image, DATA_AT, le64(2)), /^L2 entry 2/],
    ['with a cluster beyond its end', altered(image, DATA_AT, le64(2n ** 50n)), /^L2 entry says/],
  ])('%s', (_, bytes, message) => {
    const read = (): unknown => {
      const disk = openImage(memorySource(bytes));
      return disk.read(0, disk.size);
    };
    expect(read).toThrow(message);
    expect(read).toThrow(ParseError);
  });
});
