// What the rules have counted, read from a listing of them (libnftables-json(5)): what was dropped, by reason and by the interface that it
// came from, and how often each rule has decided. The kernel wrote it; what is not as we have put it there is left out.
import type { CompiledNetwork } from './compile.ts';
import { DROP_REASONS, type DropReason } from './drop-reasons.ts';
import type { Rule } from './policy.ts';

export interface Count {
  readonly packets: number;
  readonly bytes: number;
}

/** How often these rules have decided about a connection: several where times choose among them. */
export interface DecisionCount {
  readonly rules: readonly Pick<Rule, 'name' | 'action'>[];
  readonly connections: number;
}

export interface NetworkCounts {
  /** All that was dropped, also of what no machine has sent. */
  readonly refused: ReadonlyMap<DropReason, Count>;
  readonly refusedFrom: ReadonlyMap<string, ReadonlyMap<DropReason, Count>>;
  /** Of a routed network: on a segment rules are asked for each packet, and counted nowhere. */
  readonly decisions: readonly DecisionCount[];
}

/** `listing`: what `nft --json list ruleset` says of the rules that were compiled so. */
export function readCounts(
  listing: readonly unknown[],
  { decisions: names }: Pick<CompiledNetwork, 'decisions'>,
): NetworkCounts {
  const refused = new Map<DropReason, Count>();
  const refusedFrom = new Map<string, Map<DropReason, Count>>();
  const decided = new Map<string, DecisionCount>();
  for (const object of listing) {
    const { counter, set, map } = Object(object);
    const reason = DROP_REASONS.find((known) => known === Object(counter).name);
    if (reason !== undefined) add(refused, reason, countOf(counter));
    const of = DROP_REASONS.find((known) => `${known}-from` === Object(set).name);
    if (of !== undefined) {
      for (const { key, count } of elementsOf(set)) {
        const own = refusedFrom.get(String(key)) ?? new Map<DropReason, Count>();
        add(own, of, count);
        refusedFrom.set(String(key), own);
      }
    }
    if (Object(map).name !== 'decisions') continue;
    for (const { key, count } of elementsOf(map)) {
      const rules = names.get(Number(key));
      if (rules === undefined) continue;
      // The same rules make several decisions where one of them logs, and another not.
      const text = JSON.stringify(rules);
      decided.set(text, { rules, connections: (decided.get(text)?.connections ?? 0) + count.packets });
    }
  }
  return { refused, refusedFrom, decisions: [...decided.values()] };
}

/** Of rules that stand beside each other, as those of a switch and of the gateways at it. */
export function mergeCounts(one: NetworkCounts, other: NetworkCounts): NetworkCounts {
  const refused = new Map(one.refused);
  for (const [reason, count] of other.refused) add(refused, reason, count);
  const refusedFrom = new Map([...one.refusedFrom, ...other.refusedFrom]);
  return { refused, refusedFrom, decisions: [...one.decisions, ...other.decisions] };
}

/** What one reason has counted in several tables is one. */
function add(counts: Map<DropReason, Count>, reason: DropReason, more: Count): void {
  const { packets, bytes } = counts.get(reason) ?? { packets: 0, bytes: 0 };
  counts.set(reason, { packets: packets + more.packets, bytes: bytes + more.bytes });
}

/** Elements are `{elem: {val, counter}}` in a set, and pairs of that and a value in a map. */
function elementsOf(set: unknown): { readonly key: unknown; readonly count: Count }[] {
  const { elem: elements } = Object(set);
  if (!Array.isArray(elements)) return [];
  return elements.flatMap((each: unknown) => {
    const { elem } = Object(Array.isArray(each) ? each[0] : each);
    const { val, counter } = Object(elem);
    return counter === undefined ? [] : [{ key: val, count: countOf(counter) }];
  });
}

function countOf(counter: unknown): Count {
  const { packets, bytes } = Object(counter);
  return { packets: wholeOf(packets), bytes: wholeOf(bytes) };
}

function wholeOf(value: unknown): number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value > 0 ? value : 0;
}
