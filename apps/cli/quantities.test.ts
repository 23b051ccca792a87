import { assert, integer, property } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatAge, formatBytes, formatMiB, formatTime, parseCount, parseMiB } from './quantities.ts';

describe('parseMiB()', () => {
  it.each([
    ['512', 512],
    ['512M', 512],
    ['512MiB', 512],
    ['512 mb', 512],
    ['2G', 2048],
    ['1.5g', 1536],
    ['1T', 1048576],
  ])('%j is %i MiB', (text, mib) => {
    expect(parseMiB(text, '--memory')).toBe(mib);
  });

  it.each([
    '',
    'G',
    '-1',
    '0',
    '0G',
    '1.0001M',
    '0.3M',
    '1e3',
    '5K',
    '1GB2',
    '0x10',
    '99999999999999',
    ' ',
    '1_000',
    '٣',
  ])('refuses %j', (text) => {
    expect(() => parseMiB(text, '--memory')).toThrow('--memory');
  });

  it('reads back what formatMiB() writes', () => {
    const mib = integer({ min: 1, max: 2 ** 26 });
    assert(
      property(mib, (size) => {
        expect(parseMiB(formatMiB(size), '--disk')).toBe(size);
      }),
    );
  });
});

describe('parseCount()', () => {
  it('takes whole numbers up to its limit', () => {
    expect(parseCount('0', '--grace', 120)).toBe(0);
    expect(parseCount('120', '--grace', 120)).toBe(120);
    for (const text of ['121', '-1', '1.5', '', 'x', '1e2'])
      expect(() => parseCount(text, '--grace', 120)).toThrow('--grace');
  });
});

describe('formats for people', () => {
  it.each([
    [512, '512 MiB'],
    [1024, '1 GiB'],
    [1536, '1.5 GiB'],
    [1025, '1025 MiB'],
    [1048576, '1 TiB'],
  ])('%i MiB is %s', (mib, text) => {
    expect(formatMiB(mib)).toBe(text);
  });

  it.each([
    [0, '0 B'],
    [1023, '1023 B'],
    [1536, '1.5 KiB'],
    [73_400_320, '70 MiB'],
  ])('%i bytes are %s', (bytes, text) => {
    expect(formatBytes(bytes)).toBe(text);
  });

  it.each([
    [12, '12 s'],
    [90, '1 min'],
    [3 * 3600, '3 h'],
    [47 * 3600, '47 h'],
    [9 * 86_400, '9 d'],
    [-5, '0 s'],
  ])('%i seconds ago is %s', (seconds, text) => {
    const now = Date.parse('2026-11-21T12:00:00Z');
    expect(formatAge(new Date(now - seconds * 1000).toISOString(), now)).toBe(text);
  });

  it('formatTime() names the zone', () => {
    expect(formatTime('2026-11-21T02:14:05.123Z')).toBe('2026-11-21 02:14:05 UTC');
  });
});
