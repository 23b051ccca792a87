import { expect, test } from 'vitest';
import { BoundedMap } from './bounded-map.ts';

test('BoundedMap forgets what was not used for longest, and holds no more than its limit', () => {
  const map = new BoundedMap<string, number>(2);
  map.set('a', 1);
  map.set('b', 2);
  expect(map.get('a')).toBe(1);
  map.set('c', 3);
  expect([map.get('a'), map.get('b'), map.get('c'), map.size]).toEqual([1, undefined, 3, 2]);
  map.set('a', 4);
  map.delete('c');
  expect([map.get('a'), map.get('c'), map.size]).toEqual([4, undefined, 1]);
});

test('BoundedMap refuses a limit that holds nothing', () => {
  for (const limit of [0, -1, 1.5, Number.NaN]) expect(() => new BoundedMap(limit)).toThrow(RangeError);
});
