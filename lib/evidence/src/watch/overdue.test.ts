import { describe, expect, test } from 'vitest';
import { overdueReason, WATCH_INTERVALS_MS } from './index.ts';

const KVM = { intervalMs: WATCH_INTERVALS_MS.kvm, provenMs: 0 };

describe('checklist 13: a watch that has stalled is unknown', () => {
  test('two answers may be lost; then what was said last does not count any more', () => {
    const at = (nowMs: number): string | undefined => overdueReason({ ...KVM, lastGoodMs: 1_000, nowMs });
    expect(at(1_000)).toBeUndefined();
    expect(at(26_000)).toBeUndefined();
    expect(at(26_001)).toBe('the watch is overdue: last seen 25 s ago');
    expect(at(44_999)).toBe('the watch is overdue: last seen 43 s ago');
  });

  test('a machine that never answered since it was proven', () => {
    expect(overdueReason({ ...KVM, lastGoodMs: undefined, nowMs: 25_000 })).toBeUndefined();
    expect(overdueReason({ ...KVM, lastGoodMs: undefined, nowMs: 25_001 })).toBe(
      'the watch is overdue: the machine was proven 25 s ago and not seen since',
    );
  });

  test('under emulation there is more time', () => {
    const age = { ...KVM, intervalMs: WATCH_INTERVALS_MS.tcg, lastGoodMs: 0 };
    expect(overdueReason({ ...age, nowMs: 40_000 })).toBeUndefined();
    expect(overdueReason({ ...age, nowMs: 40_001 })).toBeDefined();
  });

  test.each([-1, Number.NaN, Number.POSITIVE_INFINITY])('a time that makes no sense (%d) is not healthy', (nowMs) => {
    expect(overdueReason({ ...KVM, lastGoodMs: 0, nowMs })).toMatch(/overdue/);
  });
});
