import { describe, expect, test } from 'vitest';
import { CLOCK_LAG_MS, refuseAgain, refuseRollback, type TpmStart } from './tpm-start.ts';

const BOOT = 'aa'.repeat(16);
const NEXT = 'bb'.repeat(16);
const UNLOCKED: TpmStart = { boot: BOOT, resetCount: 7, restartCount: 2, clock: 10 * CLOCK_LAG_MS };

const at = (boot: string, resetCount: number, restartCount: number, clock = 11 * CLOCK_LAG_MS): TpmStart => ({
  boot,
  resetCount,
  restartCount,
  clock,
});

describe('checklist 5: refuseAgain() and refuseRollback() of a machine that was unlocked', () => {
  const cases: [string, TpmStart, RegExp | null][] = [
    ['a later boot', at(NEXT, 8, 0), null],
    ['a reset within the boot', at(BOOT, 8, 0), null],
    ['a restart', at(NEXT, 7, 3), null],
    ['many boots without an unlocking', at(NEXT, 4_000_000_000, 0), null],
    ['the same start again', at(BOOT, 7, 2), /a key is released once a start/],
    ['the same start in another boot', at(NEXT, 7, 2), /rolled back/],
    ['an earlier start', at(NEXT, 6, 9), /rolled back.*6\.9.*7\.2/],
    ['an earlier start in the same boot', at(BOOT, 6, 9), /rolled back/],
    ['an earlier restart', at(NEXT, 7, 1), /rolled back/],
    ['a clock that a power cut has set back', at(NEXT, 8, 0, 9 * CLOCK_LAG_MS), null],
    [
      'a copy whose counters have caught up',
      at(NEXT, 8, 0, 9 * CLOCK_LAG_MS - 1000),
      /rolled back: its clock is 301 s behind/,
    ],
  ];
  test.each(cases)('judges %s', (_name, seen, refusal) => {
    const sentence = refuseAgain(UNLOCKED, seen) ?? refuseRollback({ unlockedAt: UNLOCKED, seenAt: undefined }, seen);
    expect(sentence ?? 'none').toMatch(refusal ?? /^none$/);
  });

  test('have nothing to say of a machine that was never unlocked', () => {
    expect(refuseAgain(undefined, at(BOOT, 0, 0))).toBeUndefined();
    expect(refuseRollback({ unlockedAt: undefined, seenAt: undefined }, at(BOOT, 0, 0, 0))).toBeUndefined();
  });

  test('a record from before clocks were kept says nothing of them', () => {
    const unlockedAt = { boot: BOOT, resetCount: 7, restartCount: 2 };
    expect(refuseRollback({ unlockedAt, seenAt: undefined }, at(NEXT, 8, 0, 0))).toBeUndefined();
  });
});

describe('checklist 6: refuseRollback() of a machine whose start was seen', () => {
  const judged = (seen: TpmStart): string | undefined =>
    refuseRollback({ unlockedAt: undefined, seenAt: UNLOCKED }, seen);

  test('refuses a second boot at the same start of the TPM, or at an earlier one', () => {
    expect(judged(at(NEXT, 7, 2))).toContain('start 7.2, and start 7.2 was seen in another boot');
    expect(judged(at(NEXT, 7, 1))).toContain('is a copy');
    expect(judged(at(NEXT, 6, 9))).toContain('is a copy');
  });

  test('lets the same boot ask again, and a later start', () => {
    expect(judged(at(BOOT, 7, 2))).toBeUndefined();
    expect(judged(at(NEXT, 8, 0))).toBeUndefined();
    expect(judged(at(NEXT, 7, 3))).toBeUndefined();
  });
});
