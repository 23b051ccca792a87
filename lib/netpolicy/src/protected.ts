// What no machine may reach through a way out, whatever a rule says: addresses that mean this host, its cables or services of its
// operator (the metadata address among them), and those that are nobody's.
import { type Address, type AddressRange, parseRange, rangeHas } from './address.ts';

/** RFC 6890, and RFC 4291 with the mapped and translated forms of IPv4 addresses, which would be a second name for them. */
export const PROTECTED: readonly AddressRange[] = [
  '0.0.0.0/8',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '224.0.0.0/3',
  '::/16',
  '64:ff9b::/32',
  '2002::/16',
  'fe80::/10',
  'fec0::/10',
  'ff00::/8',
].map((text) => parseRange(text, ''));

export function isProtected(address: Address, more: readonly AddressRange[]): boolean {
  return [...PROTECTED, ...more].some((range) => rangeHas(range, address));
}
