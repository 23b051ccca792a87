import { describe, expect, test } from 'vitest';
import type { TpmClock } from './store.ts';
import { refuseClock } from './tpm-clock.ts';

const BOOT = 'aa'.repeat(16);
const NEXT = 'bb'.repeat(16);
const known: TpmClock = { boot: BOOT, resetCount: 7, restartCount: 2, clock: 50_000n };

describe('refuseClock()', () => {
  const cases: [
    string,
    string,
    { resetCount: number; restartCount: number; clock: bigint; safe?: boolean },
    RegExp | null,
  ][] = [
    ['a later boot', NEXT, { resetCount: 8, restartCount: 0, clock: 60_000n }, null],
    ['a reset within the boot', BOOT, { resetCount: 8, restartCount: 0, clock: 60_000n }, null],
    ['a restart', NEXT, { resetCount: 7, restartCount: 3, clock: 60_000n }, null],
    ['many boots without an unlocking', NEXT, { resetCount: 4_000_000_000, restartCount: 0, clock: 60_000n }, null],
    [
      'a clock that lags, and says that it may',
      NEXT,
      { resetCount: 8, restartCount: 0, clock: 10n, safe: false },
      null,
    ],
    [
      'the same start again',
      BOOT,
      { resetCount: 7, restartCount: 2, clock: 60_000n },
      /a key is released once a start/,
    ],
    ['the same start in another boot', NEXT, { resetCount: 7, restartCount: 2, clock: 60_000n }, /rolled back/],
    ['an earlier start', NEXT, { resetCount: 6, restartCount: 9, clock: 60_000n }, /rolled back.*6\.9.*7\.2/],
    ['an earlier restart', NEXT, { resetCount: 7, restartCount: 1, clock: 60_000n }, /rolled back/],
    ['a clock that lost seconds in a power cut', NEXT, { resetCount: 8, restartCount: 0, clock: 49_999n }, null],
  ];
  test.each(cases)('judges %s', (_name, boot, { safe = true, ...clock }, refusal) => {
    const reason = refuseClock(known, boot, { ...clock, safe }) ?? 'none';
    expect(reason).toMatch(refusal ?? /^none$/);
  });

  test('has nothing to say of a machine that was never unlocked', () => {
    expect(refuseClock(undefined, BOOT, { resetCount: 0, restartCount: 0, clock: 0n, safe: false })).toBeUndefined();
  });
});
