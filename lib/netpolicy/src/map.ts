// Who can reach whom, for all machines of a network at once: kinds of machines that the rules do not tell apart, and what is open
// from each kind to each, by which rules.
import { type AddressRange, printRange } from './address.ts';
import { Budget } from './budget.ts';
import { Classifier, type Group, type ServiceClass } from './classify.ts';
import type { AnyMachine } from './machine.ts';
import { pairRules } from './pairs.ts';
import { byPrecedence, type Network, printEndpoint, type Rule } from './policy.ts';
import { printServices } from './print-services.ts';
import { PROTECTED } from './protected.ts';
import { isActive } from './reach.ts';

const MAX_MAP_STEPS = 16_000_000;

export interface MapNode {
  /** By the labels of its machines, as a rule would say it; by its range where it is out of the network. */
  readonly name: string;
  readonly machines: readonly string[];
  readonly outside: boolean;
}

export interface MapEdge {
  /** Places in the list of nodes. */
  readonly from: number;
  readonly to: number;
  readonly services: readonly string[];
  readonly rules: readonly string[];
}

export interface NetworkMap {
  readonly nodes: readonly MapNode[];
  readonly edges: readonly MapEdge[];
}

export function mapNetwork(
  network: Network,
  machines: readonly AnyMachine[],
  { atSeconds, protectedRanges = [] }: { atSeconds: number; protectedRanges?: readonly AddressRange[] },
): NetworkMap {
  const classifier = new Classifier(byPrecedence(network.rules));
  const members = new Map<Group, AnyMachine[]>();
  for (const machine of machines) {
    for (const address of machine.addresses) {
      const group = classifier.groupOf(machine, address);
      const known = members.get(group);
      if (known === undefined) members.set(group, [machine]);
      else if (known.at(-1) !== machine) known.push(machine);
    }
  }
  const ranges =
    network.internet === 'nat' ? classifier.outside([...network.addresses, ...PROTECTED, ...protectedRanges]) : [];
  const outside = Map.groupBy(ranges, ({ group }) => group);

  const drawing = new Drawing();
  const place = new Map<Group, number>();
  for (const [group, own] of members) place.set(group, drawing.node(nodeOf(own, classifier.rules)));
  const services = classifier.services();
  const budget = new Budget(MAX_MAP_STEPS, 'groups, rules and services');
  for (const { source, target, rules } of pairRules(
    classifier,
    [...members.keys()],
    [...members.keys(), ...outside.keys()],
    budget,
  )) {
    const open = new Map<Rule, ServiceClass[]>();
    for (const service of services) {
      budget.spend(rules.length);
      const index = rules.find((rule) => service.rules.has(rule) && isActive(ruleAt(classifier, rule), atSeconds));
      const rule = index === undefined ? undefined : ruleAt(classifier, index);
      if (rule?.action !== 'allow') continue;
      open.set(rule, [...(open.get(rule) ?? []), service]);
    }
    if (open.size === 0) continue;
    const [first] = outside.get(target) ?? [];
    const to =
      place.get(target) ??
      drawing.node({
        name: first === undefined ? '' : `outside, ${printRange(first.range)} …`,
        machines: [],
        outside: true,
      });
    place.set(target, to);
    const from = place.get(source) ?? 0;
    for (const [rule, found] of open) drawing.open(from, to, rule.name, found);
  }
  return drawing.map();
}

/** Nodes and edges, each of them once: a machine's two addresses are mostly of two groups that look the same. */
class Drawing {
  readonly #nodes: MapNode[] = [];
  readonly #places = new Map<string, number>();
  readonly #edges = new Map<string, { from: number; to: number; services: Set<ServiceClass>; rules: Set<string> }>();

  node(node: MapNode): number {
    const key = JSON.stringify(node);
    const known = this.#places.get(key);
    if (known !== undefined) return known;
    this.#places.set(key, this.#nodes.length);
    return this.#nodes.push(node) - 1;
  }

  open(from: number, to: number, rule: string, services: readonly ServiceClass[]): void {
    const key = `${from} ${to}`;
    const edge = this.#edges.get(key) ?? { from, to, services: new Set(), rules: new Set() };
    for (const service of services) edge.services.add(service);
    edge.rules.add(rule);
    this.#edges.set(key, edge);
  }

  map(): NetworkMap {
    const edges = Array.from(this.#edges.values(), ({ from, to, services, rules }) => ({
      from,
      to,
      services: printServices([...services].flatMap(({ ranges }) => ranges)),
      rules: [...rules],
    }));
    return { nodes: this.#nodes, edges: edges.toSorted((a, b) => a.from - b.from || a.to - b.to) };
  }
}

function ruleAt({ rules }: Classifier, index: number): Rule {
  const rule = rules[index];
  if (rule === undefined) throw new RangeError(`no rule ${index}`);
  return rule;
}

function nodeOf(machines: readonly AnyMachine[], rules: readonly Rule[]): MapNode {
  const [first, ...others] = machines;
  const names = machines.map(({ name }) => name);
  const named = first !== undefined && others.length === 0 && isNamed(first, rules);
  const labels = Object.fromEntries(
    Object.entries(first?.labels ?? {}).filter(([key, value]) => others.every((other) => other.labels[key] === value)),
  );
  const hasNone = Object.keys(labels).length === 0;
  const name =
    named || (hasNone && others.length === 0)
      ? (names[0] ?? '')
      : hasNone
        ? 'no labels in common'
        : printEndpoint({ kind: 'labels', labels });
  return { name, machines: names, outside: false };
}

function isNamed({ name }: AnyMachine, rules: readonly Rule[]): boolean {
  return rules.some(({ from, to }) => [from, to].some((end) => end.kind === 'machine' && end.machine === name));
}
