// One number for what a thief would have: so that two disks can be compared, and a script can refuse one.
import type { ExposureRule } from './rule.ts';

export type ExposureGrade = 'nothing' | 'little' | 'much' | 'all that matters';

export interface ExposureScore {
  /** 0 (nothing) to 100. */
  readonly points: number;
  readonly grade: ExposureGrade;
}

/**
 * Each kind of find counts once, by the most that one of it is worth, and takes its share of what the others have left:
 * ten keys open no more doors than one, and many small finds never look like a large one.
 */
export function scoreOf(
  finds: readonly { readonly rule: Pick<ExposureRule, 'id'>; readonly worth: number }[],
): ExposureScore {
  const worth = new Map<string, number>();
  for (const find of finds) worth.set(find.rule.id, Math.max(worth.get(find.rule.id) ?? 0, find.worth));
  const left = [...worth.values()].reduce((rest, each) => rest * (1 - each / 100), 1);
  const points = Math.round(100 * (1 - left));
  return {
    points,
    grade: points === 0 ? 'nothing' : points < 25 ? 'little' : points < 60 ? 'much' : 'all that matters',
  };
}
