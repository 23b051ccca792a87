// What no machine may reach through a way out, whatever a rule says: addresses that mean this host, its cables or services of its
// operator (the metadata address among them), and those that are nobody's. And what it may reach only where a rule names it: addresses
// that mean something else in each house, so that "everything" is not the operator's own.
import { type Address, type AddressRange, type Family, parseRange, rangeCovers, rangeHas } from './address.ts';
import { Budget } from './budget.ts';
import { partition } from './partition.ts';

/** `what` is what people call it: the metadata address, the host itself. */
export interface ProtectedRange extends AddressRange {
  readonly what: string;
}

/** Of clouds, and what speaks for the host to its machines: AWS, Google, Alibaba, Azure and Oracle have more than the common one. */
const METADATA: readonly string[] = [
  '169.254.169.254',
  'fd00:ec2::254',
  'fd20:ce::254',
  '100.100.100.200',
  '168.63.129.16',
  '192.0.0.192',
];

/** RFC 6890, and RFC 4291 with the mapped and translated forms of IPv4 addresses, which would be a second name for them. */
const EVERYWHERE: readonly (readonly [string, string])[] = [
  ['0.0.0.0/8', 'nobody’s address'],
  ['127.0.0.0/8', 'a loopback'],
  ['169.254.0.0/16', 'link-local, and so the host’s own'],
  ['224.0.0.0/3', 'a group, a broadcast or nobody’s'],
  ['::/16', 'a loopback, or an IPv4 address by another name'],
  ['64:ff9b::/32', 'an IPv4 address by another name'],
  ['2002::/16', 'an IPv4 address by another name'],
  ['fd52:696e:6777::/64', 'a cable of the host’s own'], // edge-links.ts
  ['fe80::/10', 'link-local, and so the host’s own'],
  ['fec0::/10', 'nobody’s address'],
  ['ff00::/8', 'a group'],
];

export const PROTECTED: readonly ProtectedRange[] = [
  ...METADATA.map((text) => ({ ...parseRange(text, ''), what: 'a metadata address' })),
  ...EVERYWHERE.map(([text, what]) => ({ ...parseRange(text, ''), what })),
];

/** The first range that has it. */
export function findProtected(address: Address, more: readonly ProtectedRange[]): ProtectedRange | undefined {
  return [...PROTECTED, ...more].find((range) => rangeHas(range, address));
}

/** RFC 1918, RFC 6598, RFC 4193. */
export const PRIVATE: readonly AddressRange[] = [
  '10.0.0.0/8',
  '100.64.0.0/10',
  '172.16.0.0/12',
  '192.168.0.0/16',
  'fc00::/7',
].map((text) => parseRange(text, ''));

/** More than a host has routes for. */
const MAX_UNION_STEPS = 1_000_000;

export function isPrivate(address: Address): boolean {
  return PRIVATE.some((range) => rangeHas(range, address));
}

/** Whether the range speaks of private addresses alone: then whoever wrote it meant them. */
export function namesPrivate(range: AddressRange): boolean {
  return PRIVATE.some((outer) => rangeCovers(outer, range));
}

/** The same addresses in ranges that do not overlap. */
export function unionOf(ranges: readonly AddressRange[], family: Family): AddressRange[] {
  const intervals = ranges.filter((range) => range.family === family).map((range) => ({ ...range, owner: 0 }));
  const pieces = partition(intervals, new Budget(MAX_UNION_STEPS, 'protected ranges'));
  return pieces.map(({ first, last }) => ({ family, first, last }));
}
