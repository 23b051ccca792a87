// The rules of a network whose machines share a segment, a Linux bridge: made of the elements of the routed network's tree, for a
// kernel that tracks no connections on bridges. Each packet is judged by itself: what is allowed to begin passes, and what could be its
// answer. What connects two groups of machines is a way: what the one may ask of the other, and what it may answer.
import { bridgeTable, type Ways } from './bridge-table.ts';
import { Budget } from './budget.ts';
import { addressOf, type Family } from './address.ts';
import type { Classifier } from './classify.ts';
import { compileNetwork, type CompiledNetwork } from './compile.ts';
import { drops, LOG_GROUPS } from './drop-reasons.ts';
import type { Machine } from './machine.ts';
import { NetPolicyError } from './netpolicy-error.ts';
import { MAX_CELLS, refuseCells } from './pairs.ts';
import type { Network } from './policy.ts';
import type { Chain, KeyPart, Ruleset, SetElement, Statement, Verdict } from './ruleset.ts';
import { compileGateways } from './segment-gateway.ts';
import { OPENING } from './share.ts';
import { StableIds } from './stable-ids.ts';
import { DECISION_PREFIX } from './update.ts';

/** Ports of one Linux bridge (BR_MAX_PORTS), less one to be safe. */
export const MAX_SEGMENT_MACHINES = 1_023;
const MAX_STEPS = 16_000_000;

const ACCEPT: Statement = { verdict: 'accept' };
const CLAIM_PREFIX = 'claim-';

/** RFC 4291, 2.7.1: who has an address with these last 24 bits hears questions for it. */
const SOLICITED_NODE: bigint = 0xff02_0000_0000_0000_0000_0001_ff00_0000n;
const SOLICITED_BITS = 24;

/** RFC 792, RFC 4443: the answer of each question, and errors, which come back where anything may be asked. */
const ICMP_ANSWERS = {
  icmp: { answers: { 8: 0, 13: 14 }, errors: [3, 11, 12] },
  icmpv6: { answers: { 128: 129 }, errors: [1, 2, 3, 4] },
} as const;

type Kind = 'ports' | 'icmp' | 'icmpv6' | 'protocols';
const KINDS: readonly Kind[] = ['ports', 'icmp', 'icmpv6', 'protocols'];
/** What of a service one group may ask of another. */
type Asked = Readonly<Record<Kind, readonly { readonly key: readonly KeyPart[]; readonly verdict: Verdict }[]>>;

export interface BridgedNetwork extends CompiledNetwork {
  /** Machines that no rule connects with any other: their ports of the bridge are kept apart by the bridge itself, too. */
  readonly isolated: readonly Machine[];
}

/** The tree for a bridge. Throws NetPolicyError where it has more machines than a bridge has ports. */
export function compileBridged(network: Network, machines: readonly Machine[]): BridgedNetwork {
  if (machines.length > MAX_SEGMENT_MACHINES) {
    throw new NetPolicyError('too-many', 'machines', `are more than the ${MAX_SEGMENT_MACHINES} ports of a bridge`);
  }
  const routed = compileNetwork(network, machines);
  const sendersOf = (family: Family): SetElement[] =>
    machines.flatMap(({ interface: device, mac, addresses }) =>
      addresses.filter((address) => address.family === family).map(({ text }) => ({ key: [device, mac, text] })),
    );
  const [senders4, senders6] = [sendersOf(4), sendersOf(6)];
  const cables = machines.map(({ interface: device, mac }) => ({ key: [device, mac] }));
  const ways = waysOf(routed.ruleset);
  const members = {
    ...{ senders4, senders6, cables },
    receivers4: senders4.map(asReceiver),
    receivers6: senders6.map(asReceiver),
    asked6: machines.flatMap(askedFor),
    claims: machines.flatMap((machine) => claimOf(machine).map(({ element }) => element)),
  };
  const claims = machines.flatMap((machine) => claimOf(machine).map(({ chain }) => chain));
  const table = bridgeTable(
    members,
    { ...ways, chains: [...ways.chains, ...claims] },
    routed.shares.segmentPart(machines),
  );
  const gateways = compileGateways(network, machines);
  const isolated = isolatedOf(routed.classifier, machines, ways);
  // No machine is known to these rules as an element or two: each that comes or goes compiles them anew.
  return { ...routed, groups: new Set(), ruleset: { tables: [table, ...gateways.ruleset.tables] }, isolated };
}

function asReceiver({ key: [device = '', , address = ''] }: SetElement): SetElement {
  return { key: [device, address] };
}

/** The group to which questions for a machine's address go, and where it is to be heard. */
function askedFor({ interface: device, addresses }: Machine): SetElement[] {
  return addresses
    .filter(({ family }) => family === 6)
    .map(({ value }) => ({ key: [device, addressOf(6, SOLICITED_NODE | BigInt.asUintN(SOLICITED_BITS, value)).text] }));
}

/** The one address that a machine may say is its own: a chain for each, for nftables has no sets of what is in such a message. */
function claimOf({ interface: device, addresses }: Machine): { element: SetElement; chain: Chain }[] {
  return addresses
    .filter(({ family }) => family === 6)
    .map(({ value }) => {
      const name = `${CLAIM_PREFIX}${device}`;
      const isOwn: Statement = { match: ['icmpv6 target'], op: '==', to: `0x${value.toString(16)}` };
      return {
        element: { key: [device], value: { goto: name } },
        chain: { name, rules: [[isOwn, ACCEPT], [drops('spoofed')]] },
      };
    });
}

/** Machines to which no way leads from another one; those that lead there from them are the same, the other way round. */
function isolatedOf(classifier: Classifier, machines: readonly Machine[], { elements }: Ways): Machine[] {
  const own = new Map<KeyPart, number>();
  /** Addresses of one family and group: each is another machine's. */
  const population = { 4: new Map<number, number>(), 6: new Map<number, number>() };
  for (const machine of machines) {
    for (const address of machine.addresses) {
      const { id } = classifier.groupOf(machine, address);
      own.set(address.text, id);
      population[address.family].set(id, (population[address.family].get(id) ?? 0) + 1);
    }
  }
  const connected = new Set<KeyPart>();
  for (const [family, ways] of [
    [4, elements['ways4'] ?? []],
    [6, elements['ways6'] ?? []],
  ] as const) {
    for (const { key } of ways) {
      const [source, address = ''] = key;
      const itself = own.get(address) === source ? 1 : 0;
      if ((population[family].get(Number(source)) ?? 0) > itself) connected.add(address);
    }
  }
  return machines.filter(({ addresses }) => !addresses.some(({ text }) => connected.has(text)));
}

function waysOf(routed: Ruleset): Ways {
  const rules = routed.tables.find(({ family }) => family === 'inet');
  const elementsOfSet = (name: string): readonly SetElement[] =>
    rules?.sets.find((set) => set.name === name)?.elements ?? [];
  const budget = new Budget(MAX_STEPS, 'groups, addresses and services');
  const asked = askedByPair(elementsOfSet);
  const pairs = new Map(elementsOfSet('pairs').map(({ key, value }) => [key.map(Number).join(), Number(value)]));
  const sources = new Set(elementsOfSet('pairs').flatMap(({ key }) => key.map(Number)));
  const ids = new StableIds('pair');
  const elements: Record<string, SetElement[]> = {
    groups4: [...elementsOfSet('groups4')],
    groups6: [...elementsOfSet('groups6')],
    ways4: [],
    ways6: [],
    ...Object.fromEntries(KINDS.flatMap((kind) => [`asks-${kind}`, `answers-${kind}`].map((name) => [name, []]))),
  };
  const known = new Set<number>();
  let count = 0;
  for (const [name, ways] of [
    ['groups4', 'ways4'],
    ['groups6', 'ways6'],
  ] as const) {
    for (const { key, value } of elementsOfSet(name)) {
      const target = Number(value);
      for (const source of sources) {
        budget.spend(1);
        const [there, back] = [pairs.get(`${source},${target}`), pairs.get(`${target},${source}`)];
        if (there === undefined && back === undefined) continue;
        const way = ids.of(`${there ?? ''} ${back ?? ''}`);
        elements[ways]?.push({ key: [source, ...key], value: way });
        if ((count += 1) > MAX_CELLS) refuseCells();
        if (known.has(way)) continue;
        known.add(way);
        for (const [set, found] of [
          ...asks(way, asked.get(there)),
          ...answers(way, asked.get(there), asked.get(back)),
        ]) {
          elements[set]?.push(found);
          if ((count += 1) > MAX_CELLS) refuseCells();
        }
      }
    }
  }
  return { elements, chains: (rules?.chains ?? []).filter(({ name }) => isDecision(name)).map(returning) };
}

/** By the number of a pair: what the first of its groups may ask of the second. */
function askedByPair(elementsOfSet: (name: string) => readonly SetElement[]): ReadonlyMap<number | undefined, Asked> {
  const verdicts = new Map(elementsOfSet('decisions').map(({ key, value }) => [key[0], value]));
  const services = new Map<KeyPart | undefined, { kind: Kind; key: readonly KeyPart[] }[]>();
  for (const kind of KINDS) {
    for (const { key, value } of elementsOfSet(kind)) {
      const list = services.get(Number(value));
      if (list === undefined) services.set(Number(value), [{ kind, key }]);
      else list.push({ kind, key });
    }
  }
  const found = new Map<number, Record<Kind, { key: readonly KeyPart[]; verdict: Verdict }[]>>();
  for (const { key, value } of elementsOfSet('cells')) {
    const [pair, service] = key;
    const verdict = verdicts.get(Number(value));
    if (verdict === undefined || typeof verdict === 'number' || !mayAllow(verdict)) continue;
    const asked = found.get(Number(pair)) ?? { ports: [], icmp: [], icmpv6: [], protocols: [] };
    found.set(Number(pair), asked);
    for (const { kind, key: of } of services.get(service) ?? [])
      asked[kind].push({ key: of, verdict: called(verdict) });
  }
  return found;
}

function* asks(way: number, asked: Asked | undefined): Iterable<[set: string, element: SetElement]> {
  for (const kind of KINDS) {
    for (const { key, verdict } of asked?.[kind] ?? []) yield [`asks-${kind}`, { key: [way, ...key], value: verdict }];
  }
}

/** What may come back on a way: of what the other end may ask, and errors of what either may. */
function* answers(
  way: number,
  there: Asked | undefined,
  back: Asked | undefined,
): Iterable<[set: string, element: SetElement]> {
  for (const kind of ['ports', 'protocols'] as const) {
    for (const { key, verdict } of back?.[kind] ?? [])
      yield [`answers-${kind}`, { key: [way, ...key], value: verdict }];
  }
  for (const kind of ['icmp', 'icmpv6'] as const) {
    const { answers: answerOf, errors } = ICMP_ANSWERS[kind];
    for (const [question, answer] of Object.entries(answerOf)) {
      const asked = back?.[kind].find(({ key }) => isAt(key[0], Number(question)));
      if (asked !== undefined) yield [`answers-${kind}`, { key: [way, answer], value: asked.verdict }];
    }
    if (isEmpty(there) && isEmpty(back)) continue;
    for (const error of errors) yield [`answers-${kind}`, { key: [way, error], value: 'accept' }];
  }
}

function isEmpty(asked: Asked | undefined): boolean {
  return asked === undefined || KINDS.every((kind) => asked[kind].length === 0);
}

function isAt(part: KeyPart | undefined, number: number): boolean {
  if (typeof part !== 'object') return part === number;
  return Number(part.first) <= number && number <= Number(part.last);
}

/** All but what only denies. */
function mayAllow(verdict: Verdict): boolean {
  return isAllowed(verdict) || (typeof verdict === 'object' && 'goto' in verdict && isDecision(verdict.goto));
}

/** What begins a connection, as far as that is known here, is metered before it is judged. */
function isAllowed(verdict: Verdict | 'masquerade'): boolean {
  return typeof verdict === 'object' && 'goto' in verdict && verdict.goto === OPENING;
}

function isDecision(chain: string): boolean {
  return chain.startsWith(DECISION_PREFIX);
}

function called(verdict: Verdict): Verdict {
  if (isAllowed(verdict)) return 'accept';
  return typeof verdict === 'object' && 'goto' in verdict ? { jump: verdict.goto } : verdict;
}

/** A decision that does not allow is no end here: the packet may be an answer all the same. */
function returning({ name, rules }: Chain): Chain {
  const soft = (statement: Statement): Statement => {
    if (!('verdict' in statement) || typeof statement.verdict !== 'object') return statement;
    return isAllowed(statement.verdict) ? ACCEPT : { verdict: 'return' };
  };
  const isDenial = (each: readonly Statement[]): boolean =>
    each.some((statement) => 'log' in statement && statement.log.group === LOG_GROUPS.refused);
  return { name, rules: rules.filter((each) => !isDenial(each)).map((each) => each.map(soft)) };
}
