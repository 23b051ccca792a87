// Which ranges a new network gets where nobody names any, which it cannot have, and which addresses its machines get. Pure.
import { RingwallError } from '@ringwall/api';
import { addressOf, type AddressRange, parseRange, printRange, rangesOverlap } from '@ringwall/netpolicy';
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
/** 10.20.0.0/16 and those after it, the less used end of 10.0.0.0/8 (RFC 1918). */
const FIRST_SECOND_BYTE = 20;
const SECOND_BYTES = 236;

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

/** One address of each family that the network has: the lowest that nobody has, and that nobody had lately. */
export function allotAddresses(
  network: string,
  ranges: readonly AddressRange[],
  { used, freed }: TakenAddresses,
  nowMs: number,
): string[] {
  const isFree = (text: string): boolean => !used.has(text) && (freed.get(text) ?? -Infinity) + REUSE_AFTER_MS <= nowMs;
  return ([4, 6] as const).flatMap((family) => {
    const own = ranges.filter((range) => range.family === family);
    if (own.length === 0) return [];
    for (const range of own) {
      for (const text of usableIn(range)) if (isFree(text)) return [text];
    }
    const lately = freed.size > 0 ? `; one that was freed is given again after ${REUSE_AFTER_MS / 60_000} minutes` : '';
    throw new RingwallError(
      'host-full',
      `every address of ${own.map((range) => printRange(range)).join(', ')} is taken`,
      {
        hint: `give ${network} another range by ringwall net apply${lately}`,
      },
    );
  });
}

function* usableIn({ family, first, last }: AddressRange): Iterable<string> {
  const isSmall = last - first + 1n < SMALL_RANGE;
  const end = isSmall || family === 6 ? last : last - 1n;
  for (let value = isSmall ? first : first + KEPT_FIRST; value <= end; value += 1n) yield addressOf(family, value).text;
}
