import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { addressOf, parseAddress, parseRange, prefixesOf, printRange } from './address.ts';
import { isForeign } from '../testing/is-foreign.ts';

test.each([
  ['10.20.0.0/16', ['10.20.0.0/16']],
  ['10.20.0.5', ['10.20.0.5/32']],
  ['10.20.0.2-10.20.0.9', ['10.20.0.2/31', '10.20.0.4/30', '10.20.0.8/31']],
  ['0.0.0.0-255.255.255.255', ['0.0.0.0/0']],
  ['255.255.255.254-255.255.255.255', ['255.255.255.254/31']],
  ['fd00:20::/64', ['fd00:20::/64']],
  ['fd00::1-fd00::2', ['fd00::1/128', 'fd00::2/128']],
])('prefixesOf() has the fewest prefixes for %s', (range, prefixes) => {
  expect(prefixesOf(parseRange(range, ''))).toEqual(prefixes);
});

describe('parseAddress()', () => {
  test('reads its own canonical text, and addressOf() writes the same', () => {
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (text) => {
        // Dotted tails of IPv6 are a second spelling, which is refused.
        fc.pre(!(text.includes(':') && text.includes('.')));
        const address = parseAddress(text, '');
        expect(parseAddress(address.text, '')).toEqual(address);
        expect(addressOf(address.family, address.value)).toEqual(address);
      }),
    );
  });

  test.each([
    ['fd00:20:0:0:0:0:0:1', 'fd00:20::1'],
    ['0:0:0:0:0:0:0:0', '::'],
    ['2001:DB8:0:1:0:0:0:1', '2001:db8:0:1::1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['1:0:0:2:0:0:0:3', '1:0:0:2::3'],
  ])('knows %s by its canonical name %s (RFC 5952)', (text, canonical) => {
    expect(parseAddress(text, '').text).toBe(canonical);
  });

  test.each([
    ['an octal byte', '10.0.0.010'],
    ['a byte too large', '10.0.0.256'],
    ['three bytes', '10.0.1'],
    ['a number', '167772161'],
    ['two elisions', '1::2::3'],
    ['an elision of nothing', '1:2:3:4:5:6:7::8'],
    ['five digits', '12345::'],
    ['a zone', 'fe80::1%eth0'],
    ['a dotted tail', '::ffff:10.0.0.1'],
    ['a reference of nftables', '@senders'],
    ['a variable of nftables', '$x'],
    ['nothing', ''],
    ['white space', ' 10.0.0.1'],
    ['a new line', '10.0.0.1\n'],
    ['something long', '1'.repeat(100_000)],
  ])('refuses %s', (_, text) => {
    expect(() => parseAddress(text, 'here')).toThrow(expect.objectContaining({ code: 'address-invalid', at: 'here' }));
  });

  test('throws nothing else, whatever the text', () => {
    const holds = (text: string): void => {
      expect(isForeign(() => parseRange(text, ''))).toBe(false);
    };
    fc.assert(fc.property(fc.string(), holds));
  });
});

describe('parseRange()', () => {
  test.each(['10.0.0.0/8', '10.0.0.1', '10.0.0.1-10.0.0.9', 'fd00::1-fd00::9', '0.0.0.0/0'])(
    'reads and prints %s',
    (text) => {
      expect(printRange(parseRange(text, ''))).toBe(text);
    },
  );

  test.each([
    '10.0.0.1/8',
    '10.0.0.0/33',
    '10.0.0.0/08',
    '10.0.0.0/',
    '10.0.0.9-10.0.0.1',
    '10.0.0.1-fd00::1',
    '10.0.0.0/8/8',
  ])('refuses %s', (text) => {
    expect(() => parseRange(text, '')).toThrow(expect.objectContaining({ code: 'address-invalid' }));
  });
});
