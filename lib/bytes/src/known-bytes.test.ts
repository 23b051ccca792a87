import { describe, expect, test } from 'vitest';
import { KnownBytes } from './known-bytes.ts';

const bytes = (first: number, last = 7): Uint8Array => Uint8Array.of(first, ...new Uint8Array(40), last);

describe('KnownBytes', () => {
  test('finds what was kept for the very same bytes', () => {
    const known = new KnownBytes<string>(2);
    known.set(bytes(1), 'one');
    expect(known.get(bytes(1))).toBe('one');
  });

  test('does not find it for bytes that have its end and differ before it', () => {
    const known = new KnownBytes<string>(2);
    known.set(bytes(1), 'one');
    expect(known.get(bytes(2))).toBeUndefined();
    expect(known.get(bytes(1).subarray(1))).toBeUndefined();
  });

  test('does not find it for bytes that were given its hint', () => {
    const known = new KnownBytes<string>(2);
    const hint = Uint8Array.of(9);
    known.set(bytes(1), 'one', hint);
    expect(known.get(bytes(1), hint)).toBe('one');
    expect(known.get(bytes(2), hint)).toBeUndefined();
  });

  test('keeps a copy: bytes that change afterwards are not what was kept', () => {
    const known = new KnownBytes<string>(2);
    const given = bytes(1);
    known.set(given, 'one');
    given[0] = 2;
    expect(known.get(given)).toBeUndefined();
    expect(known.get(bytes(1))).toBe('one');
  });

  test('forgets what was not asked for the longest', () => {
    const known = new KnownBytes<number>(2);
    for (const end of [1, 2, 3]) known.set(bytes(0, end), end);
    expect([1, 2, 3].map((end) => known.get(bytes(0, end)))).toEqual([undefined, 2, 3]);
  });
});
