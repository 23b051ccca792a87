// KDFa and KDFe, TPM 2.0 Part 1 sections 11.4.10.2 and 11.4.10.3.

import { concatBytes, utf8, Writer } from '@ringwall/bytes';
import { digest, hashBytes, hmac, type ComputableHash } from '../hash.ts';
import { TpmError } from '../tpm-error.ts';

/** No key or seed of a TPM is longer; a bound on the work that a caller can ask for. */
const MAX_DERIVED_BITS = 4096;

/** KDFa: SP 800-108 in counter mode with HMAC. `bits` is a multiple of 8; the label is ended with a zero byte here. */
export async function kdfa(
  hash: ComputableHash,
  key: Uint8Array,
  label: string,
  contextU: Uint8Array,
  contextV: Uint8Array,
  bits: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const context = concatBytes(utf8(label), Uint8Array.of(0), contextU, contextV, u32(bits));
  return derive(hash, bits, (counter) => hmac(hash, key, concatBytes(u32(counter), context)));
}

/**
 * KDFe: SP 800-56A one-step derivation. `z` and the party infos (x coordinates) have the full width of the field; the
 * label is ended with a zero byte here.
 */
export async function kdfe(
  hash: ComputableHash,
  z: Uint8Array,
  use: string,
  partyUInfo: Uint8Array,
  partyVInfo: Uint8Array,
  bits: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const context = concatBytes(z, utf8(use), Uint8Array.of(0), partyUInfo, partyVInfo);
  return derive(hash, bits, (counter) => digest(hash, concatBytes(u32(counter), context)));
}

async function derive(
  hash: ComputableHash,
  bits: number,
  block: (counter: number) => Promise<Uint8Array>,
): Promise<Uint8Array<ArrayBuffer>> {
  if (bits % 8 !== 0 || bits < 8 || bits > MAX_DERIVED_BITS) {
    throw new TpmError('parameter', `${bits} bits, expected a multiple of 8 up to ${MAX_DERIVED_BITS}`);
  }
  const count = Math.ceil(bits / 8 / hashBytes(hash));
  const blocks = await Promise.all(Array.from({ length: count }, (_, index) => block(index + 1)));
  return concatBytes(...blocks).slice(0, bits / 8);
}

function u32(value: number): Uint8Array {
  return new Writer().u32be(value).finish();
}
