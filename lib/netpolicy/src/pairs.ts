// Which rules speak of which two groups: what is compiled, and what is compared when a policy changes.
import type { Budget } from './budget.ts';
import type { Classifier, Group } from './classify.ts';
import { NetPolicyError } from './netpolicy-error.ts';

/** Elements of the maps of pairs and cells: some MB of the kernel’s memory, and seconds to load. */
export const MAX_CELLS = 262_144;

export interface PairOfGroups {
  readonly source: Group;
  readonly target: Group;
  /** Indexes of rules, by precedence. */
  readonly rules: readonly number[];
}

/** For each two groups that some rule speaks of, the rules that do, by precedence. */
export function pairRules(
  classifier: Classifier,
  from: readonly Group[],
  to: readonly Group[],
  budget: Budget,
): Iterable<PairOfGroups> {
  const [sources, targets] = [byEnd(from), byEnd(to)];
  const pairs = new Map<number, { source: Group; target: Group; rules: number[] }>();
  const place = new Map(to.map((group, index) => [group, index]));
  for (const [rule, fromEnd] of classifier.fromEnd.entries()) {
    for (const source of sources.get(fromEnd) ?? []) {
      for (const target of targets.get(classifier.toEnd[rule] ?? -1) ?? []) {
        budget.spend(1);
        const key = (place.get(source) ?? 0) * to.length + (place.get(target) ?? 0);
        const known = pairs.get(key);
        if (known === undefined) pairs.set(key, { source, target, rules: [rule] });
        else known.rules.push(rule);
        if (pairs.size > MAX_CELLS) refuseCells();
      }
    }
  }
  return pairs.values();
}

function byEnd(groups: readonly Group[]): ReadonlyMap<number, readonly Group[]> {
  const found = new Map<number, Group[]>();
  for (const group of groups) {
    for (const end of group.ends) {
      const list = found.get(end);
      if (list === undefined) found.set(end, [group]);
      else list.push(group);
    }
  }
  return found;
}

export function refuseCells(): never {
  throw new NetPolicyError(
    'too-complex',
    'rules',
    `need more than ${MAX_CELLS} cells: pairs of groups, and services of pairs`,
  );
}
