// What another definition of a network changes: who can reach whom afterwards that could not, and what is odd about its rules. Pure.
import type { Consequences, RuleFinding } from '@ringwall/api/networks';
import {
  type AnyMachine,
  compareNetworks,
  type Endpoint,
  type Finding,
  findRuleTroubles,
  type Network,
  printEndpoint,
} from '@ringwall/netpolicy';
import { nearest } from './judge.ts';

/** A rule of these kinds can never decide anything: nobody who has understood it wants it. */
const IDLE: ReadonlySet<Finding['kind']> = new Set(['shadowed', 'over', 'no-way-out']);

export function consequencesOf(
  before: Network | undefined,
  after: Network,
  machines: readonly AnyMachine[],
  atSeconds: number,
): Consequences {
  const { changes, more } = compareNetworks(before, after, machines, { atSeconds });
  return {
    changes: changes.map(({ kind, from, to, services, rule }) => {
      const change = { kind, from, to, services: [...services] };
      return rule === undefined ? change : { ...change, rule };
    }),
    more,
    findings: findRuleTroubles(after, machines, atSeconds).map((finding) => explained(finding, after, machines)),
  };
}

/** A rule in one sentence, for the audit trail. */
export function sayRule({ rules }: Network, name: unknown): string {
  const rule = rules.find((each) => each.name === name);
  if (rule === undefined) return 'a rule was added';
  const { action, from, to, services, before } = rule;
  const until = before === undefined ? '' : ` until ${new Date(before * 1_000).toISOString()}`;
  return `${rule.name} ${action === 'allow' ? 'allows' : 'denies'} ${printEndpoint(from)} → ${printEndpoint(to)} by ${services.join(', ')}${until}`;
}

/** Where nobody has the labels of a rule, the ones that somebody has and that look alike. */
function explained({ kind, rule, message }: Finding, { rules }: Network, machines: readonly AnyMachine[]): RuleFinding {
  const about = rules.find(({ name }) => name === rule);
  const near = kind === 'nobody' && about !== undefined ? nearEnds([about.from, about.to], machines) : [];
  const asked = near.length === 0 ? '' : `; did you mean ${near.join(' and ')}?`;
  return { rule, message: `${message}${asked}`, idle: IDLE.has(kind) };
}

function nearEnds(ends: readonly Endpoint[], machines: readonly AnyMachine[]): string[] {
  const pairs = new Set(machines.flatMap(({ labels }) => Object.entries(labels).map((pair) => pair.join('='))));
  const names = new Set(machines.map(({ name }) => name));
  const asked = ends.flatMap((end): [string, ReadonlySet<string>][] => {
    if (end.kind === 'machine') return [[end.machine, names]];
    return end.kind === 'labels' ? Object.entries(end.labels).map((pair) => [pair.join('='), pairs]) : [];
  });
  return asked.flatMap(([word, known]) => (known.has(word) ? [] : (nearest(word, known) ?? [])));
}
