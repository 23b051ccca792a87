// What a change of a policy opens and closes: every pair of groups and every service is asked of the old policy and of the new one.
// Besides the machines that are there, machines are supposed that have just the labels that rules speak of.
import { addressOf, type AddressRange, printRange } from './address.ts';
import { Budget } from './budget.ts';
import { Classifier, type Group, type ServiceClass } from './classify.ts';
import type { AnyMachine } from './machine.ts';
import { pairRules } from './pairs.ts';
import { byPrecedence, type Network, printEndpoint, type Rule } from './policy.ts';
import { PROTECTED } from './protected.ts';
import { isActive } from './reach.ts';
import { printServices } from './print-services.ts';

/** As many as a person reads; what is beyond is counted. */
export const MAX_CHANGES = 200;
const MAX_DIFFERENCE_STEPS = 16_000_000;

export interface Change {
  readonly kind: 'opens' | 'closes';
  readonly from: string;
  readonly to: string;
  readonly services: readonly string[];
  /** What allows it after the change, or denies it then; undefined where it closes because nothing allows it any more. */
  readonly rule: string | undefined;
}

export interface Difference {
  readonly changes: readonly Change[];
  /** Changes that are not in the list. */
  readonly more: number;
}

export function compareNetworks(
  before: Network | undefined,
  after: Network,
  machines: readonly AnyMachine[],
  { atSeconds, protectedRanges = [] }: { atSeconds: number; protectedRanges?: readonly AddressRange[] },
): Difference {
  const old = byPrecedence(before?.rules ?? []);
  const classifier = new Classifier([...old, ...byPrecedence(after.rules)]);
  const inside = nameGroups(classifier, [...machines, ...supposedMachines(after, classifier.rules)]);
  const wasOut = before?.internet === 'nat';
  const isOut = after.internet === 'nat';
  const excepted = [...(before?.addresses ?? []), ...after.addresses, ...PROTECTED, ...protectedRanges];
  const outside = wasOut || isOut ? classifier.outside(excepted) : [];
  const names = new Map(inside);
  for (const { range, group } of outside) if (!names.has(group)) names.set(group, `outside, ${printRange(range)} …`);

  const services = classifier.services();
  const budget = new Budget(MAX_DIFFERENCE_STEPS, 'groups, rules and services');
  const merged = new Map<string, { change: Omit<Change, 'services'>; services: ServiceClass[] }>();
  for (const { source, target, rules } of pairRules(classifier, [...inside.keys()], [...names.keys()], budget)) {
    for (const service of services) {
      budget.spend(rules.length);
      const decides = (from: number, to: number): Rule | undefined => {
        const index = rules.find((rule) => rule >= from && rule < to && holds(classifier, rule, service, atSeconds));
        return index === undefined ? undefined : classifier.rules[index];
      };
      const first = target.inside || wasOut ? decides(0, old.length) : undefined;
      const second = target.inside || isOut ? decides(old.length, classifier.rules.length) : undefined;
      if ((first?.action === 'allow') === (second?.action === 'allow')) continue;
      const change = {
        kind: second?.action === 'allow' ? ('opens' as const) : ('closes' as const),
        from: names.get(source) ?? '',
        to: names.get(target) ?? '',
        rule: second?.name,
      };
      const key = JSON.stringify([change.kind, change.from, change.to, change.rule]);
      const known = merged.get(key);
      if (known === undefined) merged.set(key, { change, services: [service] });
      else known.services.push(service);
    }
  }
  const changes = Array.from(merged.values(), ({ change, services: found }) => ({
    ...change,
    services: printServices(found.flatMap(({ ranges }) => ranges)),
  }));
  return { changes: changes.slice(0, MAX_CHANGES), more: Math.max(0, changes.length - MAX_CHANGES) };
}

function holds({ rules }: Classifier, index: number, service: ServiceClass, atSeconds: number): boolean {
  const rule = rules[index];
  return rule !== undefined && service.rules.has(index) && isActive(rule, atSeconds);
}

/** Each group by the labels of its first machine. */
function nameGroups(classifier: Classifier, machines: readonly AnyMachine[]): ReadonlyMap<Group, string> {
  const names = new Map<Group, string>();
  for (const machine of machines) {
    for (const address of machine.addresses) {
      const group = classifier.groupOf(machine, address);
      if (names.has(group)) continue;
      const isNamed = classifier.rules.some(({ from, to }) =>
        [from, to].some((end) => end.kind === 'machine' && end.machine === machine.name),
      );
      names.set(
        group,
        printEndpoint(
          isNamed ? { kind: 'machine', machine: machine.name } : { kind: 'labels', labels: machine.labels },
        ),
      );
    }
  }
  return names;
}

/** Machines that may come: one for each end with labels, and one with none. Their names are no names of machines. */
function supposedMachines({ addresses }: Network, rules: readonly Rule[]): AnyMachine[] {
  const own = addresses.map(({ family, first }) => addressOf(family, first));
  const labelled = rules.flatMap(({ from, to }) =>
    [from, to].flatMap((end) => (end.kind === 'labels' ? [end.labels] : [])),
  );
  return [{}, ...labelled].map((labels) => ({ name: '(supposed)', labels, addresses: own, mac: '', interface: '' }));
}
