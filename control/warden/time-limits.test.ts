import { parsePolicy, type Network } from '@ringwall/netpolicy';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { TimeLimits } from './time-limits.ts';

const NOON = Date.parse('2027-01-31T12:00:00Z') / 1_000;
const at = (seconds: number): string => new Date(seconds * 1_000).toISOString().replace('.000Z', 'Z');

function network(...times: readonly object[]): Network {
  const rules = times.map((time, index) => ({
    ...{ name: `r${index}`, action: 'allow', from: 'any', to: 'any', services: ['tcp/80'] },
    ...time,
  }));
  const [only] = parsePolicy({
    version: 1,
    tenant: 'acme',
    networks: [{ name: 'app', addresses: ['10.20.0.0/24'], rules }],
  }).networks;
  if (only === undefined) throw new Error('no network');
  return only;
}

describe('time limits', () => {
  let called: number;
  let limits: TimeLimits;
  beforeEach(() => {
    vi.useFakeTimers();
    called = 0;
    limits = new TimeLimits(() => (called += 1));
  });
  afterEach(() => {
    limits[Symbol.dispose]();
    vi.useRealTimers();
  });

  test.each<[string, object, boolean]>([
    ['one that allows is over', { before: at(NOON) }, true],
    ['one that denies begins', { action: 'deny', after: at(NOON) }, true],
    ['one that allows begins', { after: at(NOON) }, false],
    ['one that denies is over', { action: 'deny', before: at(NOON) }, false],
    ['there are no times', {}, false],
  ])('are due where %s: %#', (_, rule, due) => {
    limits.follow(network(rule));
    limits.asked(NOON - 10);
    expect(limits.isDue(NOON - 1)).toBe(false);
    expect(limits.isDue(NOON + 1)).toBe(due);
    limits.asked(NOON + 1);
    expect(limits.isDue(NOON + 2)).toBe(false);
  });

  test('are due for whoever has never asked, where one has passed', () => {
    limits.follow(network({ before: at(NOON) }));
    expect(limits.isDue(NOON - 1)).toBe(false);
    expect(limits.isDue(NOON + 1_000)).toBe(true);
  });

  test('are due again where the clock was set back, and then forward', () => {
    limits.follow(network({ before: at(NOON) }));
    limits.asked(NOON + 10);
    expect(limits.isDue(NOON + 11)).toBe(false);
    expect(limits.isDue(NOON - 100)).toBe(false);
    expect(limits.isDue(NOON + 1)).toBe(true);
  });

  test('ask on a switch once its flows have changed', () => {
    limits.follow({ ...network({ before: at(NOON) }), mode: 'openvswitch' });
    limits.asked(NOON);
    expect([limits.isDue(NOON + 2), limits.isDue(NOON + 3)]).toEqual([false, true]);
  });

  test('have one timer whatever the number of rules, for the next of them, and none where none comes', () => {
    limits.follow(network({ before: at(NOON) }, { before: at(NOON + 5) }, { action: 'deny', after: at(NOON + 7) }));
    for (const from of [NOON - 10, NOON - 2]) limits.wait(from);
    expect(vi.getTimerCount()).toBe(1);
    vi.advanceTimersByTime(2_000);
    expect(called).toBe(0);
    vi.advanceTimersByTime(100);
    expect(called).toBe(1);
    limits.wait(NOON + 100);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('look at the clock again after an hour at most, however far the next one is', () => {
    limits.follow(network({ before: '9000-01-01T00:00:00Z' }));
    limits.wait(NOON);
    vi.advanceTimersByTime(3_600_000);
    expect(called).toBe(1);
    limits.wait(NOON);
    limits[Symbol.dispose]();
    expect(vi.getTimerCount()).toBe(0);
  });
});
