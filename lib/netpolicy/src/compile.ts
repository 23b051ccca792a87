// Compiles a network and its machines to the tree of rules. The skeleton is fixed (tables.ts); everything that a policy says, and
// every machine, is elements of its sets, so that a packet costs the same whatever the policy, and a machine more is elements more.
import { type AddressRange } from './address.ts';
import { Budget } from './budget.ts';
import { Classifier, type Group, type ServiceClass } from './classify.ts';
import { DENIED_LOGGED, logsDenial } from './drop-reasons.ts';
import { type AnyMachine, interfacesOf, isFar } from './machine.ts';
import { byPrecedence, type Network, type Rule } from './policy.ts';
import { MAX_CELLS, pairRules, refuseCells } from './pairs.ts';
import { PROTECTED, unionOf } from './protected.ts';
import type { Chain, CompiledRules, SetElement, Statement, Table, Verdict } from './ruleset.ts';
import { PORT_PROTOCOLS } from './service.ts';
import { ShareClasses } from './shares-table.ts';
import { StableIds } from './stable-ids.ts';
import { DECISION_PREFIX } from './update.ts';
import { OPENING } from './share.ts';
import { arpTable, ICMP_MAPS, loggingStatement, networkTable, rangeKey } from './tables.ts';

/** Rules asked for pairs of groups, and for pairs and services: some seconds. */
const MAX_COMPILE_STEPS = 16_000_000;

export interface CompileOptions {
  /** Besides what never may be: the host’s own addresses and links, and where other hosts are. */
  readonly protectedRanges?: readonly AddressRange[];
}

export interface CompiledNetwork extends CompiledRules {
  /** Groups that its pairs know. */
  readonly groups: ReadonlySet<number>;
  readonly classifier: Classifier;
  readonly shares: ShareClasses;
  /** Rules by the number of the decision that they make, which counts how often; several where times choose among them. */
  readonly decisions: ReadonlyMap<number, readonly Pick<Rule, 'name' | 'action'>[]>;
}

/** An element that a machine is, and the set that it belongs to. */
interface MachineElement {
  readonly family: Table['family'];
  readonly name: string;
  readonly element: SetElement;
}

interface PolicyElements {
  readonly pairs: SetElement[];
  readonly cells: SetElement[];
  readonly decisions: SetElement[];
  readonly chains: Chain[];
  /** Of the rules that each decision is made by. */
  readonly names: Map<number, readonly Pick<Rule, 'name' | 'action'>[]>;
}

export function compileNetwork(
  network: Network,
  machines: readonly AnyMachine[],
  { protectedRanges = [] }: CompileOptions = {},
): CompiledNetwork {
  const classifier = new Classifier(byPrecedence(network.rules));
  const shares = new ShareClasses(network);
  const internet = network.internet === 'nat';
  const kind = { internet, dns: network.dns };
  const sets = new Map<string, SetElement[]>();
  for (const machine of machines) {
    for (const { family, name, element } of elementsOf({ classifier, shares }, machine)) {
      const list = sets.get(`${family} ${name}`);
      if (list === undefined) sets.set(`${family} ${name}`, [element]);
      else list.push(element);
    }
  }
  const from = classifier.groups;
  const unreachable = internet ? [...PROTECTED, ...protectedRanges] : [];
  const outside = internet ? classifier.outside([...network.addresses, ...unreachable]) : [];
  const services = classifier.services();
  const policy = compilePolicy(classifier, from, services);
  const take = (key: string): readonly SetElement[] => sets.get(key) ?? [];
  const outsideOf = (family: 4 | 6): SetElement[] =>
    outside
      .filter(({ range }) => range.family === family)
      .map(({ range, group }) => ({ key: [rangeKey(range)], value: group.id }));
  const table = networkTable(
    {
      senders4: take('inet senders4'),
      senders6: take('inet senders6'),
      others4: take('inet others4'),
      others6: take('inet others6'),
      apart4: take('inet apart4'),
      apart6: take('inet apart6'),
      far4: take('inet far4'),
      far6: take('inet far6'),
      cables: take('inet cables'),
      ...policy,
      ...serviceElements(services),
      groups4: take('inet groups4'),
      groups6: take('inet groups6'),
      outside4: outsideOf(4),
      outside6: outsideOf(6),
      protected4: unionOf(unreachable, 4).map((range) => ({ key: [rangeKey(range)] })),
      protected6: unionOf(unreachable, 6).map((range) => ({ key: [rangeKey(range)] })),
    },
    network.addresses,
    policy.chains,
    shares.part(take('inet openings')),
    kind,
  );
  const ruleset = { tables: [arpTable(take('arp senders'), internet), table] };
  return { ruleset, groups: new Set(from.map(({ id }) => id)), classifier, shares, decisions: policy.names };
}

export function elementsOf(
  { classifier, shares }: Pick<CompiledNetwork, 'classifier' | 'shares'>,
  machine: AnyMachine,
): MachineElement[] {
  const grouped = machine.addresses.map((address): MachineElement => {
    const element = { key: [address.text], value: classifier.groupOf(machine, address).id };
    return { family: 'inet', name: `groups${address.family}`, element };
  });
  if (isFar(machine)) {
    // The share of another host's machine is for that host to hold it to.
    const far = machine.addresses.flatMap(({ family, text }) =>
      interfacesOf(machine).map((device): MachineElement => {
        return { family: 'inet', name: `far${family}`, element: { key: [device, text] } };
      }),
    );
    return [...far, ...grouped];
  }
  const { mac, interface: device } = machine;
  const other = shares.otherOf(machine);
  const sending = machine.addresses.flatMap(({ family, text }): MachineElement[] => {
    const key = [device, mac, text];
    return [
      other === undefined
        ? { family: 'inet', name: `senders${family}`, element: { key } }
        : { family: 'inet', name: `others${family}`, element: { key, value: { goto: other.chain } } },
      ...(other === undefined ? [] : [{ family: 'inet', name: `apart${family}`, element: { key } } as const]),
      ...(family === 4 ? [{ family: 'arp', name: 'senders', element: { key } } as const] : []),
    ];
  });
  return [
    { family: 'inet', name: 'cables', element: { key: [device, mac] } },
    ...sending,
    ...grouped,
    ...(other === undefined ? [] : [{ family: 'inet', name: 'openings', element: other.opening } as const]),
  ];
}

function compilePolicy(
  classifier: Classifier,
  from: readonly Group[],
  services: readonly ServiceClass[],
): PolicyElements {
  const budget = new Budget(MAX_COMPILE_STEPS, 'groups, rules and services');
  const rulesOfPair = pairRules(classifier, from, classifier.groups, budget);
  const [pairIds, decisionIds] = [new StableIds('pair'), new StableIds('decision')];
  const elements: PolicyElements = { pairs: [], cells: [], decisions: [], chains: [], names: new Map() };
  const known = new Set<string>();
  const decided = new Set<number>();
  for (const { source, target, rules } of rulesOfPair) {
    const key = rules.join();
    const pair = pairIds.of(rules.map((rule) => ruleText(classifier.rules[rule])).join('\n'));
    elements.pairs.push({ key: [source.id, target.id], value: pair });
    if (known.has(key)) continue;
    known.add(key);
    for (const service of services) {
      budget.spend(rules.length);
      const decision = decisionOf(classifier, rules, service);
      if (decision.length === 0) continue;
      const id = decisionIds.of(decision.map((rule) => decidingText(rule)).join('\n'));
      elements.cells.push({ key: [pair, service.id], value: id });
      if (elements.pairs.length + elements.cells.length > MAX_CELLS) refuseCells();
      if (!decided.has(id)) addDecision(elements, id, decision);
      decided.add(id);
    }
  }
  return elements;
}

/** The rules that may decide, in order: those with a time, until one that always holds. */
function decisionOf({ rules }: Classifier, indexes: readonly number[], service: ServiceClass): Rule[] {
  const decision: Rule[] = [];
  for (const index of indexes) {
    const rule = rules[index];
    if (rule === undefined || !service.rules.has(index)) continue;
    decision.push(rule);
    if (rule.after === undefined && rule.before === undefined) break;
  }
  return decision;
}

function addDecision({ decisions, chains, names }: PolicyElements, id: number, rules: readonly Rule[]): void {
  const [rule, ...more] = rules;
  if (rule === undefined) return;
  names.set(
    id,
    rules.map(({ name, action }) => ({ name, action })),
  );
  if (more.length === 0 && !rule.log && rule.after === undefined && rule.before === undefined) {
    decisions.push({ key: [id], value: verdictOf(rule) });
    return;
  }
  const name = `${DECISION_PREFIX}${id.toString(16)}`;
  decisions.push({ key: [id], value: { goto: name } });
  chains.push({
    name,
    rules: [...rules.flatMap((timed) => decidingRules(timed)), [{ verdict: { goto: 'refused' } }]],
  });
}

function decidingRules(rule: Rule): Statement[][] {
  const when: Statement[] = [
    ...(rule.after === undefined ? [] : [{ match: ['time'], op: '>=', to: rule.after } as const]),
    ...(rule.before === undefined ? [] : [{ match: ['time'], op: '<', to: rule.before } as const]),
  ];
  if (!rule.log) return [[...when, { verdict: verdictOf(rule) }]];
  // The limit of a log is a condition: it stands in a rule of its own.
  const log = [...when, loggingStatement(`${rule.action} ${rule.name}`)];
  if (rule.action === 'allow') return [log, [...when, { verdict: verdictOf(rule) }]];
  return [log, [...when, ...logsDenial(rule.name)], [...when, { verdict: { goto: DENIED_LOGGED } }]];
}

function serviceElements(
  services: readonly ServiceClass[],
): Record<'ports' | 'icmp' | 'icmpv6' | 'protocols', SetElement[]> {
  const elements: ReturnType<typeof serviceElements> = { ports: [], icmp: [], icmpv6: [], protocols: [] };
  for (const { id, ranges } of services) {
    for (const { protocol, first, last } of ranges) {
      const own = ICMP_MAPS[protocol];
      if (own !== undefined) {
        for (let type = first; type <= last; type += 1) elements[own].push({ key: [type], value: id });
      } else if (Object.values<number>(PORT_PROTOCOLS).includes(protocol)) {
        elements.ports.push({ key: [protocol, first === last ? first : { first, last }], value: id });
      } else elements.protocols.push({ key: [protocol], value: id });
    }
  }
  return elements;
}

function verdictOf({ action }: Rule): Verdict {
  return { goto: action === 'allow' ? OPENING : 'denied' };
}

function ruleText(rule: Rule | undefined): string {
  return rule === undefined ? '' : `${decidingText(rule)} ${rule.services.toSorted().join()}`;
}

function decidingText({ name, action, log, after, before }: Rule): string {
  return `${action} ${name} ${String(log)} ${after ?? ''} ${before ?? ''}`;
}
