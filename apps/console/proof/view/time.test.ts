import { describe, expect, it } from 'vitest';
import { formatAge, formatTime } from './time.ts';

const NOW = new Date('2026-11-21T12:00:00.500Z');

describe('formatAge()', () => {
  it.each([
    [0, 'just now'],
    [999, 'just now'],
    [1000, '1 second ago'],
    [90_000, '1 minute ago'],
    [7_200_000, '2 hours ago'],
    [86_400_000 * 400, '1 year ago'],
    [-300_000, 'in 5 minutes'],
  ])('calls %i ms %s', (ms, age) => {
    expect(formatAge(new Date(NOW.getTime() - ms), NOW)).toBe(age);
  });
});

describe('formatTime()', () => {
  it('is in UTC and says so', () => {
    expect(formatTime(NOW)).toBe('2026-11-21 12:00:00 UTC');
  });
});
