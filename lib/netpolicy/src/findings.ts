// Rules that do not do what somebody who reads them would think: shadowed by another, denied in part by another, over, or about
// nobody. None of it is an error; all of it deserves a look.
import { rangesOverlap } from './address.ts';
import { Budget } from './budget.ts';
import { Classifier, hasLabels } from './classify.ts';
import type { AnyMachine } from './machine.ts';
import { byPrecedence, type Endpoint, type Network, printEndpoint, type Rule } from './policy.ts';
import { inOrder, listCovers, listsOverlap } from './range-lists.ts';

/** Some seconds: each rule is compared with each. */
const MAX_FINDING_STEPS = 100_000_000;
/** Comparisons of ports that take as long as one of addresses. */
const PORTS_PER_STEP = 16;

export const FINDING_KINDS = ['shadowed', 'conflict', 'over', 'no-way-out', 'nobody'] as const;

export interface Finding {
  readonly kind: (typeof FINDING_KINDS)[number];
  readonly rule: string;
  readonly message: string;
}

export function findRuleTroubles(network: Network, machines: readonly AnyMachine[], atSeconds: number): Finding[] {
  const rules = byPrecedence(network.rules).map((rule) => ({ ...rule, from: walked(rule.from), to: walked(rule.to) }));
  const classifier = new Classifier(rules);
  for (const machine of machines) for (const address of machine.addresses) classifier.groupOf(machine, address);
  const shared = new SharedEnds(classifier);
  const budget = new Budget(MAX_FINDING_STEPS, 'rules');
  return rules.flatMap((rule, index): Finding[] => {
    const say = (kind: Finding['kind'], message: string): Finding => ({ kind, rule: rule.name, message });
    if (rule.before !== undefined && rule.before <= atSeconds)
      return [say('over', `${rule.name} has been over for good`)];
    const [from, to] = [classifier.fromEnd[index] ?? 0, classifier.toEnd[index] ?? 0];
    const found: Finding[] = [];
    const { to: target } = rule;
    if (leadsOut(target, network) && network.internet === 'none') {
      found.push(say('no-way-out', `${rule.name} leads out of ${network.name}, which has no way out`));
    }
    for (const [end, endpoint] of [[from, rule.from] as const, [to, rule.to] as const]) {
      if (isAboutMachines(endpoint) && !shared.hasAnybody(end)) {
        found.push(say('nobody', `no machine is ${printEndpoint(endpoint)}, which ${rule.name} is about`));
      }
    }
    // Rules that do the same: the later is idle where the earlier says all of it. One that denies: what it says of others.
    for (let other = 0; other < index; other += 1) {
      const earlier = rules[other];
      if (earlier === undefined) break;
      budget.spend(costOf(earlier, rule));
      if (covers(earlier, rule)) {
        found.push(say('shadowed', `${rule.name} never decides: ${earlier.name} ${verb(earlier)} all of it`));
        break;
      }
      if (
        earlier.action !== rule.action &&
        shared.meet(classifier.fromEnd[other] ?? 0, from) &&
        shared.meet(classifier.toEnd[other] ?? 0, to) &&
        meetServices(earlier, rule) &&
        meetTime(earlier, rule)
      ) {
        found.push(say('conflict', `${earlier.name} denies a part of what ${rule.name} allows, and wins`));
      }
    }
    return found;
  });
}

/** Which ends mean somebody in common: by what they say where they are alike, else by the machines that are there. */
class SharedEnds {
  readonly #classifier: Classifier;
  readonly #endpoints = new Map<number, Endpoint>();
  readonly #known = new Map<string, boolean>();

  constructor(classifier: Classifier) {
    this.#classifier = classifier;
    for (const [index, { from, to }] of classifier.rules.entries()) {
      this.#endpoints.set(classifier.fromEnd[index] ?? 0, from);
      this.#endpoints.set(classifier.toEnd[index] ?? 0, to);
    }
  }

  hasAnybody(end: number): boolean {
    return this.#classifier.groups.some(({ ends }) => ends.has(end));
  }

  meet(one: number, other: number): boolean {
    if (one === other) return true;
    const key = `${Math.min(one, other)} ${Math.max(one, other)}`;
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const found = this.#decide(one, other);
    this.#known.set(key, found);
    return found;
  }

  #decide(one: number, other: number): boolean {
    const [a, b] = [this.#endpoints.get(one), this.#endpoints.get(other)];
    if (a?.kind === 'any' || b?.kind === 'any') return true;
    if (a?.kind === 'labels' && b?.kind === 'labels') {
      return Object.entries(a.labels).every(([key, value]) => (b.labels[key] ?? value) === value);
    }
    if (a?.kind === 'addresses' && b?.kind === 'addresses') {
      return listsOverlap(a.ranges, b.ranges);
    }
    return this.#classifier.groups.some(({ ends }) => ends.has(one) && ends.has(other));
  }
}

function coversEnd(outer: Endpoint, inner: Endpoint): boolean {
  if (outer.kind === 'any') return true;
  if (outer.kind === 'labels') {
    if (inner.kind === 'machine') return Object.keys(outer.labels).length === 0;
    return inner.kind === 'labels' && hasLabels(inner.labels, outer.labels);
  }
  if (outer.kind === 'addresses') {
    if (inner.kind !== 'addresses') return false;
    return listCovers(outer.ranges, inner.ranges);
  }
  return inner.kind === 'machine' && inner.machine === outer.machine;
}

function isAboutMachines({ kind }: Endpoint): boolean {
  return kind === 'labels' || kind === 'machine';
}

function leadsOut(endpoint: Endpoint, { addresses }: Network): boolean {
  return (
    endpoint.kind === 'addresses' &&
    !endpoint.ranges.some((range) => addresses.some((own) => rangesOverlap(own, range)))
  );
}

function covers(outer: Rule, inner: Rule): boolean {
  return (
    coversEnd(outer.from, inner.from) &&
    coversEnd(outer.to, inner.to) &&
    coversTime(outer, inner) &&
    coversServices(outer, inner)
  );
}

/** As it is compared with others. */
function walked(endpoint: Endpoint): Endpoint {
  return endpoint.kind === 'addresses' ? { ...endpoint, ranges: inOrder(endpoint.ranges) } : endpoint;
}

/** Of comparing two rules: one walk over the ranges of both, and each of their services with each. */
function costOf(a: Rule, b: Rule): number {
  const ends = [a.from, a.to, b.from, b.to].map((end) => (end.kind === 'addresses' ? end.ranges.length : 0));
  const services = Math.ceil((a.ranges.length * b.ranges.length) / PORTS_PER_STEP);
  return ends.reduce((sum, length) => sum + length, services);
}

function coversServices(outer: Rule, inner: Rule): boolean {
  return inner.ranges.every(({ protocol, first, last }) =>
    outer.ranges.some((range) => range.protocol === protocol && range.first <= first && last <= range.last),
  );
}

function meetServices(a: Rule, b: Rule): boolean {
  return a.ranges.some(({ protocol, first, last }) =>
    b.ranges.some((range) => range.protocol === protocol && range.first <= last && first <= range.last),
  );
}

function coversTime(outer: Rule, inner: Rule): boolean {
  return (outer.after ?? 0) <= (inner.after ?? 0) && (outer.before ?? Infinity) >= (inner.before ?? Infinity);
}

function meetTime(a: Rule, b: Rule): boolean {
  return (a.after ?? 0) < (b.before ?? Infinity) && (b.after ?? 0) < (a.before ?? Infinity);
}

function verb({ action }: Rule): string {
  return action === 'allow' ? 'allows' : 'denies';
}
