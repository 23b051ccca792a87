import { WATCH_MODES, type WatchMode } from '@ringwall/api/watch';
import { WATCH_CHECK_TITLES, type WatchCheckId, type WatchOutcome, type WatchVerdict } from '@ringwall/evidence';
import { describe, expect, test } from 'vitest';
import { decideWatch, REFUSALS_TO_QUARANTINE, type Standing } from './watch-decision.ts';

const GOOD: Standing = { state: 'expected', refusals: 0, readmittedStrays: 0 };

function verdict(outcome: WatchOutcome, ...failed: readonly WatchCheckId[]): WatchVerdict {
  const checks = Object.entries(WATCH_CHECK_TITLES).map(([id, title]) => ({
    id,
    title,
    ok: !failed.some((check) => check === id),
    detail: id,
  }));
  return { outcome, checks, reasons: failed.map((id) => `not ${id}`), news: [] };
}

const decide = (
  standing: Standing,
  mode: WatchMode,
  judged: WatchVerdict,
  strays = 1,
): ReturnType<typeof decideWatch> => decideWatch(standing, mode, { verdict: judged, strays });

describe('decideWatch()', () => {
  test.each(WATCH_MODES)('%s: an expected answer is good news', (mode) => {
    expect(decide(GOOD, mode, verdict('expected'), 0)).toMatchObject({
      standing: { state: 'expected' },
      seen: true,
      quarantine: false,
      next: 'interval',
    });
  });

  test('what is not of the image quarantines where the mode says so, and is told where not', () => {
    const stray = verdict('unexpected', 'files');
    for (const mode of ['enforce', 'pause'] as const) {
      expect(decide(GOOD, mode, stray)).toMatchObject({ standing: { state: 'quarantined' }, quarantine: true });
    }
    expect(decide(GOOD, 'report', stray)).toMatchObject({
      standing: { state: 'unexpected' },
      seen: true,
      quarantine: false,
      reasons: ['not files'],
    });
  });

  test('a readmitted machine is quarantined again by what is new, and not by what was known', () => {
    const readmitted: Standing = { state: 'quarantined', refusals: 0, readmittedStrays: 1 };
    const stray = verdict('unexpected', 'files');
    expect(decide(readmitted, 'enforce', stray, 1)).toMatchObject({ quarantine: false });
    expect(decide(readmitted, 'enforce', stray, 2)).toMatchObject({ quarantine: true });
  });

  test('a quarantine outlives better answers', () => {
    const quarantined: Standing = { ...GOOD, state: 'quarantined' };
    expect(decide(quarantined, 'enforce', verdict('expected'), 0).standing.state).toBe('quarantined');
  });

  test.each(['question', 'fresh', 'size', 'quote-signature', 'quote-form', 'quote-question', 'quote-pcrs'] as const)(
    'an answer that fails %s may be anybody’s: nothing follows but that it is no news',
    (check) => {
      let standing = GOOD;
      for (let round = 0; round < 5; round += 1) {
        const decision = decide(standing, 'enforce', verdict('refused', check, 'pcrs', 'same-boot'));
        expect(decision).toMatchObject({ seen: false, quarantine: false, trouble: `not ${check}`, next: 'interval' });
        ({ standing } = decision);
      }
    },
  );

  test.each(['same-boot', 'clock-forward'] as const)(
    'the TPM’s own word that fails %s quarantines at once',
    (check) => {
      expect(decide(GOOD, 'enforce', verdict('refused', check))).toMatchObject({ quarantine: true, seen: false });
      expect(decide(GOOD, 'report', verdict('refused', check))).toMatchObject({ quarantine: false, seen: false });
    },
  );

  test.each(['pcrs', 'list-form', 'list-start', 'list-template'] as const)(
    'the machine’s own word that fails %s quarantines when it is said again',
    (check) => {
      const refused = verdict('refused', check);
      const first = decide(GOOD, 'enforce', refused);
      expect(first).toMatchObject({ quarantine: false, seen: false, next: 'at-once' });
      expect(decide(first.standing, 'enforce', refused)).toMatchObject({ quarantine: true, seen: false });
      const between = decide(first.standing, 'enforce', verdict('expected'), 0);
      expect(decide(between.standing, 'enforce', refused).quarantine).toBe(false);
      expect(REFUSALS_TO_QUARANTINE).toBe(2);
    },
  );

  test('a list that goes on is asked for at once, and is no good news', () => {
    expect(decide(GOOD, 'enforce', verdict('unfinished', 'pcrs'))).toMatchObject({ seen: false, next: 'at-once' });
  });
});
