import { ParseError } from '@ringwall/bytes';
import { assert, property, uint8Array } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { checkFileName, decodeFileName, encodeFileName } from './file-name.ts';

describe('decodeFileName()', () => {
  test.each([
    ['UTF-8', [0xc3, 0xa4, 0xe2, 0x82, 0xac, 0xf0, 0x9f, 0x98, 0x80], 'ä€😀'],
    ['Latin-1', [0x61, 0xe4, 0x62], 'a\udce4b'],
    ['a character cut short', [0xe2, 0x82], '\udce2\udc82'],
    ['a surrogate', [0xed, 0xa0, 0x80, 0x78], '\udced\udca0\udc80x'],
    ['an overlong slash', [0xc0, 0xaf], '\udcc0\udcaf'],
    ['a byte order mark', [0xef, 0xbb, 0xbf, 0x61], '\ufeffa'],
  ])('keeps %s', (_, bytes, name) => {
    expect(decodeFileName(Uint8Array.from(bytes))).toBe(name);
  });

  test('loses no byte', () => {
    assert(
      property(uint8Array({ maxLength: 40 }), (bytes) => {
        expect(encodeFileName(decodeFileName(bytes))).toEqual(bytes);
      }),
    );
  });
});

test.each(['', '.', '..', 'a/b', '/', 'a\0'])('checkFileName() refuses %j', (name) => {
  expect(() => checkFileName(name, 'd_name', 7)).toThrow(ParseError);
});
