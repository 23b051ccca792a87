import { describe, expect, test } from 'vitest';
import { hasTaken, parseUnread } from './hang.ts';

const TABLE = `   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
 4190: 00000000:0035 00000000:0000 07 00000000:00000300 00:00000000 00000000     0        0 1815011 2 0000000000000000 0
 4204: 00000000:0043 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 1815008 2 0000000000000000 0
 9999: 0100007F:A001 00000000:0000 07 00000000:00000500 00:00000000 00000000     0        0 1815009 2 0000000000000000 0
`;
const TABLE6 = ' 4684: 00000000000000000000000000000000:0223 0:0 07 00000000:00034000 00:0 0 0 0 1 2 0 0';

describe('parseUnread()', () => {
  test('finds what was not read in the sockets of the server, and of no other', () => {
    expect([...parseUnread(TABLE), ...parseUnread(TABLE6)]).toEqual([
      ['00000000:0035', 0x300],
      ['00000000000000000000000000000000:0223', 0x34000],
    ]);
  });

  test.each(['', '\n', 'x y z', ' 1: 00000000:0035', ' 1: 00000000:0035 0 07 0:1', ' 1: 0035 0 07 00000000:00000001'])(
    'finds nothing in %j',
    (table) => {
      expect(parseUnread(table).size).toBe(0);
    },
  );
});

test.each([
  ['the same', { a: 5 }, { a: 5 }, false],
  ['more, where it takes nothing', { a: 5 }, { a: 9, b: 1 }, false],
  ['less in one socket and more in another', { a: 5, b: 1 }, { a: 4, b: 9 }, true],
  ['none', { a: 5 }, {}, true],
  ['none of nothing', {}, {}, false],
])('hasTaken() knows by what is left: %s', (_, before, after, taken) => {
  expect(hasTaken(new Map(Object.entries(before)), new Map(Object.entries(after)))).toBe(taken);
});
