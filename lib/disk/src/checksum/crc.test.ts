import { crc32 as zlibCrc32 } from 'node:zlib';
import { utf8 } from '@ringwall/bytes';
import { assert, property, uint8Array } from 'fast-check';
import { expect, test } from 'vitest';
import { CRC_START, crc16, crc32, crc32c, crc32cOfNumber, crc32Forward } from './crc.ts';

// The check values of the catalogue of parametrised CRC algorithms.
const CHECK = utf8('123456789');

test('the check values of the algorithms', () => {
  expect((crc32c(CRC_START, CHECK) ^ CRC_START) >>> 0).toBe(0xe3069283);
  expect((crc32(CRC_START, CHECK) ^ CRC_START) >>> 0).toBe(0xcbf43926);
  expect(crc16(0, CHECK)).toBe(0xbb3d);
  expect((crc32Forward(CRC_START, CHECK) ^ CRC_START) >>> 0).toBe(0xfc891918);
});

test('crc32() is that of zlib for any bytes, in one piece or in two', () => {
  assert(
    property(uint8Array({ maxLength: 100 }), uint8Array({ maxLength: 100 }), (left, right) => {
      const both = Uint8Array.from([...left, ...right]);
      const whole = (crc32(CRC_START, both) ^ CRC_START) >>> 0;
      expect(whole).toBe(zlibCrc32(both));
      expect((crc32(crc32(CRC_START, both, 0, left.length), both, left.length) ^ CRC_START) >>> 0).toBe(whole);
    }),
  );
});

test('crc32cOfNumber() takes a number as its four bytes, little-endian', () => {
  expect(crc32cOfNumber(CRC_START, 0xfedcba98)).toBe(crc32c(CRC_START, Uint8Array.of(0x98, 0xba, 0xdc, 0xfe)));
});
