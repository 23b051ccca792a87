// Renders the tree as commands of libnftables' JSON (libnftables-json(5)). All quoting is JSON's own; no string in it is from outside
// unless it is a name, an interface or an address that a parser of this package has checked.
import type {
  Chain,
  KeyPart,
  Lookup,
  Measure,
  Operand,
  RuleSet,
  Selector,
  SetElement,
  Statement,
  Table,
  Verdict,
} from './ruleset.ts';

export type NftJson = string | number | boolean | null | readonly NftJson[] | { readonly [key: string]: NftJson };

/** One command: `{ add: … }`, `{ delete: … }`, `{ flush: … }`. A list of them is applied whole or not at all. */
export type NftCommand = Readonly<Record<string, NftJson>>;

type TableName = Pick<Table, 'family' | 'name'>;

/** The table as it is to be, whatever stood there before. */
export function renderTable(table: Table): NftCommand[] {
  const { family, name } = table;
  const made: NftCommand = { add: { table: { family, name } } };
  return [made, { delete: { table: { family, name } } }, made, ...renderContents(table)];
}

export function renderElements(
  verb: 'add' | 'delete',
  table: TableName,
  set: string,
  elements: readonly SetElement[],
): NftCommand {
  const elem = elements.map((element) => renderElement(element));
  return { [verb]: { element: { family: table.family, table: table.name, name: set, elem } } };
}

export function renderChain(table: TableName, { name, hook }: Chain): NftCommand {
  const chain = { family: table.family, table: table.name, name };
  if (hook === undefined) return { add: { chain } };
  return { add: { chain: { ...chain, type: hook.type, hook: hook.at, prio: hook.priority, policy: hook.policy } } };
}

export function renderRules(table: TableName, { name, rules }: Chain): NftCommand[] {
  return rules.map((statements) => ({
    add: {
      rule: {
        family: table.family,
        table: table.name,
        chain: name,
        expr: statements.flatMap((statement) => renderStatement(statement)),
      },
    },
  }));
}

function renderContents(table: Table): NftCommand[] {
  const place = { family: table.family, table: table.name };
  return [
    ...table.counters.map((name) => ({ add: { counter: { ...place, name } } })),
    ...table.sets.map((set) => renderSet(table, set)),
    ...table.chains.map((chain) => renderChain(table, chain)),
    ...table.sets
      .filter(({ elements }) => elements.length > 0)
      .map((set) => renderElements('add', table, set.name, set.elements)),
    ...table.chains.flatMap((chain) => renderRules(table, chain)),
  ];
}

/** Of each packet that is logged: the longest heads of IP and what follows, and nothing of what machines tell each other. */
const LOGGED_BYTES = 96;

/** Keys that a metered set has room for: more than interfaces in a namespace. What finds no room goes no further. */
const METERED_KEYS = 65_536;

export function renderSet(table: TableName, { name, key, value, interval, metered, counted }: RuleSet): NftCommand {
  const [only] = key;
  const common = {
    family: table.family,
    table: table.name,
    name,
    type: key.length === 1 && only !== undefined ? only : key,
    ...(interval ? { flags: ['interval'] } : {}),
    ...(metered === undefined ? {} : { size: METERED_KEYS }),
    ...(counted === undefined ? {} : { stmt: [{ counter: null }] }),
    ...(metered?.forgottenAfterSeconds === undefined
      ? {}
      : { flags: ['timeout'], timeout: metered.forgottenAfterSeconds }),
  };
  return { add: value === undefined ? { set: common } : { map: { ...common, map: value } } };
}

function renderElement({ key, value }: SetElement): NftJson {
  const parts = key.map((part) => renderPart(part));
  const rendered = parts.length === 1 ? (parts[0] ?? null) : { concat: parts };
  if (value === undefined) return rendered;
  return [rendered, typeof value === 'number' ? value : renderVerdict(value)];
}

function renderPart(part: KeyPart): NftJson {
  return typeof part === 'object' ? { range: [part.first, part.last] } : part;
}

function renderVerdict(verdict: Verdict): NftJson {
  if (typeof verdict !== 'object') return { [verdict]: null };
  return 'goto' in verdict ? { goto: { target: verdict.goto } } : { jump: { target: verdict.jump } };
}

function renderStatement(statement: Statement): NftJson[] {
  if ('match' in statement) {
    const { match, op, to } = statement;
    return [{ match: { op, left: renderKey(match), right: renderOperand(to) } }];
  }
  if ('assign' in statement) {
    const { assign, from } = statement;
    const value = typeof from === 'number' ? from : typeof from === 'string' ? SELECTORS[from] : renderLookup(from);
    return [{ mangle: { key: SELECTORS[assign], value } }];
  }
  if ('decide' in statement) {
    return [{ vmap: { key: renderKey(statement.decide.key), data: `@${statement.decide.map}` } }];
  }
  if ('count' in statement) return [{ counter: statement.count }];
  if ('meter' in statement) {
    const { meter, key } = statement;
    const over = 'over' in statement;
    const measures = over ? [statement.over] : statement.below;
    const op = measures.some((measure) => 'connections' in measure) ? 'add' : 'update';
    const stmt = measures.map((measure) => renderMeasure(measure, over));
    return [{ set: { op, elem: renderKey(key), set: `@${meter}`, stmt } }];
  }
  if ('tally' in statement) {
    const { tally, key } = statement;
    return [{ set: { op: 'update', elem: renderKey(key), set: `@${tally}`, stmt: [{ counter: null }] } }];
  }
  if ('remember' in statement) {
    return [{ set: { op: 'update', elem: renderKey(statement.key), set: `@${statement.remember}` } }];
  }
  if ('oneOf' in statement) {
    const left = { numgen: { mode: 'random', mod: statement.oneOf, offset: 0 } };
    return [{ match: { op: '==', left, right: 0 } }];
  }
  if ('log' in statement) {
    const { prefix, group, perSecond } = statement.log;
    return [
      { limit: { rate: perSecond, burst: perSecond, per: 'second' } },
      { log: { prefix, group, snaplen: LOGGED_BYTES } },
    ];
  }
  if ('clamp' in statement) {
    const key = { 'tcp option': { name: statement.clamp, field: 'size' } };
    return [{ mangle: { key, value: { rt: { key: 'mtu' } } } }];
  }
  if ('masqueradeBy' in statement) {
    const { first, last } = statement.masqueradeBy;
    return [{ masquerade: { port: { range: [first, last] } } }];
  }
  return [statement.verdict === 'masquerade' ? { masquerade: null } : renderVerdict(statement.verdict)];
}

function renderMeasure(measure: Measure, over: boolean): NftJson {
  const inv = over ? { inv: true } : {};
  if ('connections' in measure) return { 'ct count': { val: measure.connections, ...inv } };
  if ('perHour' in measure) return { limit: { rate: measure.perHour, burst: measure.burst, per: 'hour', ...inv } };
  const { perSecond: rate, burst, unit } = measure;
  const units = unit === undefined ? {} : { rate_unit: unit, burst_unit: unit };
  return { limit: { rate, burst, per: 'second', ...units, ...inv } };
}

function renderOperand(operand: Operand): NftJson {
  if (typeof operand !== 'object') return operand;
  if ('set' in operand) return `@${operand.set}`;
  const parts = operand.anyOf.map((part) => renderPart(part));
  return parts.length === 1 ? (parts[0] ?? null) : { set: parts };
}

function renderLookup({ map, key }: Lookup): NftJson {
  return { map: { key: renderKey(key), data: `@${map}` } };
}

function renderKey(key: readonly Selector[]): NftJson {
  const selectors = key.map((selector) => SELECTORS[selector]);
  return selectors.length === 1 ? (selectors[0] ?? null) : { concat: selectors };
}

const SELECTORS: Readonly<Record<Selector, NftJson>> = {
  iifname: { meta: { key: 'iifname' } },
  iiftype: { meta: { key: 'iiftype' } },
  nfproto: { meta: { key: 'nfproto' } },
  oifname: { meta: { key: 'oifname' } },
  l4proto: { meta: { key: 'l4proto' } },
  mark: { meta: { key: 'mark' } },
  time: { meta: { key: 'time' } },
  'ct mark': { ct: { key: 'mark' } },
  'ct state': { ct: { key: 'state' } },
  'ct original ip saddr': { ct: { key: 'ip saddr', dir: 'original' } },
  'ct original ip daddr': { ct: { key: 'ip daddr', dir: 'original' } },
  'ct original ip6 saddr': { ct: { key: 'ip6 saddr', dir: 'original' } },
  'ct original ip6 daddr': { ct: { key: 'ip6 daddr', dir: 'original' } },
  'ether type': { payload: { protocol: 'ether', field: 'type' } },
  'ether saddr': { payload: { protocol: 'ether', field: 'saddr' } },
  'ether daddr': { payload: { protocol: 'ether', field: 'daddr' } },
  'ip saddr': { payload: { protocol: 'ip', field: 'saddr' } },
  'ip daddr': { payload: { protocol: 'ip', field: 'daddr' } },
  'ip6 saddr': { payload: { protocol: 'ip6', field: 'saddr' } },
  'ip6 daddr': { payload: { protocol: 'ip6', field: 'daddr' } },
  'ip6 hoplimit': { payload: { protocol: 'ip6', field: 'hoplimit' } },
  'icmp type': { payload: { protocol: 'icmp', field: 'type' } },
  'icmpv6 type': { payload: { protocol: 'icmpv6', field: 'type' } },
  // RFC 4861, 4.3 and 4.4: the target address. nftables 1.0 has no name for it.
  'icmpv6 target': { payload: { base: 'th', offset: 64, len: 128 } },
  'th dport': { payload: { protocol: 'th', field: 'dport' } },
  'th sport': { payload: { protocol: 'th', field: 'sport' } },
  'udp sport': { payload: { protocol: 'udp', field: 'sport' } },
  'udp dport': { payload: { protocol: 'udp', field: 'dport' } },
  'tcp dport': { payload: { protocol: 'tcp', field: 'dport' } },
  'tcp flags syn': { '&': [{ payload: { protocol: 'tcp', field: 'flags' } }, 'syn'] },
  'tcp flags syn,ack': { '&': [{ payload: { protocol: 'tcp', field: 'flags' } }, { '|': ['syn', 'ack'] }] },
  'arp operation': { payload: { protocol: 'arp', field: 'operation' } },
  'arp saddr ether': { payload: { protocol: 'arp', field: 'saddr ether' } },
  'arp saddr ip': { payload: { protocol: 'arp', field: 'saddr ip' } },
  'arp daddr ip': { payload: { protocol: 'arp', field: 'daddr ip' } },
};
