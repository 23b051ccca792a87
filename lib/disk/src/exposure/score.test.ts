import { array, assert, integer, property, record, string } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { scoreOf } from './score.ts';

const find = (id: string, worth: number): { rule: { id: string }; worth: number } => ({ rule: { id }, worth });

describe('scoreOf()', () => {
  test.each([
    [[], 0, 'nothing'],
    [[find('a', 5)], 5, 'little'],
    [[find('a', 50), find('a', 50)], 50, 'much'],
    [[find('a', 20), find('a', 50)], 50, 'much'],
    [[find('a', 50), find('b', 50)], 75, 'all that matters'],
  ])('of %j is %i, %s', (finds, points, grade) => {
    expect(scoreOf(finds)).toEqual({ points, grade });
  });

  test('never falls with one find more, and never passes 100', () => {
    const worths = integer({ min: 1, max: 90 });
    const finds = array(record({ rule: record({ id: string({ maxLength: 2 }) }), worth: worths }));
    assert(
      property(finds, worths, (some, worth) => {
        const { points } = scoreOf([...some, find('another', worth)]);
        expect(points).toBeGreaterThanOrEqual(scoreOf(some).points);
        expect(points).toBeLessThanOrEqual(100);
      }),
    );
  });
});
