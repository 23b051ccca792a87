// Elements of sets as messages of nfnetlink (linux/netfilter/nfnetlink.h, nf_tables.h), in a batch that the kernel applies whole or not
// at all. For what is many or in a hurry: nft(8) takes longer to read elements than the kernel to have them, and longer to start than
// both. Tables, chains and rules are nft's to put together.
import { Writer } from '@ringwall/bytes';
import { type ElementChange, type KeyPart, type KeyType, type RuleSet, type Table } from '@ringwall/netpolicy';

/** What a batch may do: elements, and a table that goes with all that is in it. */
export type NetlinkChange = ElementChange | { readonly verb: 'delete'; readonly table: Pick<Table, 'family' | 'name'> };

export interface NetlinkBatch {
  readonly bytes: Uint8Array;
  /** What each message is about, by its sequence number, by which the kernel refuses it. */
  readonly subjects: readonly string[];
}

type SetElement = ElementChange['elements'][number];
type Verdict = Exclude<SetElement['value'], number | undefined>;

/** linux/netlink.h. Numbers are in the host's order, little-endian wherever Ringwall runs, but for those that say so. */
const NLM_F = { request: 0x1, ack: 0x4, create: 0x400 } as const;
const NLA_F_NESTED = 0x8000;
const HEADERS_BYTES = 20;
const ATTRIBUTE_BYTES = 4;
/** linux/netfilter/nfnetlink.h */
const NFNL_MSG_BATCH = { begin: 0x10, end: 0x11 } as const;
const NFNL_BATCH_GENID = 1;
const NFNL_SUBSYS_NFTABLES = 10;
/** linux/netfilter/nf_tables.h */
const NFT_MSG = { deleteTable: 2, add: 12, delete: 14 } as const;
const NFTA_TABLE_NAME = 1;
const NFTA_SET_ELEM_LIST = { table: 1, set: 2, elements: 3 } as const;
const NFTA_LIST_ELEM = 1;
const NFTA_SET_ELEM = { key: 1, data: 2 } as const;
const NFTA_DATA = { value: 1, verdict: 2 } as const;
const NFTA_VERDICT = { code: 1, chain: 2 } as const;
/** linux/netfilter.h and nf_tables.h, as 32 bits. */
const VERDICT_CODES = { drop: 0, accept: 1, jump: -3 >>> 0, goto: -4 >>> 0, return: -5 >>> 0 } as const;
/** linux/netfilter.h */
const NFPROTO: Readonly<Record<Table['family'], number>> = { inet: 1, ip: 2, arp: 3, bridge: 7, ip6: 10 };

/** Of an attribute the length has 16 bits; an element takes less than 200 bytes. */
const ELEMENTS_PER_MESSAGE = 300;

const KEY_BYTES: Readonly<Record<KeyType, number>> = {
  ipv4_addr: 4,
  ipv6_addr: 16,
  ether_addr: 6,
  ifname: 16,
  mark: 4,
  inet_proto: 1,
  inet_service: 2,
  icmp_type: 1,
  icmpv6_type: 1,
};

/** Whether elements of the set are a key, and a value at most: no ranges, and nothing that counts. */
export function fitsNetlink({ interval, metered, counted }: RuleSet): boolean {
  return !interval && metered === undefined && counted === undefined;
}

/** For rules of this generation, where it is said: the kernel refuses it where somebody has changed them since. */
export function encodeBatch(changes: readonly NetlinkChange[], generation?: number): NetlinkBatch {
  const messages = changes.flatMap((change) => messagesOf(change));
  const writer = new Writer();
  const known = new Writer();
  if (generation !== undefined) writeAttribute(known, NFNL_BATCH_GENID, 4).u32be(generation);
  writeBound(writer, NFNL_MSG_BATCH.begin, 0, known.finish());
  for (const [index, { type, flags, family, body }] of messages.entries()) {
    // One answer for all of them: to the last, when the batch is in force.
    const answered = index === messages.length - 1 ? NLM_F.ack : 0;
    writeHeader(writer, {
      type: (NFNL_SUBSYS_NFTABLES << 8) | type,
      flags: NLM_F.request | flags | answered,
      sequence: index + 1,
      bytes: body.length,
    });
    writer.u8(NFPROTO[family]).u8(0).u16be(0).bytes(body);
  }
  writeBound(writer, NFNL_MSG_BATCH.end, messages.length + 1);
  return { bytes: writer.finish(), subjects: ['take the batch', ...messages.map(({ subject }) => subject)] };
}

interface Message {
  readonly type: number;
  readonly flags: number;
  readonly family: Table['family'];
  readonly body: Uint8Array;
  readonly subject: string;
}

function messagesOf(change: NetlinkChange): Message[] {
  const { verb, table } = change;
  const { family } = table;
  if (!('set' in change)) {
    const body = new Writer();
    writeText(body, NFTA_TABLE_NAME, table.name);
    const subject = `delete table ${family} ${table.name}`;
    return [{ type: NFT_MSG.deleteTable, flags: 0, family, body: body.finish(), subject }];
  }
  const { set, elements } = change;
  const flags = verb === 'add' ? NLM_F.create : 0;
  const nothing = new Uint8Array();
  const plain = new ElementForm(set.key, verb === 'add' && set.value === 'mark' ? dataOf(0) : nothing);
  // A verdict may name a chain: few elements have one, each in a form of its own.
  const formOf = (value: SetElement['value']): ElementForm =>
    verb === 'add' && typeof value !== 'number' && value !== undefined
      ? new ElementForm(set.key, dataOf(value))
      : plain;
  const messages: Message[] = [];
  for (let from = 0; from < elements.length; from += ELEMENTS_PER_MESSAGE) {
    const some = elements.slice(from, from + ELEMENTS_PER_MESSAGE);
    const list = new Writer();
    for (const { key, value } of some) list.bytes(formOf(value).fill(key, value));
    const body = new Writer();
    writeText(body, NFTA_SET_ELEM_LIST.table, table.name);
    writeText(body, NFTA_SET_ELEM_LIST.set, set.name);
    writeAttribute(body, NFTA_SET_ELEM_LIST.elements | NLA_F_NESTED, list.length).bytes(list.finish());
    const subject = `${verb} ${some.length} of ${family} ${table.name} ${set.name}, from ${JSON.stringify(some[0]?.key)} on`;
    messages.push({ type: NFT_MSG[verb], flags, family, body: body.finish(), subject });
  }
  return messages;
}

/** An element of a set, filled with one key and number after the other: what stands around those is the same for all. */
class ElementForm {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #types: readonly KeyType[];
  readonly #keyAt: number;
  readonly #keyBytes: number;

  constructor(types: readonly KeyType[], data: Uint8Array) {
    const keyBytes = keyBytesOf(types);
    const keyed = ATTRIBUTE_BYTES + padded(keyBytes);
    const writer = new Writer();
    writeAttribute(writer, NFTA_LIST_ELEM | NLA_F_NESTED, ATTRIBUTE_BYTES + keyed + data.length);
    writeAttribute(writer, NFTA_SET_ELEM.key | NLA_F_NESTED, keyed);
    writeAttribute(writer, NFTA_DATA.value, keyBytes);
    this.#keyAt = writer.length;
    this.#keyBytes = padded(keyBytes);
    this.#bytes = writer.bytes(new Uint8Array(this.#keyBytes)).bytes(data).finish();
    this.#view = new DataView(this.#bytes.buffer);
    this.#types = types;
  }

  /** The same bytes each time. */
  fill(key: readonly KeyPart[], value: SetElement['value']): Uint8Array {
    let at = this.#keyAt;
    this.#bytes.fill(0, at, at + this.#keyBytes);
    for (const [index, type] of this.#types.entries()) {
      this.#fillPart(at, type, key[index]);
      at += padded(KEY_BYTES[type]);
    }
    if (typeof value === 'number' && this.#bytes.length > at) this.#view.setUint32(this.#bytes.length - 4, value, true);
    return this.#bytes;
  }

  #fillPart(at: number, type: KeyType, part: KeyPart | undefined): void {
    if (typeof part === 'number') {
      if (KEY_BYTES[type] === 4) this.#view.setUint32(at, part, true);
      else if (KEY_BYTES[type] === 2) this.#view.setUint16(at, part, false);
      else this.#view.setUint8(at, part);
    } else if (typeof part === 'string' && type in TEXT_KEYS) {
      TEXT_KEYS[type]?.(this.#bytes, at, part);
    } else throw new TypeError(`${JSON.stringify(part)} is no ${type} of one element`);
  }
}

/** Texts that parsers of lib/netpolicy have made, in their one form; read digit by digit, for there are tens of thousands. */
const TEXT_KEYS: Readonly<Partial<Record<KeyType, (bytes: Uint8Array, at: number, text: string) => void>>> = {
  ifname: (bytes, at, text) => {
    for (let index = 0; index < text.length; index += 1) bytes[at + index] = text.charCodeAt(index);
  },
  ipv4_addr: (bytes, at, text) => fillNumbers(bytes, at, text, 10),
  ether_addr: (bytes, at, text) => fillNumbers(bytes, at, text, 16),
  ipv6_addr: fillIpv6,
};

function fillNumbers(bytes: Uint8Array, at: number, text: string, radix: 10 | 16): void {
  let place = at;
  for (let index = 0; index < text.length; index += 1) {
    const digit = digitAt(text, index);
    if (digit === undefined) place += 1;
    else bytes[place] = (bytes[place] ?? 0) * radix + digit;
  }
}

/** RFC 5952: what is behind `::` ends where the address ends. */
function fillIpv6(bytes: Uint8Array, at: number, text: string): void {
  const gap = text.indexOf('::');
  if (gap < 0) return fillGroups(bytes, at, text);
  fillGroups(bytes, at, text.slice(0, gap));
  const behind = text.slice(gap + 2);
  const groups = behind === '' ? 0 : behind.split(':').length;
  fillGroups(bytes, at + KEY_BYTES.ipv6_addr - 2 * groups, behind);
}

function fillGroups(bytes: Uint8Array, at: number, text: string): void {
  let [place, group] = [at, 0];
  for (let index = 0; index < text.length; index += 1) {
    const digit = digitAt(text, index);
    if (digit === undefined) [place, group] = [place + 2, 0];
    else {
      group = group * 16 + digit;
      bytes[place] = group >> 8;
      bytes[place + 1] = group;
    }
  }
}

/** Undefined at what separates numbers, and at the end. */
function digitAt(text: string, index: number): number | undefined {
  const code = text.charCodeAt(index);
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  return code >= 0x61 && code <= 0x66 ? code - 0x61 + 10 : undefined;
}

/** Parts of a key that has several begin at multiples of four bytes. */
function keyBytesOf(types: readonly KeyType[]): number {
  const [only] = types;
  if (only !== undefined && types.length === 1) return KEY_BYTES[only];
  return types.reduce((sum, type) => sum + padded(KEY_BYTES[type]), 0);
}

function dataOf(value: number | Verdict): Uint8Array {
  const inner = new Writer();
  if (typeof value === 'number') {
    writeAttribute(inner, NFTA_DATA.value, 4).u32le(value);
  } else {
    const verdict = new Writer();
    const [code, chain] = codeOf(value);
    writeAttribute(verdict, NFTA_VERDICT.code, 4).u32be(VERDICT_CODES[code]);
    if (chain !== undefined) writeText(verdict, NFTA_VERDICT.chain, chain);
    writeAttribute(inner, NFTA_DATA.verdict | NLA_F_NESTED, verdict.length).bytes(verdict.finish());
  }
  const data = new Writer();
  return writeAttribute(data, NFTA_SET_ELEM.data | NLA_F_NESTED, inner.length)
    .bytes(inner.finish())
    .finish();
}

function codeOf(verdict: Verdict): [code: keyof typeof VERDICT_CODES, chain?: string] {
  if (typeof verdict === 'string') return [verdict];
  return 'goto' in verdict ? ['goto', verdict.goto] : ['jump', verdict.jump];
}

/** What begins or ends a batch: for whom it is (linux/netfilter/nfnetlink.h, res_id). */
function writeBound(writer: Writer, type: number, sequence: number, attributes: Uint8Array = new Uint8Array()): void {
  writeHeader(writer, { type, flags: NLM_F.request, sequence, bytes: attributes.length });
  writer.u8(0).u8(0).u16be(NFNL_SUBSYS_NFTABLES).bytes(attributes);
}

interface Header {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  /** Behind both headers, netlink's and nfnetlink's. */
  readonly bytes: number;
}

function writeHeader(writer: Writer, { type, flags, sequence, bytes }: Header): void {
  writer
    .u32le(HEADERS_BYTES + bytes)
    .u16le(type)
    .u16le(flags)
    .u32le(sequence)
    .u32le(0);
}

function writeAttribute(writer: Writer, type: number, bytes: number): Writer {
  return writer.u16le(ATTRIBUTE_BYTES + bytes).u16le(type);
}

/** Names of tables, sets and chains are ours, and of a few characters of ASCII. */
function writeText(writer: Writer, type: number, text: string): void {
  const bytes = text.length + 1;
  writeAttribute(writer, type, bytes);
  for (let index = 0; index < padded(bytes); index += 1) writer.u8(text.codePointAt(index) ?? 0);
}

function padded(bytes: number): number {
  return (bytes + 3) & ~3;
}
