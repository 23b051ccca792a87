// Does with a packet what nftables does with it, as far as compiled networks use nftables: to compare the compiler with the model
// in milliseconds. That nftables does the same is for packets to show (host/network).
import { parseAddress } from '../src/address.ts';
import type {
  KeyPart,
  Lookup,
  Operand,
  Ruleset,
  Selector,
  SetElement,
  Statement,
  Table,
  Verdict,
} from '../src/ruleset.ts';

export interface Packet {
  readonly iifname: string;
  readonly oifname: string;
  readonly mac: string;
  readonly from: string;
  readonly to: string;
  readonly protocol: number;
  /** Destination port or ICMP type. */
  readonly number: number;
  readonly sourcePort?: number;
  /** Of TCP: `syn` begins a connection. */
  readonly flags?: 'syn' | 'ack';
  readonly atSeconds: number;
}

const ICMP = { 1: 'icmp type', 58: 'icmpv6 type' } as const;

/** The verdict on the first packet of a connection that is forwarded, and what was counted on the way. */
export function judgePacket(ruleset: Ruleset, packet: Packet): { accepted: boolean; counted: string[] } {
  const counted: string[] = [];
  const table = ruleset.tables.find(({ family }) => family === 'bridge' || family === 'inet');
  if (table === undefined) throw new Error('no table');
  for (const hook of ['prerouting', 'forward'] as const) {
    const walk = new Walk(table, packet, counted);
    const base = table.chains.find((chain) => chain.hook?.at === hook);
    const verdict = base === undefined ? 'accept' : (walk.chain(base.name) ?? base.hook?.policy);
    if (verdict !== 'accept') return { accepted: false, counted };
  }
  return { accepted: true, counted };
}

class Walk {
  readonly #table: Table;
  readonly #counted: string[];
  readonly #values: Map<Selector, string | number>;

  constructor(table: Table, packet: Packet, counted: string[]) {
    this.#table = table;
    this.#counted = counted;
    const family = packet.from.includes(':') ? 'ip6' : 'ip';
    this.#values = new Map<Selector, string | number>([
      ['nfproto', family === 'ip6' ? 'ipv6' : 'ipv4'],
      ['iiftype', packet.mac === '' ? 'none' : 'ether'],
      ['iifname', packet.iifname],
      ['oifname', packet.oifname],
      ['ether saddr', packet.mac],
      [`${family} saddr`, packet.from],
      [`${family} daddr`, packet.to],
      ['l4proto', packet.protocol],
      ['time', packet.atSeconds],
      ['mark', 0],
      ['ct mark', 0],
      ['ct state', 'new'],
      // Of our interfaces, only tunnels are no Ethernet.
      ['iiftype', packet.iifname.startsWith('wg') ? 'none' : 'ether'],
    ]);
    if (packet.protocol === 1 || packet.protocol === 58) this.#values.set(ICMP[packet.protocol], packet.number);
    else this.#values.set('th dport', packet.number).set('th sport', packet.sourcePort ?? 0);
    if (packet.protocol === 6) this.#values.set('tcp flags syn,ack', packet.flags ?? 'syn');
  }

  chain(name: string): 'accept' | 'drop' | undefined {
    const chain = this.#table.chains.find((found) => found.name === name);
    if (chain === undefined) throw new Error(`no chain ${name}`);
    for (const rule of chain.rules) {
      const verdict = this.#rule(rule);
      if (verdict === 'accept' || verdict === 'drop') return verdict;
      if (verdict === 'return') return undefined;
      if (verdict === undefined) continue;
      if ('goto' in verdict) return this.chain(verdict.goto);
      const called = this.chain(verdict.jump);
      if (called !== undefined) return called;
    }
    return undefined;
  }

  #rule(statements: readonly Statement[]): Verdict | undefined {
    for (const statement of statements) {
      if ('match' in statement) {
        if (!this.#matches(statement.match, statement.op, statement.to)) return undefined;
      } else if ('assign' in statement) {
        const value = typeof statement.from === 'number' ? statement.from : this.#valueOf(statement.from);
        if (value === undefined) return undefined;
        this.#values.set(statement.assign, value);
      } else if ('decide' in statement) {
        const verdict = this.#lookUp(statement.decide)?.value;
        if (typeof verdict === 'number') throw new Error('a map of verdicts has a number');
        if (verdict !== undefined) return verdict;
        return undefined;
      } else if (('meter' in statement && 'over' in statement) || 'oneOf' in statement) {
        // One packet is never too many.
        return undefined;
      } else if ('count' in statement) {
        this.#counted.push(statement.count);
      } else if ('verdict' in statement && statement.verdict !== 'masquerade') {
        return statement.verdict;
      }
    }
    return undefined;
  }

  #valueOf(from: Selector | Lookup): string | number | undefined {
    if (typeof from === 'string') return this.#values.get(from);
    const value = this.#lookUp(from)?.value;
    if (typeof value === 'string' || typeof value === 'object') throw new Error('a map of marks has a verdict');
    return value;
  }

  #lookUp({ map, key }: Lookup): SetElement | undefined {
    return this.#find(map, this.#key(key));
  }

  #find(name: string, key: readonly (string | number)[] | undefined): SetElement | undefined {
    const set = this.#table.sets.find((found) => found.name === name);
    if (set === undefined) throw new Error(`no set ${name}`);
    const found = set.elements.filter((element) => key?.every((part, index) => isIn(part, element.key[index])));
    if (found.length > 1) throw new Error(`set ${name} has two elements for one key`);
    return found[0];
  }

  #key(selectors: readonly Selector[]): (string | number)[] | undefined {
    const values = selectors.map((selector) => this.#values.get(selector));
    return values.every((value) => value !== undefined) ? values : undefined;
  }

  #matches(selectors: readonly Selector[], op: string, to: Operand): boolean {
    const key = this.#key(selectors);
    if (key === undefined) return false;
    if (typeof to === 'object' && 'set' in to) return this.#find(to.set, key) !== undefined;
    const [value = ''] = key;
    if (typeof to === 'object') return to.anyOf.some((part) => isIn(value, part));
    if (op === '!=') return value !== to;
    if (op === '>=') return value >= to;
    return op === '<' ? value < to : value === to;
  }
}

function isIn(value: string | number, part: KeyPart | undefined): boolean {
  if (typeof part !== 'object') return value === part;
  if (typeof value === 'number') return Number(part.first) <= value && value <= Number(part.last);
  const [first, at, last] = [String(part.first), value, String(part.last)].map((text) => parseAddress(text, ''));
  if (first === undefined || at === undefined || last === undefined) return false;
  return first.family === at.family && first.value <= at.value && at.value <= last.value;
}
