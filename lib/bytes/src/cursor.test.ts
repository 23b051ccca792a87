import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Cursor } from './cursor.ts';
import { ParseError } from './parse-error.ts';

const EIGHT = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);

describe('Cursor', () => {
  test('reads big and little endian', () => {
    expect(new Cursor(EIGHT).u16be('x')).toBe(0x0102);
    expect(new Cursor(EIGHT).u16le('x')).toBe(0x0201);
    expect(new Cursor(EIGHT).u32be('x')).toBe(0x0102_0304);
    expect(new Cursor(EIGHT).u32le('x')).toBe(0x0403_0201);
    expect(new Cursor(EIGHT).u64be('x')).toBe(0x0102_0304_0506_0708n);
    expect(new Cursor(EIGHT).u64le('x')).toBe(0x0807_0605_0403_0201n);
    expect(new Cursor(Uint8Array.of(255, 255, 255, 255)).u32be('x')).toBe(0xffff_ffff);
  });

  test.each<[string, number, (cursor: Cursor) => unknown]>([
    ['u8', 0, (cursor) => cursor.u8('field')],
    ['u16be', 1, (cursor) => cursor.u16be('field')],
    ['u16le', 1, (cursor) => cursor.u16le('field')],
    ['u32be', 3, (cursor) => cursor.u32be('field')],
    ['u32le', 3, (cursor) => cursor.u32le('field')],
    ['u64be', 7, (cursor) => cursor.u64be('field')],
    ['u64le', 7, (cursor) => cursor.u64le('field')],
    ['take', 4, (cursor) => cursor.take(5, 'field')],
    ['skip', 4, (cursor) => cursor.skip(5, 'field')],
    ['sub', 4, (cursor) => cursor.sub(5, 'field')],
  ])('%s refuses to read beyond the end, and stays where it was', (_, length, read) => {
    const cursor = new Cursor(EIGHT.subarray(0, length), 100);
    expect(() => read(cursor)).toThrow(ParseError);
    expect(caught(() => read(cursor))).toMatchObject({ code: 'truncated', field: 'field', offset: 100 });
    expect(cursor.remaining).toBe(length);
  });

  test('stays inside a view into a larger buffer', () => {
    const cursor = new Cursor(EIGHT.subarray(2, 4));
    expect(cursor.u16be('x')).toBe(0x0304);
    expect(() => cursor.u8('x')).toThrow(ParseError);
  });

  test('sub() keeps a reader within its structure, and its offsets within the whole', () => {
    const cursor = new Cursor(EIGHT);
    cursor.skip(2, 'x');
    const inner = cursor.sub(3, 'inner');
    inner.skip(3, 'x');
    expect(caught(() => inner.u8('y'))).toMatchObject({ code: 'truncated', offset: 5 });
    expect(cursor.u8('after')).toBe(6);
  });

  test('take() copies, so that a later change of the input changes nothing', () => {
    const bytes = Uint8Array.of(1, 2);
    const taken = new Cursor(bytes).take(2, 'x');
    bytes[0] = 9;
    expect(taken).toEqual(Uint8Array.of(1, 2));
  });

  test('end() refuses bytes that are left over', () => {
    const cursor = new Cursor(EIGHT);
    cursor.skip(7, 'x');
    expect(caught(() => cursor.end('TPMT_PUBLIC'))).toMatchObject({
      code: 'trailing',
      offset: 7,
      message: 'TPMT_PUBLIC has 1 bytes after its end, expected 0',
    });
    cursor.skip(1, 'x');
    cursor.end('TPMT_PUBLIC');
  });

  test.each([-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY])('take() refuses the length %s', (length) => {
    expect(() => new Cursor(EIGHT).take(length, 'x')).toThrow(ParseError);
  });

  test('says what was found and what was expected', () => {
    expect(caught(() => new Cursor(EIGHT).take(40, 'eventSize')).message).toBe(
      'eventSize needs 40 bytes, expected at most 8',
    );
    expect(new Cursor(EIGHT).error('limit', 'eventSize', '40, expected at most 16').message).toBe(
      'eventSize 40, expected at most 16',
    );
  });

  test('reading in any order of lengths gives the input back', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), fc.array(fc.nat(16), { maxLength: 8 }), (bytes, lengths) => {
        const cursor = new Cursor(bytes);
        const parts: number[] = [];
        for (const length of lengths) {
          if (length <= cursor.remaining) parts.push(...cursor.take(length, 'part'));
        }
        parts.push(...cursor.rest('rest'));
        cursor.end('all');
        expect(parts).toEqual([...bytes]);
      }),
    );
  });
});

function caught(action: () => unknown): Error {
  try {
    action();
  } catch (error) {
    if (error instanceof Error) return error;
  }
  throw new Error('nothing was thrown');
}
