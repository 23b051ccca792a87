// The corpus of names, honest and not: misses and false alarms, printed and held.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { generatedAttacks, HAND_WRITTEN_ATTACKS, HISTORY, HONEST_NEWCOMERS } from '../../testing/name-attacks.ts';
import { LEGITIMATE_NAMES } from '../../testing/legitimate-names.ts';
import { compileLookalikes } from './judge-name.ts';
import { OFFICIAL_IMAGES, RETIRED_OFFICIAL_IMAGES } from './official-images.ts';
import { WELL_KNOWN_IMAGES } from './well-known.ts';

const OFFICIAL_LIST = join(import.meta.dirname, '../../../../../shared/vectors/official-images.txt');
const lookalikes = compileLookalikes({ history: HISTORY });
const honest = [...new Set([...LEGITIMATE_NAMES, ...HONEST_NEWCOMERS])];
const known = [...OFFICIAL_IMAGES, ...RETIRED_OFFICIAL_IMAGES, ...WELL_KNOWN_IMAGES, ...HISTORY];
/** Slips below a publisher's own namespace are left to it: nobody else can fill them. */
const generated = [...generatedAttacks(OFFICIAL_IMAGES), ...generatedAttacks(WELL_KNOWN_IMAGES)];

/** An attack that is no reference at all is refused before anything is judged, and so caught. */
function verdictOf(name: string): { verdict: string; intended: string | undefined } {
  try {
    return lookalikes.judge(name);
  } catch {
    return { verdict: 'refused', intended: undefined };
  }
}

describe('the corpus of names', () => {
  const alarms = honest.filter((name) => verdictOf(name).verdict !== 'allow');
  const blocked = honest.filter((name) => verdictOf(name).verdict === 'block');
  const missed = HAND_WRITTEN_ATTACKS.filter(([attack]) => verdictOf(attack).verdict === 'allow');
  const missedGenerated = generated.filter(([attack]) => verdictOf(attack).verdict === 'allow');
  const attacks = HAND_WRITTEN_ATTACKS.length + generated.length;
  const caught = attacks - missed.length - missedGenerated.length;
  const percent = (part: number, whole: number): string => `${((100 * part) / whole).toFixed(1)} %`;

  it('prints its figures', () => {
    process.stdout.write(
      `look-alikes: precision ${percent(caught, caught + alarms.length)}, recall ${percent(caught, attacks)} ` +
        `(${HAND_WRITTEN_ATTACKS.length} written by hand: ${percent(HAND_WRITTEN_ATTACKS.length - missed.length, HAND_WRITTEN_ATTACKS.length)}, ` +
        `${generated.length} generated: ${percent(generated.length - missedGenerated.length, generated.length)}), ` +
        `false alarms ${alarms.length} of ${honest.length} honest names, ${blocked.length} of them blocked\n`,
    );
    expect(honest.length).toBeGreaterThan(1000);
    expect(attacks).toBeGreaterThan(1000);
  });

  it('asks about at most one honest name in 200, and blocks none', () => {
    expect(alarms.length / honest.length).toBeLessThanOrEqual(0.005);
    expect(blocked).toEqual([]);
  });

  it('lets every known name pass', () => {
    expect(known.filter((name) => verdictOf(name).verdict !== 'allow')).toEqual([]);
  });

  it('sees 99 % of the attacks that were written by hand, and 95 % of the generated ones', () => {
    expect(missed.length / HAND_WRITTEN_ATTACKS.length, missed.join(' ')).toBeLessThanOrEqual(0.01);
    expect(missedGenerated.length / generated.length).toBeLessThanOrEqual(0.05);
  });

  it('names what was meant wherever it speaks', () => {
    const wrong = [...HAND_WRITTEN_ATTACKS, ...generated].filter(([attack, meant]) => {
      const { verdict, intended } = verdictOf(attack);
      return meant !== undefined && (verdict === 'ask' || verdict === 'block') && intended !== meant;
    });
    expect(wrong.length / attacks, wrong.join(' ')).toBeLessThanOrEqual(0.003);
  });

  it.skipIf(!existsSync(OFFICIAL_LIST))(
    'holds the list of official images that the vectors hold (skipped: needs the vectors)',
    () => {
      expect(OFFICIAL_IMAGES).toEqual(readFileSync(OFFICIAL_LIST, 'utf8').trim().split('\n'));
    },
  );
});
