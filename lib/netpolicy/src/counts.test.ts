import { describe, expect, test } from 'vitest';
import { readCounts } from './counts.ts';

const web = { name: 'web', action: 'allow' } as const;
const night = { name: 'night', action: 'deny' } as const;
const decisions = new Map([
  [1, [web]],
  [2, [web]],
  [3, [night, web]],
]);
const element = (val: unknown, packets: unknown, bytes: unknown = 0) => ({
  elem: { val, counter: { packets, bytes } },
});
const tableOf = (family: string, packets: number): object[] => [
  { counter: { family, table: 'ringwall', name: 'spoofed', packets, bytes: 10 * packets } },
  { set: { family, table: 'ringwall', name: 'spoofed-from', elem: [element('t1', packets, 10 * packets)] } },
];

describe('readCounts()', () => {
  test('adds what several tables have counted of one reason', () => {
    const { refused, refusedFrom } = readCounts([...tableOf('ip', 2), ...tableOf('arp', 3)], { decisions });
    expect(refused).toEqual(new Map([['spoofed', { packets: 5, bytes: 50 }]]));
    expect(refusedFrom).toEqual(new Map([['t1', new Map([['spoofed', { packets: 5, bytes: 50 }]])]]));
  });

  test('names the rules of each decision, and adds those of the same rules', () => {
    const elem = [
      [element(1, 4), { accept: null }],
      [element(2, 5), { accept: null }],
      [element(3, 6), { goto: { target: 'decision-3' } }],
      [element(99, 7), { accept: null }],
    ];
    expect(readCounts([{ map: { name: 'decisions', elem } }], { decisions }).decisions).toEqual([
      { rules: [web], connections: 9 },
      { rules: [night, web], connections: 6 },
    ]);
  });

  test.each([
    [[null, 7, 'text', {}, { set: null }, { counter: { name: 'mine', packets: 3 } }]],
    [[{ set: { name: 'denied-from', elem: 7 } }, { map: { name: 'decisions', elem: [[]] } }]],
    [[{ set: { name: 'denied-from', elem: ['t1', { elem: { val: 't1' } }] } }]],
  ])('leaves out what nobody has counted: %j', (listing) => {
    expect(readCounts(listing, { decisions })).toEqual({ refused: new Map(), refusedFrom: new Map(), decisions: [] });
  });

  test.each([-1, 1.5, '7', null, 2 ** 60])('takes %j for no number of packets', (packets) => {
    const { refused } = readCounts([{ counter: { name: 'denied', packets, bytes: packets } }], { decisions });
    expect(refused).toEqual(new Map([['denied', { packets: 0, bytes: 0 }]]));
  });
});
