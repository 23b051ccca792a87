// TPMT_SENSITIVE, TPM 2.0 Part 2 section 12.3.2.4: the secret half of an object, as it travels inside a protected blob.

import { Cursor, Writer } from '@ringwall/bytes';
import { TPM_ALG } from '../constants.ts';
import { MAX_DIGEST_BYTES, MAX_RSA_BYTES, MAX_SYM_DATA_BYTES, MAX_ECC_BYTES, readSized, writeSized } from './sized.ts';

/** In the clear: whoever holds it holds the object. */
export interface TPMT_SENSITIVE {
  /** The type of the object, as in its TPMT_PUBLIC. */
  readonly sensitiveType: number;
  readonly authValue: Uint8Array;
  /** Blinds `unique` of a symmetric object; the seed of a storage key's children; may be empty in other keys. */
  readonly seedValue: Uint8Array;
  /** TPMU_SENSITIVE_COMPOSITE: a prime (RSA), the private scalar (ECC), the data or the key. */
  readonly sensitive: Uint8Array;
}

/** Bytes of TPMU_SENSITIVE_COMPOSITE by type: half a modulus, a scalar, sealed data, a cipher's key. */
const MAX_SENSITIVE_BYTES: ReadonlyMap<number, number> = new Map<number, number>([
  [TPM_ALG.RSA, MAX_RSA_BYTES / 2],
  [TPM_ALG.ECC, MAX_ECC_BYTES],
  [TPM_ALG.KEYEDHASH, MAX_SYM_DATA_BYTES],
  [TPM_ALG.SYMCIPHER, 32],
]);

/** Exactly one TPMT_SENSITIVE (without the size of a TPM2B_SENSITIVE); throws `ParseError`. */
export function parseSensitive(bytes: Uint8Array): TPMT_SENSITIVE {
  const cursor = new Cursor(bytes);
  const sensitiveType = cursor.u16be('sensitiveType');
  const maximum = MAX_SENSITIVE_BYTES.get(sensitiveType);
  if (maximum === undefined) {
    throw cursor.error('unsupported', 'sensitiveType', `0x${sensitiveType.toString(16)}, expected a type of object`);
  }
  const authValue = readSized(cursor, 'authValue', MAX_DIGEST_BYTES);
  const seedValue = readSized(cursor, 'seedValue', MAX_DIGEST_BYTES);
  const sensitive = readSized(cursor, 'sensitive', maximum);
  cursor.end('TPMT_SENSITIVE');
  return { sensitiveType, authValue, seedValue, sensitive };
}

/** A TPMT_SENSITIVE. */
export function encodeSensitive(area: TPMT_SENSITIVE): Uint8Array<ArrayBuffer> {
  const writer = new Writer().u16be(area.sensitiveType);
  writeSized(writer, area.authValue);
  writeSized(writer, area.seedValue);
  return writeSized(writer, area.sensitive).finish();
}
