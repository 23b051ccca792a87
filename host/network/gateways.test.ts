import { expect, test } from 'vitest';
import { filterCommands, strayGateways } from './gateways.ts';

test('filterCommands() leads to the gateway what is for it, and what it answers back', () => {
  expect(filterCommands('t1').join('')).toMatchSnapshot();
});

test('strayGateways() are those without a cable', () => {
  expect(strayGateways(new Set(['lo', 'segment', 'm1', 'g1', 'p1', 'g2', 'p2', 'm3']))).toEqual(['g2']);
  expect(strayGateways(new Set())).toEqual([]);
});
