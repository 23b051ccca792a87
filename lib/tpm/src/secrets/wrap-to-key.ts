// A secret masked for one ECC key in a TPM: ephemeral Diffie-Hellman and KDFe. The TPM's side is TPM2_ECDH_ZGen, so
// that key's policy decides whether the secret comes out.

import { concatBytes } from '@ringwall/bytes';
import { TPM_ALG, TPM_ECC } from '../constants.ts';
import { ephemeralPoint } from './ephemeral-point.ts';
import { kdfe } from './key-derivation.ts';
import type { TPMT_PUBLIC, TPMT_PUBLIC_ECC } from '../structures/public-area.ts';
import { pointOf } from '../structures/public-key.ts';
import { TpmError } from '../tpm-error.ts';

/** The label of KDFe under which disk keys travel. */
export const WRAP_LABEL = 'RINGWALL';
/** One key, or two that travel together. */
const SECRET_BYTES: readonly number[] = [32, 64];

export interface WrappedSecret {
  /** The ephemeral public point, X then Y, 32 bytes each. */
  readonly ephemeral: Uint8Array;
  /** secret xor KDFe(SHA-256, Z.x, label, ephemeral.x, key.x, as many bits as the secret has). */
  readonly masked: Uint8Array;
}

/**
 * Masks 32 or 64 bytes for a P-256 key. It keeps the secret and does not authenticate: whoever flips a bit of `masked` flips
 * it in the secret, so the receiver must check a signature over both parts first.
 */
export async function wrapToEccKey(input: {
  readonly public: TPMT_PUBLIC;
  readonly secret: Uint8Array;
  readonly label?: string;
}): Promise<WrappedSecret> {
  const key = input.public;
  if (key.type !== TPM_ALG.ECC || key.parameters.curveID !== TPM_ECC.NIST_P256) {
    throw new TpmError('unsupported', 'key to wrap to, expected ECC P-256');
  }
  const { secret, label = WRAP_LABEL } = input;
  if (!SECRET_BYTES.includes(secret.length)) {
    throw new TpmError('parameter', `secret has ${secret.length} bytes, expected ${SECRET_BYTES.join(' or ')}`);
  }
  const { x, y, z } = await ephemeralPoint(key);
  const masked = await maskWithPoint({ masked: secret, z, ephemeralX: x, key, label });
  return { ephemeral: concatBytes(x, y), masked };
}

/**
 * The mask on or off: `z` is the x coordinate of the shared point, at full width. The guest does this in shell; here it
 * stands for tests and for whoever wants to check.
 */
export async function maskWithPoint(input: {
  readonly masked: Uint8Array;
  readonly z: Uint8Array;
  readonly ephemeralX: Uint8Array;
  readonly key: TPMT_PUBLIC_ECC;
  readonly label?: string;
}): Promise<Uint8Array<ArrayBuffer>> {
  const [keyX] = pointOf(input.key);
  const bits = input.masked.length * 8;
  const mask = await kdfe('sha256', input.z, input.label ?? WRAP_LABEL, input.ephemeralX, keyX, bits);
  return new Uint8Array(input.masked).map((byte, index) => byte ^ (mask[index] ?? 0));
}
