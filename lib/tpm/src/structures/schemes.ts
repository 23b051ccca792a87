// The algorithms inside a public area: symmetric definitions and schemes (TPM 2.0 Part 2 sections 11.1.7, 11.1.23,
// 11.2.4.2 and 11.2.5.6).

import type { Cursor, Writer } from '@ringwall/bytes';
import { TPM_ALG } from '../constants.ts';

/** TPMT_SYM_DEF_OBJECT, Part 2 section 11.1.7. `keyBits` and `mode` are 0 where the algorithm is TPM_ALG_NULL. */
export interface TPMT_SYM_DEF_OBJECT {
  readonly algorithm: number;
  readonly keyBits: number;
  readonly mode: number;
}

/**
 * TPMT_RSA_SCHEME, TPMT_ECC_SCHEME or TPMT_KDF_SCHEME, Part 2 sections 11.2.4.2, 11.2.5.6 and 11.2.3.3. `hashAlg` is 0
 * where there is none; only ECDAA has a `count`.
 */
export interface TPMT_ASYM_SCHEME {
  readonly scheme: number;
  readonly hashAlg: number;
  readonly count?: number;
}

/** TPMT_KEYEDHASH_SCHEME, Part 2 section 11.1.23. `hashAlg` and `kdf` are 0 where there is none. */
export interface TPMT_KEYEDHASH_SCHEME {
  readonly scheme: number;
  readonly hashAlg: number;
  readonly kdf: number;
}

const NO_SYMMETRIC: TPMT_SYM_DEF_OBJECT = { algorithm: TPM_ALG.NULL, keyBits: 0, mode: 0 };

const SYMMETRIC: ReadonlySet<number> = new Set([TPM_ALG.AES, TPM_ALG.SM4, TPM_ALG.CAMELLIA, TPM_ALG.TDES]);

/** Schemes that are followed by a hash algorithm alone: TPMS_SCHEME_HASH, Part 2 section 11.1.17. */
const HASH_SCHEMES: ReadonlySet<number> = new Set([
  TPM_ALG.RSASSA,
  TPM_ALG.RSAPSS,
  TPM_ALG.OAEP,
  TPM_ALG.ECDSA,
  TPM_ALG.ECDH,
  TPM_ALG.SM2,
  TPM_ALG.ECSCHNORR,
  TPM_ALG.ECMQV,
  TPM_ALG.MGF1,
  TPM_ALG.KDF1_SP800_56A,
  TPM_ALG.KDF2,
  TPM_ALG.KDF1_SP800_108,
]);

export function readSymmetric(cursor: Cursor, field: string): TPMT_SYM_DEF_OBJECT {
  const algorithm = cursor.u16be(`${field}.algorithm`);
  if (algorithm === TPM_ALG.NULL) return NO_SYMMETRIC;
  if (!SYMMETRIC.has(algorithm)) {
    throw cursor.error('unsupported', `${field}.algorithm`, `0x${algorithm.toString(16)}, expected a cipher or NULL`);
  }
  return { algorithm, keyBits: cursor.u16be(`${field}.keyBits`), mode: cursor.u16be(`${field}.mode`) };
}

export function writeSymmetric(writer: Writer, symmetric: TPMT_SYM_DEF_OBJECT): void {
  writer.u16be(symmetric.algorithm);
  if (symmetric.algorithm !== TPM_ALG.NULL) writer.u16be(symmetric.keyBits).u16be(symmetric.mode);
}

export function readScheme(cursor: Cursor, field: string): TPMT_ASYM_SCHEME {
  const scheme = cursor.u16be(field);
  if (scheme === TPM_ALG.NULL || scheme === TPM_ALG.RSAES) return { scheme, hashAlg: 0 };
  if (scheme === TPM_ALG.ECDAA) {
    return { scheme, hashAlg: cursor.u16be(`${field}.hashAlg`), count: cursor.u16be(`${field}.count`) };
  }
  if (!HASH_SCHEMES.has(scheme)) {
    throw cursor.error('unsupported', field, `0x${scheme.toString(16)}, expected an RSA, ECC or KDF scheme or NULL`);
  }
  return { scheme, hashAlg: cursor.u16be(`${field}.hashAlg`) };
}

export function writeScheme(writer: Writer, { scheme, hashAlg, count }: TPMT_ASYM_SCHEME): void {
  writer.u16be(scheme);
  if (scheme === TPM_ALG.NULL || scheme === TPM_ALG.RSAES) return;
  writer.u16be(hashAlg);
  if (scheme === TPM_ALG.ECDAA) writer.u16be(count ?? 0);
}

export function readKeyedHashScheme(cursor: Cursor): TPMT_KEYEDHASH_SCHEME {
  const scheme = cursor.u16be('scheme');
  if (scheme === TPM_ALG.NULL) return { scheme, hashAlg: 0, kdf: 0 };
  if (scheme === TPM_ALG.HMAC) return { scheme, hashAlg: cursor.u16be('scheme.hashAlg'), kdf: 0 };
  if (scheme === TPM_ALG.XOR) {
    return { scheme, hashAlg: cursor.u16be('scheme.hashAlg'), kdf: cursor.u16be('scheme.kdf') };
  }
  throw cursor.error('unsupported', 'scheme', `0x${scheme.toString(16)}, expected HMAC, XOR or NULL`);
}

export function writeKeyedHashScheme(writer: Writer, { scheme, hashAlg, kdf }: TPMT_KEYEDHASH_SCHEME): void {
  writer.u16be(scheme);
  if (scheme === TPM_ALG.NULL) return;
  writer.u16be(hashAlg);
  if (scheme === TPM_ALG.XOR) writer.u16be(kdf);
}
