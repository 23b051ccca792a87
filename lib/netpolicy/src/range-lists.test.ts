import { describe, expect, test } from 'vitest';
import { type AddressRange, rangeCovers, rangesOverlap } from './address.ts';
import { inOrder, listCovers, listsOverlap } from './range-lists.ts';

/** Small numbers, so that ranges meet, touch and lie in each other; by a generator that says the same each time. */
function* lists(): Generator<readonly [AddressRange[], AddressRange[]]> {
  let seed = 1;
  const below = (most: number): number => {
    seed = (seed * 48_271) % 2_147_483_647;
    return seed % most;
  };
  const list = (): AddressRange[] =>
    Array.from({ length: below(5) }, () => {
      const first = BigInt(below(12));
      return { family: below(3) === 0 ? 6 : 4, first, last: first + BigInt(below(5)) };
    });
  for (let round = 0; round < 6_000; round += 1) yield [list(), list()];
}

describe('lists of ranges in order', () => {
  test('overlap and cover each other just as each range with each', () => {
    const seen = { overlap: 0, cover: 0 };
    for (const [a, b] of lists()) {
      const overlap = a.some((one) => b.some((other) => rangesOverlap(one, other)));
      const cover = b.every((range) => a.some((candidate) => rangeCovers(candidate, range)));
      expect([a, b, listsOverlap(inOrder(a), inOrder(b))]).toEqual([a, b, overlap]);
      expect([a, b, listCovers(inOrder(a), inOrder(b))]).toEqual([a, b, cover]);
      seen.overlap += overlap ? 1 : 0;
      seen.cover += cover && b.length > 0 ? 1 : 0;
    }
    expect(seen.overlap).toBeGreaterThan(500);
    expect(seen.cover).toBeGreaterThan(100);
  });
});
