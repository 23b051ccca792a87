// IPv4 and IPv6 addresses and ranges of them as numbers: parsed strictly (RFC 4291, 2.2; dotted decimal without leading
// zeros), printed in the one canonical form (RFC 5952).
import { NetPolicyError } from './netpolicy-error.ts';

export type Family = 4 | 6;

export interface Address {
  readonly family: Family;
  readonly value: bigint;
  /** Its canonical form: one address has one text. */
  readonly text: string;
}

/** All addresses from `first` to `last`, both included. */
export interface AddressRange {
  readonly family: Family;
  readonly first: bigint;
  readonly last: bigint;
}

export const FAMILY_BITS = { 4: 32, 6: 128 } as const;
/** The longest text of an address: eight groups of four digits. */
const MAX_ADDRESS_CHARACTERS = 39;
const GROUPS = 8;

export function parseAddress(text: string, at: string): Address {
  const address = text.includes(':') ? parseIpv6(text) : parseIpv4(text);
  if (address === undefined) throw new NetPolicyError('address-invalid', at, `${quoted(text)} is not an address`);
  return address;
}

/** Parses `10.0.0.1`, `10.0.0.0/24` (host bits must be zero) or `10.0.0.1-10.0.0.9`. */
export function parseRange(text: string, at: string): AddressRange {
  const dash = text.indexOf('-');
  if (dash >= 0) {
    const first = parseAddress(text.slice(0, dash), at);
    const last = parseAddress(text.slice(dash + 1), at);
    if (first.family !== last.family || first.value > last.value) {
      throw new NetPolicyError('address-invalid', at, `${quoted(text)} ends before it begins`);
    }
    return { family: first.family, first: first.value, last: last.value };
  }
  const slash = text.indexOf('/');
  const { family, value } = parseAddress(slash < 0 ? text : text.slice(0, slash), at);
  if (slash < 0) return { family, first: value, last: value };
  const length = text.slice(slash + 1);
  const hostBits = FAMILY_BITS[family] - Number(length);
  if (!/^(?:0|[1-9]\d{0,2})$/.test(length) || hostBits < 0) {
    throw new NetPolicyError('address-invalid', at, `${quoted(text)} has no length of 0 to ${FAMILY_BITS[family]}`);
  }
  const mask = (1n << BigInt(hostBits)) - 1n;
  if ((value & mask) !== 0n) {
    throw new NetPolicyError('address-invalid', at, `${quoted(text)} has host bits set`);
  }
  return { family, first: value, last: value | mask };
}

/** The prefix of this length that the address is in. */
export function prefixOf({ family, value }: Address, length: number): AddressRange {
  if (!Number.isInteger(length) || length < 0 || length > FAMILY_BITS[family]) {
    throw new RangeError(`${length} is no length of a prefix`);
  }
  const mask = (1n << BigInt(FAMILY_BITS[family] - length)) - 1n;
  return { family, first: value & ~mask, last: value | mask };
}

/** The range as the fewest prefixes, for whoever knows nothing else: routing tables. */
export function prefixesOf({ family, first, last }: AddressRange): string[] {
  const prefixes: string[] = [];
  for (let at = first; at <= last;) {
    let hostBits = 0;
    while (
      hostBits < FAMILY_BITS[family] &&
      isWhole(at, hostBits + 1) &&
      at + (1n << BigInt(hostBits + 1)) - 1n <= last
    ) {
      hostBits += 1;
    }
    prefixes.push(`${addressOf(family, at).text}/${FAMILY_BITS[family] - hostBits}`);
    at += 1n << BigInt(hostBits);
  }
  return prefixes;
}

/** Whether a prefix with as many host bits can begin there. */
function isWhole(value: bigint, hostBits: number): boolean {
  return (value & ((1n << BigInt(hostBits)) - 1n)) === 0n;
}

export function addressOf(family: Family, value: bigint): Address {
  if (family === 4) return { family, value, text: printIpv4(Number(value)) };
  const digits = value.toString(16).padStart(32, '0');
  const groups = Array.from({ length: GROUPS }, (_, index) =>
    Number.parseInt(digits.slice(index * 4, index * 4 + 4), 16),
  );
  return { family, value, text: printIpv6(groups) };
}

export function printRange(range: AddressRange): string {
  const first = addressOf(range.family, range.first).text;
  if (range.first === range.last) return first;
  const size = range.last - range.first + 1n;
  const hostBits = size.toString(2).length - 1;
  if ((size & (size - 1n)) === 0n && (range.first & (size - 1n)) === 0n) {
    return `${first}/${FAMILY_BITS[range.family] - hostBits}`;
  }
  return `${first}-${addressOf(range.family, range.last).text}`;
}

export function rangesOverlap(a: AddressRange, b: AddressRange): boolean {
  return a.family === b.family && a.first <= b.last && b.first <= a.last;
}

export function rangeCovers(outer: AddressRange, inner: AddressRange): boolean {
  return outer.family === inner.family && outer.first <= inner.first && inner.last <= outer.last;
}

export function rangeHas(range: AddressRange, address: Address): boolean {
  return range.family === address.family && range.first <= address.value && address.value <= range.last;
}

/** A text of somebody else, fit for a message: bounded, and with its quotes and control characters escaped. */
export function quoted(text: string): string {
  return JSON.stringify(text.length > MAX_ADDRESS_CHARACTERS ? `${text.slice(0, MAX_ADDRESS_CHARACTERS)}…` : text);
}

function parseIpv4(text: string): Address | undefined {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  if (match === null) return undefined;
  let value = 0;
  for (let index = 1; index <= 4; index += 1) {
    const part = match[index] ?? '';
    const byte = Number(part);
    // A leading zero is octal to some programs and decimal to others.
    if (byte > 255 || (part.length > 1 && part.startsWith('0'))) return undefined;
    value = value * 256 + byte;
  }
  return { family: 4, value: BigInt(value), text };
}

function parseIpv6(text: string): Address | undefined {
  if (text.length > MAX_ADDRESS_CHARACTERS || !/^[0-9a-fA-F:]+$/.test(text)) return undefined;
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const [head = [], tail = []] = halves.map((half) => (half === '' ? [] : half.split(':')));
  const missing = GROUPS - head.length - tail.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined;
  const groups: number[] = [];
  let digits = '0x';
  for (const group of [...head, ...Array<string>(halves.length === 2 ? missing : 0).fill('0'), ...tail]) {
    if (group.length < 1 || group.length > 4) return undefined;
    groups.push(Number.parseInt(group, 16));
    digits += group.padStart(4, '0');
  }
  return { family: 6, value: BigInt(digits), text: printIpv6(groups) };
}

function printIpv4(value: number): string {
  return `${value >>> 24}.${(value >>> 16) & 255}.${(value >>> 8) & 255}.${value & 255}`;
}

/** RFC 5952, 4: lower case, no leading zeros, the first of the longest runs of at least two zero groups as `::`. */
function printIpv6(groups: readonly number[]): string {
  let [runStart, runLength] = [0, 1];
  for (let start = 0; start < GROUPS; start += 1) {
    let length = 0;
    while (groups[start + length] === 0) length += 1;
    if (length > runLength) [runStart, runLength] = [start, length];
    start += length;
  }
  const print = (part: readonly number[]): string => part.map((group) => group.toString(16)).join(':');
  return runLength < 2
    ? print(groups)
    : `${print(groups.slice(0, runStart))}::${print(groups.slice(runStart + runLength))}`;
}
