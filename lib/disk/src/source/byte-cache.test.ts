import { describe, expect, test } from 'vitest';
import { ByteCache, giveBack } from './byte-cache.ts';

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

  test('gives the memory of large blocks back as soon as it forgets them', () => {
    const cache = new ByteCache(3 * 2 ** 20, giveBack);
    const section = cache.section();
    const blocks = [0, 1].map(() => new Uint8Array(2 ** 21));
    for (const [key, block] of blocks.entries()) section.set(key, block);
    expect(blocks.map(({ length }) => length)).toEqual([0, 2 ** 21]);
  });

  test('takes no memory away that a block shares with others', () => {
    const shared = new Uint8Array(2 ** 22);
    giveBack(shared.subarray(0, 2 ** 20));
    const small = new Uint8Array(4096);
    giveBack(small);
    expect([shared.length, small.length]).toEqual([2 ** 22, 4096]);
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
