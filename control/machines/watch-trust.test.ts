import type { WatchReport } from '@ringwall/api/watch';
import { describe, expect, test } from 'vitest';
import { seenAt, watchTrust } from './watch-trust.ts';

const REPORT: WatchReport = {
  mode: 'enforce',
  state: 'expected',
  intervalMs: 5_000,
  seenAgoMs: 1_000,
  provenAgoMs: 60_000,
  reasons: [],
  entries: 40,
  strays: 0,
};
const ASKED_MS = 1_000_000;

const trust = (report: Partial<WatchReport> | undefined, laterMs = 0): ReturnType<typeof watchTrust> =>
  watchTrust({
    known: report === undefined ? undefined : { report: { ...REPORT, ...report }, askedMs: ASKED_MS },
    nowMs: ASKED_MS + laterMs,
    brokerTrouble: undefined,
  });

describe('watchTrust()', () => {
  test('a machine that was seen lately is attested', () => {
    expect(trust({})).toEqual({ trust: 'attested', reasons: [] });
    expect(trust({ state: 'unexpected', reasons: ['x ran'] })).toEqual({ trust: 'attested', reasons: ['x ran'] });
  });

  test('it ages while nobody asks: three intervals and ten seconds after the last good answer it is unknown', () => {
    expect(trust({}, 24_000).trust).toBe('attested');
    expect(trust({}, 24_001)).toEqual({ trust: 'unknown', reasons: ['the watch is overdue: last seen 25 s ago'] });
  });

  test('it ages as the policy says, where that names a freshness', () => {
    expect(trust({ maxAgeMs: 10_000 }, 9_000).trust).toBe('attested');
    expect(trust({ maxAgeMs: 10_000 }, 9_001)).toEqual({
      trust: 'unknown',
      reasons: ['the watch is overdue: last seen 10 s ago'],
    });
    expect(trust({ maxAgeMs: 3_600_000 }, 600_000).trust).toBe('attested');
  });

  test('what was never seen counts from when it was proven', () => {
    const { seenAgoMs: _, ...unseen } = REPORT;
    const known = { report: { ...unseen, provenAgoMs: 20_000 }, askedMs: ASKED_MS };
    const at = (nowMs: number): string => watchTrust({ known, nowMs, brokerTrouble: undefined }).trust;
    expect(at(ASKED_MS)).toBe('attested');
    expect(at(ASKED_MS + 5_001)).toBe('unknown');
  });

  test('an age that nobody can tell is no good news', () => {
    const { seenAgoMs: _, provenAgoMs: __, ...ageless } = REPORT;
    const known = { report: ageless, askedMs: ASKED_MS };
    expect(watchTrust({ known, nowMs: ASKED_MS, brokerTrouble: undefined })).toEqual({
      trust: 'unknown',
      reasons: ['the watch is overdue: the time of the last answer cannot be told'],
    });
  });

  test('without a word of the broker it is unknown, and says why there is none', () => {
    expect(trust(undefined).trust).toBe('unknown');
    const silent = { known: undefined, nowMs: 0, brokerTrouble: 'the broker does not run' };
    expect(watchTrust(silent).reasons).toContain('the broker does not run');
  });

  test('a quarantine does not age', () => {
    expect(trust({ state: 'quarantined', reasons: ['/tmp/evil ran'] }, 3_600_000)).toEqual({
      trust: 'quarantined',
      reasons: ['/tmp/evil ran'],
    });
  });

  test('why nothing came is told with the age', () => {
    expect(trust({ trouble: 'the guest gave no whole answer' }, 60_000).reasons).toEqual([
      'the watch is overdue: last seen 61 s ago',
      'the guest gave no whole answer',
    ]);
  });
});

test('seenAt() is the wall clock of whoever shows it, less the age', () => {
  const now = new Date('2026-11-21T12:00:10.000Z');
  expect(seenAt({ report: REPORT, askedMs: ASKED_MS }, ASKED_MS + 2_000, now)).toBe('2026-11-21T12:00:07.000Z');
});
