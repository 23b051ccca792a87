import { describe, expect, test } from 'vitest';
import type { TpmStart } from './store.ts';
import { refuseCopy, refuseStart } from './tpm-start.ts';

const BOOT = 'aa'.repeat(16);
const NEXT = 'bb'.repeat(16);
const UNLOCKED: TpmStart = { boot: BOOT, resetCount: 7, restartCount: 2 };

describe('checklist 6: refuseCopy()', () => {
  const at = (boot: string, resetCount: number, restartCount: number): TpmStart => ({ boot, resetCount, restartCount });

  test('refuses a second boot at the same start of the TPM, or at an earlier one', () => {
    expect(refuseCopy(UNLOCKED, at(NEXT, 7, 2))).toContain('start 7.2, and a key was sent to start 7.2');
    expect(refuseCopy(UNLOCKED, at(NEXT, 7, 1))).toContain('is a copy');
    expect(refuseCopy(UNLOCKED, at(NEXT, 6, 9))).toContain('is a copy');
  });

  test('lets the same boot ask again, and a later start', () => {
    expect(refuseCopy(UNLOCKED, at(BOOT, 7, 2))).toBeUndefined();
    expect(refuseCopy(UNLOCKED, at(NEXT, 8, 0))).toBeUndefined();
    expect(refuseCopy(UNLOCKED, at(NEXT, 7, 3))).toBeUndefined();
    expect(refuseCopy(undefined, at(NEXT, 0, 0))).toBeUndefined();
  });
});

describe('checklist 5: refuseStart()', () => {
  const cases: [string, TpmStart, RegExp | null][] = [
    ['a later boot', { boot: NEXT, resetCount: 8, restartCount: 0 }, null],
    ['a reset within the boot', { boot: BOOT, resetCount: 8, restartCount: 0 }, null],
    ['a restart', { boot: NEXT, resetCount: 7, restartCount: 3 }, null],
    ['many boots without an unlocking', { boot: NEXT, resetCount: 4_000_000_000, restartCount: 0 }, null],
    ['the same start again', { boot: BOOT, resetCount: 7, restartCount: 2 }, /a key is released once a start/],
    ['the same start in another boot', { boot: NEXT, resetCount: 7, restartCount: 2 }, /rolled back/],
    ['an earlier start', { boot: NEXT, resetCount: 6, restartCount: 9 }, /rolled back.*6\.9.*7\.2/],
    ['an earlier restart', { boot: NEXT, resetCount: 7, restartCount: 1 }, /rolled back/],
  ];
  test.each(cases)('judges %s', (_name, seen, refusal) => {
    expect(refuseStart(UNLOCKED, seen) ?? 'none').toMatch(refusal ?? /^none$/);
  });

  test('has nothing to say of a machine that was never unlocked', () => {
    expect(refuseStart(undefined, { boot: BOOT, resetCount: 0, restartCount: 0 })).toBeUndefined();
  });
});
