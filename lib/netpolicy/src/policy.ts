// What a tenant wants of its networks, as a file says it; policy.schema.json is the same as JSON Schema. Everything that no
// rule allows does not happen; a rule that denies beats every rule that allows, wherever it stands.
import { type AddressRange, parseRange, printRange, rangesOverlap } from './address.ts';
import { asText, ClosedObject } from './closed-object.ts';
import { type Labels, MAX_LABELS, parseLabels, parseLabelValue, parseName } from './names.ts';
import { NetPolicyError } from './netpolicy-error.ts';
import { parseShares, type ShareRule } from './share.ts';
import { parseService, type ServiceRange } from './service.ts';

/** A tenant with more has several projects. */
const MAX_NETWORKS = 64;
/** More than anybody reviews; pairs of rules are compared with each other (findRuleTroubles). */
export const MAX_RULES = 5_000;
const MAX_NETWORK_RANGES = 16;
const MAX_ENDPOINT_RANGES = 256;
const MAX_SERVICES = 64;
const MAX_LABEL_VALUES = 1_024;
/** A network of more than a /8 or a /32 is a mistake, not a plan. */
const MAX_NETWORK_HOST_BITS = { 4: 24n, 6: 96n } as const;
/** A sentence for whoever reads the rule next. */
const MAX_WHY_CHARACTERS = 200;
/** Nothing in it moves a cursor, or lets text run backwards. */
const PLAIN_SENTENCE: RegExp = new RegExp(`^[^\\p{Cc}\\p{Cf}]{0,${MAX_WHY_CHARACTERS}}$`, 'u');

export interface Policy {
  readonly version: 1;
  readonly tenant: string;
  readonly networks: readonly Network[];
}

export interface Network {
  readonly name: string;
  /** Where the addresses of its machines lie. */
  readonly addresses: readonly AddressRange[];
  /**
   * Whether each machine has a cable of its own to a router, or all share a segment: a bridge that keeps no state of connections, or
   * an Open vSwitch, which does.
   */
  readonly mode: 'routed' | 'bridged' | 'openvswitch';
  /** Whether rules may lead out of the network, with the host's address for the sender. */
  readonly internet: 'none' | 'nat';
  /**
   * Whether its gateway gives machines their addresses, and answers with the names of its machines; unless told otherwise it does,
   * where there is a gateway.
   */
  readonly dns: boolean;
  /** Where given, the only labels there are: a rule or machine with another is refused. */
  readonly labels: ReadonlyMap<string, ReadonlySet<string>> | undefined;
  readonly rules: readonly Rule[];
  /** What its machines may take of it, the first that means a machine for each. */
  readonly shares: readonly ShareRule[];
}

export interface Rule {
  readonly name: string;
  readonly action: 'allow' | 'deny';
  readonly from: Endpoint;
  readonly to: Endpoint;
  /** As written, for people; `ranges` says the same. */
  readonly services: readonly string[];
  readonly ranges: readonly ServiceRange[];
  readonly log: boolean;
  /** Unix time in seconds: in force from `after`, and no longer at `before`. */
  readonly after: number | undefined;
  readonly before: number | undefined;
  readonly why: string | undefined;
}

export type Endpoint =
  | { readonly kind: 'any' }
  /** Machines with all of these labels; with none given, every machine of the network. */
  | { readonly kind: 'labels'; readonly labels: Labels }
  | { readonly kind: 'addresses'; readonly ranges: readonly AddressRange[] }
  | { readonly kind: 'machine'; readonly machine: string };

/** Ranges that no network may lie in: this host's own, link-local (metadata services), multicast and reserved ones. */
const UNUSABLE: readonly AddressRange[] = [
  '0.0.0.0/8',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '224.0.0.0/3',
  '::/16',
  'fe80::/10',
  'ff00::/8',
].map((text) => parseRange(text, ''));

/** Parses what JSON.parse answered. Throws NetPolicyError, which says where. */
export function parsePolicy(json: unknown): Policy {
  const object = new ClosedObject(json, '');
  const version = object.oneOf('version', [1]);
  const tenant = parseName(object.value('tenant'), 'tenant');
  const networks = object.list('networks', MAX_NETWORKS, parseNetwork);
  object.end();
  refuseTwins(
    networks.map(({ name }) => name),
    'networks',
  );
  refuseOverlaps(
    networks.flatMap(({ name, addresses }) => addresses.map((range) => ({ owner: name, range }))),
    'networks',
  );
  return { version, tenant, networks };
}

/** An end of a rule as people write it: `any`, `role=web,tier=1`, `10.0.0.0/8`, `machine web1`. */
export function printEndpoint(endpoint: Endpoint): string {
  if (endpoint.kind === 'any') return 'any';
  if (endpoint.kind === 'machine') return `machine ${endpoint.machine}`;
  if (endpoint.kind === 'addresses') return endpoint.ranges.map((range) => printRange(range)).join(',');
  const pairs = Object.entries(endpoint.labels).map(([key, value]) => `${key}=${value}`);
  return pairs.length === 0 ? 'every machine' : pairs.toSorted().join(',');
}

/** The order in which rules are asked: those that deny, then those that allow, each as they stand in the file. */
export function byPrecedence(rules: readonly Rule[]): readonly Rule[] {
  return [...rules.filter(({ action }) => action === 'deny'), ...rules.filter(({ action }) => action === 'allow')];
}

function parseNetwork(json: unknown, at: string): Network {
  const object = new ClosedObject(json, at);
  const name = parseName(object.value('name'), object.where('name'));
  const addresses = object.list('addresses', MAX_NETWORK_RANGES, parseNetworkRange);
  if (addresses.length === 0) throw new NetPolicyError('malformed', object.where('addresses'), 'is empty');
  refuseOverlaps(
    addresses.map((range) => ({ owner: name, range })),
    object.where('addresses'),
  );
  const mode = object.has('mode') ? object.oneOf('mode', ['routed', 'bridged', 'openvswitch']) : 'routed';
  const internet = object.has('internet') ? object.oneOf('internet', ['none', 'nat']) : 'none';
  const dns = object.has('dns') ? object.flag('dns') : true;
  if (mode !== 'routed' && internet === 'nat') {
    throw new NetPolicyError('malformed', object.where('internet'), `needs a router, which no ${mode} network has`);
  }
  const labels = object.has('labels') ? parseDeclaredLabels(object) : undefined;
  const rules = object.list('rules', MAX_RULES, (item, where) => parseRule(item, where, labels));
  const shares = object.has('shares')
    ? parseShares(object, (wanted, where) => checkDeclared(wanted, labels, where))
    : [];
  object.end();
  refuseTwins(
    rules.map((rule) => rule.name),
    object.where('rules'),
  );
  return { name, addresses, mode, internet, dns, labels, rules, shares };
}

function parseNetworkRange(item: unknown, at: string): AddressRange {
  const range = parseRange(asText(item, at), at);
  const unusable = UNUSABLE.find((reserved) => rangesOverlap(reserved, range));
  if (unusable !== undefined) {
    throw new NetPolicyError('address-invalid', at, `${printRange(range)} reaches into ${printRange(unusable)}`);
  }
  if (range.last - range.first >= 1n << MAX_NETWORK_HOST_BITS[range.family]) {
    const bits = range.family === 4 ? '/8' : '/32';
    throw new NetPolicyError('address-invalid', at, `${printRange(range)} is larger than a ${bits}`);
  }
  return range;
}

function parseDeclaredLabels(network: ClosedObject): ReadonlyMap<string, ReadonlySet<string>> {
  return new Map(
    network.entries('labels', MAX_LABELS).map(([key, values, at]) => {
      const read = new ClosedObject({ values }, at);
      return [parseName(key, at), new Set(read.list('values', MAX_LABEL_VALUES, parseLabelValue))];
    }),
  );
}

function parseRule(json: unknown, at: string, declared: Network['labels']): Rule {
  const object = new ClosedObject(json, at);
  const name = parseName(object.value('name'), object.where('name'));
  const action = object.oneOf('action', ['allow', 'deny']);
  const from = parseEndpoint(object.value('from'), object.where('from'), declared);
  const to = parseEndpoint(object.value('to'), object.where('to'), declared);
  const services = object.list('services', MAX_SERVICES, asText);
  if (services.length === 0) throw new NetPolicyError('malformed', object.where('services'), 'is empty');
  const ranges = services.flatMap((text, index) => parseService(text, `${object.where('services')}[${index}]`));
  const log = object.flag('log');
  const after = object.has('after') ? parseTime(object.text('after'), object.where('after')) : undefined;
  const before = object.has('before') ? parseTime(object.text('before'), object.where('before')) : undefined;
  if (after !== undefined && before !== undefined && after >= before) {
    throw new NetPolicyError('time-invalid', at, 'ends before it begins');
  }
  const why = object.has('why') ? parseWhy(object.text('why'), object.where('why')) : undefined;
  object.end();
  return { name, action, from, to, services, ranges, log, after, before, why };
}

function parseEndpoint(json: unknown, at: string, declared: Network['labels']): Endpoint {
  if (json === 'any') return { kind: 'any' };
  const object = new ClosedObject(json, at);
  let endpoint: Endpoint;
  if (object.has('labels')) {
    const labels = parseLabels(object.entries('labels', MAX_LABELS));
    checkDeclared(labels, declared, at);
    endpoint = { kind: 'labels', labels };
  } else if (object.has('addresses')) {
    const read = (item: unknown, where: string): AddressRange => parseRange(asText(item, where), where);
    const ranges = object.list('addresses', MAX_ENDPOINT_RANGES, read);
    if (ranges.length === 0) throw new NetPolicyError('malformed', object.where('addresses'), 'is empty');
    endpoint = { kind: 'addresses', ranges };
  } else {
    endpoint = { kind: 'machine', machine: parseName(object.value('machine'), object.where('machine')) };
  }
  object.end();
  return endpoint;
}

export function checkDeclared(labels: Labels, declared: Network['labels'], at: string): void {
  if (declared === undefined) return;
  for (const [key, value] of Object.entries(labels)) {
    if (declared.get(key)?.has(value) !== true) {
      throw new NetPolicyError('unknown-label', at, `${key}=${value} is no label of this network`);
    }
  }
}

/** RFC 3339, in UTC and whole seconds: there is no other way to read it. */
function parseTime(text: string, at: string): number {
  const milliseconds = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(text) ? Date.parse(text) : Number.NaN;
  // Date.parse takes a 30th of February for a day in March.
  if (
    Number.isNaN(milliseconds) ||
    new Date(milliseconds).toISOString() !== text.replace('Z', '.000Z') ||
    milliseconds < 0
  ) {
    throw new NetPolicyError('time-invalid', at, 'is no time as in 2027-01-31T18:00:00Z');
  }
  return milliseconds / 1_000;
}

function parseWhy(text: string, at: string): string {
  if (!PLAIN_SENTENCE.test(text)) {
    throw new NetPolicyError('malformed', at, `is no plain sentence of at most ${MAX_WHY_CHARACTERS} characters`);
  }
  return text;
}

function refuseTwins(names: readonly string[], at: string): void {
  const seen = new Set<string>();
  for (const name of names) {
    if (seen.has(name)) throw new NetPolicyError('overlap', at, `${name} is there twice`);
    seen.add(name);
  }
}

function refuseOverlaps(ranges: readonly { owner: string; range: AddressRange }[], at: string): void {
  for (const [index, a] of ranges.entries()) {
    const b = ranges.slice(index + 1).find(({ range }) => rangesOverlap(range, a.range));
    if (b === undefined) continue;
    const [one, other] = [a, b].map(({ owner, range }) => `${printRange(range)} of ${owner}`);
    throw new NetPolicyError('overlap', at, `${one} and ${other} overlap`);
  }
}
