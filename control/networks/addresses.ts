// Which ranges a new network gets where nobody names any, which it cannot have, and which addresses its machines get. Pure.
//
// Where a network spans hosts, each gives addresses of its own parts of a range: the part is of the host with the highest score for it
// (rendezvous hashing, Thaler and Ravishankar 1998). Two hosts that know each other never think that the same part is theirs, whichever
// others each of them knows, and nobody has to be asked.
import { createHash } from 'node:crypto';
import { RingwallError } from '@ringwall/api';
import { addressOf, type AddressRange, linkOf, parseRange, printRange, rangesOverlap } from '@ringwall/netpolicy';
import type { TakenAddresses } from '../store/index.ts';

/** Who has a range: another network, or the host by one of its interfaces. */
export interface OwnedRange {
  readonly range: AddressRange;
  readonly owner: string;
}

/** Others may still mean the former owner by it: open connections, caches of names, lists of people. */
export const REUSE_AFTER_MS: number = 60 * 60_000;

/** Below this size each address counts. */
const SMALL_RANGE = 8n;
/** The network's own and that of its services; and in IPv4 the last, which some programs take for a broadcast. */
const KEPT_FIRST = 2n;
/** Of a range, where hosts share it: of a /16 each is a /24, of a /24 each is one address. */
const PARTS = 256n;
/** 10.20.0.0/16 and those after it, the less used end of 10.0.0.0/8 (RFC 1918). */
const FIRST_SECOND_BYTE = 20;
const SECOND_BYTES = 236;

/** Two hosts of a network, by the names that they have for each other. */
export interface HostPair {
  readonly self: string;
  readonly host: string;
}

/** A private /16 and a unique local /64 (RFC 4193: a prefix of 40 random bits) that nobody else has. */
export function defaultRanges(
  owned: readonly OwnedRange[],
  random: (bytes: Uint8Array<ArrayBuffer>) => Uint8Array,
): string[] {
  const isFree = (range: AddressRange): boolean => !owned.some((each) => rangesOverlap(each.range, range));
  const second = Array.from({ length: SECOND_BYTES }, (_, index) => FIRST_SECOND_BYTE + index);
  const ipv4 = second.map((byte) => `10.${byte}.0.0/16`).find((text) => isFree(parseRange(text, '')));
  if (ipv4 === undefined) {
    throw new RingwallError('policy-invalid', 'no range of 10.0.0.0/8 is free for another network', {
      hint: 'name one: ringwall network create NAME --addresses 192.168.40.0/24',
    });
  }
  const [a = 0, b = 0, c = 0, d = 0, e = 0] = random(new Uint8Array(5));
  const prefix = [0xfd, a, b, c, d, e, 0, 0].reduce((value, byte) => (value << 8n) | BigInt(byte), 0n);
  const ipv6 = `${addressOf(6, prefix << 64n).text}/64`;
  return isFree(parseRange(ipv6, '')) ? [ipv4, ipv6] : [ipv4];
}

/** Throws where two have the same, and names both. */
export function refuseOverlaps(network: string, ranges: readonly AddressRange[], owned: readonly OwnedRange[]): void {
  for (const range of ranges) {
    const other = owned.find((each) => rangesOverlap(each.range, range));
    if (other === undefined) continue;
    throw new RingwallError(
      'policy-invalid',
      `${printRange(range)} of ${network} overlaps with ${printRange(other.range)}, which is ${other.owner}`,
      { hint: `take other --addresses, or none: ringwall network create ${network}` },
    );
  }
}

/** One address of each family that the network has: the lowest of this host's parts that nobody has, and that nobody had lately. */
export function allotAddresses(
  network: string,
  ranges: readonly AddressRange[],
  { used, freed }: TakenAddresses,
  others: readonly HostPair[],
  nowMs: number,
): string[] {
  const isFree = (text: string): boolean => !used.has(text) && (freed.get(text) ?? -Infinity) + REUSE_AFTER_MS <= nowMs;
  return ([4, 6] as const).flatMap((family) => {
    const own = ranges.filter((range) => range.family === family);
    if (own.length === 0) return [];
    for (const range of own) {
      for (const part of ownParts(network, range, others)) {
        for (const text of usableIn(range, part)) if (isFree(text)) return [text];
      }
    }
    const whose = others.length === 0 ? '' : ` that is this host’s to give (others are ${namesOf(others)}’s)`;
    const lately = freed.size > 0 ? `; one that was freed is given again after ${REUSE_AFTER_MS / 60_000} minutes` : '';
    throw new RingwallError(
      'host-full',
      `every address of ${own.map((range) => printRange(range)).join(', ')}${whose} is taken`,
      {
        hint: `give ${network} another range by ringwall net apply${lately}`,
      },
    );
  });
}

/** The parts of a range that are this host's; all of it where there is no other host. */
function* ownParts(network: string, range: AddressRange, others: readonly HostPair[]): Iterable<AddressRange> {
  const size = range.last - range.first + 1n;
  const count = others.length === 0 ? 1n : size < PARTS ? size : PARTS;
  for (let index = 0n; index < count; index += 1n) {
    const first = range.first + (size * index) / count;
    const last = range.first + (size * (index + 1n)) / count - 1n;
    const place = `${network} ${addressOf(range.family, first).text}`;
    if (others.every(({ self, host }) => scoreOf(self, place) > scoreOf(host, place))) {
      yield { family: range.family, first, last };
    }
  }
}

function scoreOf(host: string, place: string): string {
  return createHash('sha256').update(`${place} ${host}`).digest('hex');
}

function namesOf(others: readonly HostPair[]): string {
  return others.map(({ host }) => host).join(' and ');
}

function* usableIn(range: AddressRange, part: AddressRange): Iterable<string> {
  const { family } = range;
  const isSmall = range.last - range.first + 1n < SMALL_RANGE;
  const [first, last] = isSmall
    ? [range.first, range.last]
    : [range.first + KEPT_FIRST, family === 6 ? range.last : range.last - 1n];
  const end = part.last < last ? part.last : last;
  for (let value = part.first > first ? part.first : first; value <= end; value += 1n) {
    // Some programs take these for a network's own, and its broadcast.
    const isOdd = family === 4 && part.last - part.first === 255n && [0n, 255n].includes(value & 255n);
    const address = addressOf(family, value);
    // In IPv6, a link's first address is its gateway's, in whichever place of the range it is.
    const isGateway = family === 6 && linkOf(address).gateway === address.text;
    if (!isOdd && !isGateway) yield address.text;
  }
}
