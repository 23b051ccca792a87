import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Cursor } from './cursor.ts';
import { Writer } from './writer.ts';

const U64 = 0xffff_ffff_ffff_ffffn;

describe('Writer', () => {
  test('what it writes, Cursor reads', () => {
    const numbers = fc.record({
      a: fc.nat(0xff),
      b: fc.nat(0xffff),
      c: fc.integer({ min: 0, max: 0xffff_ffff }),
      d: fc.bigInt({ min: 0n, max: U64 }),
      e: fc.uint8Array({ maxLength: 300 }),
    });
    fc.assert(
      fc.property(numbers, ({ a, b, c, d, e }) => {
        const writer = new Writer().u8(a).u16be(b).u16le(b).u32be(c).u32le(c).u64be(d).u64le(d);
        const bytes = writer
          .sized16be((inner) => inner.bytes(e))
          .sized32le((inner) => inner.bytes(e))
          .finish();
        const cursor = new Cursor(bytes);
        expect(cursor.u8('a')).toBe(a);
        expect([cursor.u16be('b'), cursor.u16le('b')]).toEqual([b, b]);
        expect([cursor.u32be('c'), cursor.u32le('c')]).toEqual([c, c]);
        expect([cursor.u64be('d'), cursor.u64le('d')]).toEqual([d, d]);
        expect(cursor.take(cursor.u16be('size'), 'e')).toEqual(e);
        expect(cursor.take(cursor.u32le('size'), 'e')).toEqual(e);
        cursor.end('all');
        expect(writer.length).toBe(bytes.length);
      }),
    );
  });

  test.each<[string, () => unknown]>([
    ['u8 of 256', () => new Writer().u8(256)],
    ['u8 of -1', () => new Writer().u8(-1)],
    ['u16be of 65536', () => new Writer().u16be(65_536)],
    ['u16le of a fraction', () => new Writer().u16le(0.5)],
    ['u32be of 2^32', () => new Writer().u32be(2 ** 32)],
    ['u32le of NaN', () => new Writer().u32le(Number.NaN)],
    ['u64be of -1', () => new Writer().u64be(-1n)],
    ['u64le of 2^64', () => new Writer().u64le(U64 + 1n)],
    ['sized16be of 65,536 bytes', () => new Writer().sized16be((inner) => inner.bytes(new Uint8Array(65_536)))],
  ])('refuses %s', (_, write) => {
    expect(write).toThrow(RangeError);
  });

  test('a finished copy does not change with what is written later', () => {
    const writer = new Writer().u8(1);
    const first = writer.finish();
    writer.u8(2);
    expect(first).toEqual(Uint8Array.of(1));
    expect(writer.finish()).toEqual(Uint8Array.of(1, 2));
  });
});
