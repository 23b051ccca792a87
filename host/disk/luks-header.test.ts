import { describe, expect, test } from 'vitest';
import { isOurLuksHeader, LUKS_FIELDS_BYTES, makeLuksHeader } from './luks-header.ts';

const PASSPHRASE = Buffer.alloc(64, 'a');

describe('isOurLuksHeader()', () => {
  test('takes what we write, whatever its keys and salts', () => {
    const [one, two] = [makeLuksHeader(PASSPHRASE), makeLuksHeader(Buffer.alloc(64, 'b'))];
    expect(Buffer.compare(one.subarray(0, LUKS_FIELDS_BYTES), two.subarray(0, LUKS_FIELDS_BYTES))).not.toBe(0);
    expect([isOurLuksHeader(one), isOurLuksHeader(two.subarray(0, LUKS_FIELDS_BYTES))]).toEqual([true, true]);
  });

  test.each([
    ['another magic', 0],
    ['another version', 7],
    ['another cipher', 8],
    ['another mode', 40],
    ['another hash', 72],
    ['another beginning of the contents', 107],
    ['a longer key', 111],
    ['more work on the volume key', 164],
    ['no first slot', 208],
    ['more work on the first slot', 212],
    ['the first slot elsewhere', 251],
    ['fewer stripes', 255],
    ['a second slot', 256],
    ['a salt of a slot that is not used', 270],
    ['another place of the last slot', 587],
  ])('refuses %s', (_, at) => {
    const header = makeLuksHeader(PASSPHRASE);
    header[at] = (header[at] ?? 0) ^ 1;
    expect(isOurLuksHeader(header)).toBe(false);
  });

  test('refuses one that is cut', () => {
    const header = makeLuksHeader(PASSPHRASE);
    for (let length = 0; length < LUKS_FIELDS_BYTES; length += 1) {
      expect(isOurLuksHeader(header.subarray(0, length))).toBe(false);
    }
  });
});
