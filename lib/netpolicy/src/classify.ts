// Sorts addresses into groups and services into classes that the rules do not tell apart. However many machines there are, a
// policy speaks of a few kinds of them.
import { type Address, type AddressRange, type Family, FAMILY_BITS } from './address.ts';
import { Budget } from './budget.ts';
import type { AnyMachine } from './machine.ts';
import { NetPolicyError } from './netpolicy-error.ts';
import { type Interval, partition, type Piece, pieceAt } from './partition.ts';
import { type Endpoint, printEndpoint, type Rule } from './policy.ts';
import { namesPrivate, PRIVATE } from './protected.ts';
import type { ServiceRange } from './service.ts';
import { StableIds } from './stable-ids.ts';

/** Kinds of machines; a policy that tells more apart names each machine. */
const MAX_GROUPS = 4_096;
/** Some seconds of work, and sets that the kernel loads in as many. */
const MAX_CLASSIFY_STEPS = 4_000_000;
/** Owners of the line itself, and of what is cut out of it; the others are indexes, from 0. */
const WHOLE = -1;
const HOLE = -2;
/** Private addresses. */
const HOME = -3;

export interface Group {
  readonly id: number;
  /** Indexes of the ends that mean whoever is of this group. */
  readonly ends: ReadonlySet<number>;
  /** Whether machines are of it; else addresses out of the network. */
  readonly inside: boolean;
}

export interface ServiceClass {
  readonly id: number;
  readonly ranges: readonly ServiceRange[];
  /** Indexes of rules that mean it. */
  readonly rules: ReadonlySet<number>;
}

export interface OutsideRange {
  readonly range: AddressRange;
  readonly group: Group;
}

export class Classifier {
  /** By precedence; every index of a rule is one into this list. */
  readonly rules: readonly Rule[];
  readonly fromEnd: readonly number[];
  readonly toEnd: readonly number[];
  readonly #ends: readonly Endpoint[];
  /** Ends where something is denied: they mean private addresses, too, that they do not name. */
  readonly #denied: ReadonlySet<number>;
  readonly #pieces: Readonly<Record<Family, readonly Piece[]>>;
  readonly #endsByLabel = new Map<string, number[]>();
  readonly #endsByMachine = new Map<string, number>();
  readonly #endsOfAll: number[] = [];
  /** Of labels that rules ask for. */
  readonly #keys: readonly string[];
  readonly #texts: readonly string[];
  readonly #groups = new Map<string, Group>();
  readonly #groupByKey = new Map<string, Group>();
  readonly #groupIds = new StableIds('group');
  readonly #serviceIds = new StableIds('service');
  readonly #budget = new Budget(MAX_CLASSIFY_STEPS, 'ranges of addresses or services');

  constructor(rules: readonly Rule[]) {
    this.rules = rules;
    const index = new Map<string, number>();
    const ends: Endpoint[] = [];
    const endOf = (endpoint: Endpoint, use = ''): number => {
      const text = `${use}${endpoint.kind} ${printEndpoint(endpoint)}`;
      const known = index.get(text);
      if (known !== undefined) return known;
      index.set(text, ends.length);
      return ends.push(endpoint) - 1;
    };
    this.fromEnd = rules.map(({ from }) => endOf(from));
    this.toEnd = rules.map(({ to, action }) => endOf(to, action === 'deny' && isAboutAddresses(to) ? 'deny ' : ''));
    this.#denied = new Set(this.toEnd.filter((_, rule) => rules[rule]?.action === 'deny'));
    this.#ends = ends;
    this.#texts = [...index.keys()];
    const keys = ends.flatMap((endpoint) => (endpoint.kind === 'labels' ? Object.keys(endpoint.labels) : []));
    this.#keys = [...new Set(keys)].toSorted();
    this.#pieces = { 4: this.#cut(4), 6: this.#cut(6) };
    for (const [end, endpoint] of ends.entries()) {
      if (endpoint.kind === 'machine') this.#endsByMachine.set(endpoint.machine, end);
      if (endpoint.kind !== 'labels') continue;
      const [first] = Object.entries(endpoint.labels);
      if (first === undefined) this.#endsOfAll.push(end);
      else this.#endsByLabel.set(first.join('='), [...(this.#endsByLabel.get(first.join('=')) ?? []), end]);
    }
  }

  get groups(): readonly Group[] {
    return [...this.#groups.values()];
  }

  groupOf(machine: AnyMachine, { family, value }: Address): Group {
    const ranges = pieceAt(this.#pieces[family], value)?.owners ?? [];
    const named = this.#endsByMachine.get(machine.name);
    const key = `${this.#askedOf(machine)} ${ranges.join()} ${named ?? ''}`;
    return this.#remember(key, true, () => [
      ...this.#endsOfAll,
      ...this.#endsOfLabels(machine),
      ...ranges,
      ...(named === undefined ? [] : [named]),
    ]);
  }

  /** Groups of what lies out of the network: everything but these ranges. Private addresses are what names them, and what is denied. */
  outside(except: readonly AddressRange[]): OutsideRange[] {
    const families: readonly Family[] = [4, 6];
    const count = this.#ends.length;
    return families.flatMap((family) => {
      const own = (ranges: readonly AddressRange[], owner: number): Interval[] =>
        ranges.filter((range) => range.family === family).map(({ first, last }) => ({ first, last, owner }));
      const whole = { first: 0n, last: (1n << BigInt(FAMILY_BITS[family])) - 1n, owner: WHOLE };
      // An end that names private addresses owns those a second time, under a number beyond all others.
      const named = this.#ends.flatMap((endpoint, end) =>
        endpoint.kind === 'addresses' ? own(endpoint.ranges.filter(namesPrivate), count + end) : [],
      );
      const ranges = this.#pieces[family].flatMap(({ first, last, owners }) =>
        owners.map((owner) => ({ first, last, owner })),
      );
      return partition([whole, ...own(except, HOLE), ...own(PRIVATE, HOME), ...named, ...ranges], this.#budget)
        .filter(({ owners }) => !owners.includes(HOLE))
        .map(({ first, last, owners }) => {
          const known = owners.filter((owner) => owner >= 0);
          const ends = owners.includes(HOME)
            ? known.filter((owner) => owner >= count || this.#denied.has(owner)).map((owner) => owner % count)
            : known;
          const group = this.#remember(`outside ${ends.join()}`, false, () => ends);
          return { range: { family, first, last }, group };
        });
    });
  }

  services(): ServiceClass[] {
    const byProtocol = new Map<number, { first: bigint; last: bigint; owner: number }[]>();
    const specs = new Map<string, number[]>();
    for (const [index, rule] of this.rules.entries()) {
      const text = rule.services.toSorted().join();
      specs.set(text, [...(specs.get(text) ?? []), index]);
    }
    const rulesOf = [...specs.values()];
    for (const [owner, [sample = 0]] of rulesOf.entries()) {
      for (const { protocol, first, last } of this.rules[sample]?.ranges ?? []) {
        const intervals = byProtocol.get(protocol) ?? [];
        intervals.push({ first: BigInt(first), last: BigInt(last), owner });
        byProtocol.set(protocol, intervals);
      }
    }
    const classes = new Map<string, { ranges: ServiceRange[]; owners: readonly number[] }>();
    for (const [protocol, intervals] of byProtocol) {
      for (const { first, last, owners } of partition(intervals, this.#budget)) {
        const found = classes.get(owners.join()) ?? { ranges: [], owners };
        found.ranges.push({ protocol, first: Number(first), last: Number(last) });
        classes.set(owners.join(), found);
      }
    }
    const texts = [...specs.keys()];
    return Array.from(classes.values(), ({ ranges, owners }) => ({
      id: this.#serviceIds.of(owners.map((owner) => texts[owner]).join('\n')),
      ranges,
      rules: new Set(owners.flatMap((owner) => rulesOf[owner] ?? [])),
    }));
  }

  #cut(family: Family): Piece[] {
    const intervals = this.#ends.flatMap((endpoint, owner) => {
      if (endpoint.kind === 'any') return [{ first: 0n, last: (1n << BigInt(FAMILY_BITS[family])) - 1n, owner }];
      if (endpoint.kind !== 'addresses') return [];
      return endpoint.ranges.filter((range) => range.family === family).map((range) => ({ ...range, owner }));
    });
    return partition(intervals, this.#budget);
  }

  /** The labels of a machine that some rule asks for, in one text. */
  #askedOf({ labels }: AnyMachine): string {
    let text = '';
    for (const key of this.#keys) {
      const value = labels[key];
      if (value !== undefined) text += `${key}=${value},`;
    }
    return text;
  }

  #endsOfLabels({ labels }: AnyMachine): number[] {
    const candidates = Object.entries(labels).flatMap((pair) => this.#endsByLabel.get(pair.join('=')) ?? []);
    return candidates.filter((end) => {
      const endpoint = this.#ends[end];
      return endpoint?.kind === 'labels' && hasLabels(labels, endpoint.labels);
    });
  }

  /** `key` says what decides the ends; machines that differ in what no rule asks for are of one group all the same. */
  #remember(key: string, inside: boolean, endsOf: () => readonly number[]): Group {
    const known = this.#groupByKey.get(key);
    if (known !== undefined) return known;
    const ends = [...new Set(endsOf())].toSorted((a, b) => a - b);
    this.#budget.spend(ends.length);
    const place = `${inside ? 'inside' : 'outside'} ${ends.join()}`;
    const group = this.#groups.get(place) ?? { id: this.#idOf(inside, ends), ends: new Set(ends), inside };
    this.#groups.set(place, group);
    this.#groupByKey.set(key, group);
    if (this.#groups.size > MAX_GROUPS) {
      throw new NetPolicyError('too-complex', 'rules', `tell more than ${MAX_GROUPS} groups of machines apart`);
    }
    return group;
  }

  #idOf(inside: boolean, ends: readonly number[]): number {
    const texts = ends.map((end) => this.#texts[end] ?? '').toSorted();
    return this.#groupIds.of([inside ? 'inside' : 'outside', ...texts].join('\n'));
  }
}

function isAboutAddresses({ kind }: Endpoint): boolean {
  return kind === 'any' || kind === 'addresses';
}

export function hasLabels(labels: AnyMachine['labels'], wanted: AnyMachine['labels']): boolean {
  for (const key in wanted) if (labels[key] !== wanted[key]) return false;
  return true;
}
