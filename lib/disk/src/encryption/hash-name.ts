// Hash functions that LUKS names, and how long their digests are.
import { ParseError } from '@ringwall/bytes';

const DIGEST_BYTES: ReadonlyMap<string, number> = new Map([
  ['sha1', 20],
  ['sha224', 28],
  ['sha256', 32],
  ['sha384', 48],
  ['sha512', 64],
  ['ripemd160', 20],
  ['sha3-256', 32],
  ['sha3-512', 64],
]);

/** `name`, where it is one of those known here. */
export function hashName(name: string, field: string, offset: number): string {
  if (DIGEST_BYTES.has(name)) return name;
  const known = [...DIGEST_BYTES.keys()].join(', ');
  throw new ParseError('unsupported', field, offset, `${JSON.stringify(name)}, expected one of ${known}`);
}

/** Bytes of a digest of a hash that `hashName` let pass. */
export function digestBytes(name: string): number {
  return DIGEST_BYTES.get(name) ?? 0;
}
