import { describe, expect, test } from 'vitest';
import { ByteCache } from './byte-cache.ts';

describe('ByteCache', () => {
  test('forgets what was not used for longest, whichever section it is in', () => {
    const cache = new ByteCache(30);
    const [left, right] = [cache.section(), cache.section()];
    left.set(1, new Uint8Array(10));
    right.set(1, new Uint8Array(10));
    left.set(2, new Uint8Array(10));
    expect(left.get(1)?.length).toBe(10);
    right.set(2, new Uint8Array(10));
    expect(right.get(1)).toBeUndefined();
    expect(left.get(1)?.length).toBe(10);
    expect(cache.bytes).toBe(30);
  });

  test('counts a block that is set again once', () => {
    const cache = new ByteCache(30);
    const section = cache.section();
    section.set(1, new Uint8Array(20));
    section.set(1, new Uint8Array(5));
    expect(cache.bytes).toBe(5);
  });

  test('never keeps what is larger than its budget', () => {
    const cache = new ByteCache(30);
    const section = cache.section();
    section.set(1, new Uint8Array(10));
    section.set(2, new Uint8Array(31));
    expect(section.get(2)).toBeUndefined();
    expect(section.get(1)?.length).toBe(10);
  });
});
