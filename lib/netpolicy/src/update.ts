// What changes rules that stand into other ones: elements that come and go, and chains of decisions. Applied as one batch, so that
// no packet sees half of it.
import { type NftCommand, renderChain, renderElements, renderRules, renderSet, renderTable } from './render-nft.ts';
import type { Ruleset, RuleSet, SetElement, Table } from './ruleset.ts';

/** The commands that lead from one tree to the other; none where nothing differs. */
export function renderUpdate(before: Ruleset, after: Ruleset): NftCommand[] {
  return after.tables.flatMap((table) => {
    const old = before.tables.find(({ family, name }) => family === table.family && name === table.name);
    if (old === undefined || skeleton(old) !== skeleton(table) || hasNamesakes(old, table)) return renderTable(table);
    return updateTable(old, table);
  });
}

function updateTable(before: Table, after: Table): NftCommand[] {
  const byName = ({ name }: { readonly name: string }): string => name;
  const [goneChains, newChains] = differingBy(comingAndGoing(before.chains), comingAndGoing(after.chains), byName);
  const [goneSets, newSets] = differingBy(comingAndGoing(before.sets), comingAndGoing(after.sets), byName);
  const place = { family: after.family, table: after.name };
  const sets = after.sets.map((set) => {
    const old = before.sets.find(({ name }) => name === set.name);
    return { name: set.name, changes: differingBy<SetElement>(old?.elements ?? [], set.elements, elementText) };
  });
  const elements = (verb: 'add' | 'delete', of: 0 | 1): NftCommand[] =>
    sets
      .filter(({ changes }) => changes[of].length > 0)
      .map(({ name, changes }) => renderElements(verb, after, name, changes[of]));
  return [
    ...newSets.map((set) => renderSet(after, set)),
    ...newChains.flatMap((chain) => [renderChain(after, chain), ...renderRules(after, chain)]),
    ...elements('delete', 0),
    ...elements('add', 1),
    ...goneChains.map(({ name }) => ({ delete: { chain: { ...place, name } } })),
    ...goneSets.map(({ name }) => ({ delete: { set: { ...place, name } } })),
  ];
}

/** What only `before` has, and what only `after` has. */
function differingBy<T>(before: readonly T[], after: readonly T[], text: (item: T) => string): [gone: T[], come: T[]] {
  if (before === after) return [[], []];
  const [old, next] = [new Set(before.map((item) => text(item))), new Set(after.map((item) => text(item)))];
  return [before.filter((item) => !next.has(text(item))), after.filter((item) => !old.has(text(item)))];
}

function comingAndGoing<T extends { readonly name: string }>(items: readonly T[]): readonly T[] {
  return items.filter(({ name }) => SAYS_ALL.test(name));
}

export const DECISION_PREFIX = 'decision-';
/** Chains and sets that end in a number made of what they say, so that one of the same name is the same. */
const SAYS_ALL = /^(?:decision|share|opening|sent|opened|connections|ports)-[0-9a-f]+$/;

/**
 * Two that say something else and are called the same: where texts collide, whose number is whose depends on who else is there
 * (stable-ids.ts).
 */
function hasNamesakes(before: Table, after: Table): boolean {
  const old = new Map(comingAndGoing(before.chains).map(({ name, rules }) => [name, rules]));
  return comingAndGoing(after.chains).some(({ name, rules }) => {
    const known = old.get(name);
    return known !== undefined && known !== rules && JSON.stringify(known) !== JSON.stringify(rules);
  });
}

function elementText({ key, value }: SetElement): string {
  return JSON.stringify([key, value]);
}

/** Everything but elements, and what comes and goes: where it differs, the table is made anew. */
function skeleton(table: Table): string {
  const lasting = ({ name }: { readonly name: string }): boolean => !SAYS_ALL.test(name);
  const sets = table.sets.filter(lasting).map((set): RuleSet => ({ ...set, elements: [] }));
  const chains = table.chains.filter(lasting);
  return JSON.stringify({ ...table, sets, chains });
}
