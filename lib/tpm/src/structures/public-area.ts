// TPMT_PUBLIC, TPM 2.0 Part 2 section 12.2.4: the public area of an RSA or ECC key, its Name and its WebCrypto key.

import { concatBytes, Cursor, Writer } from '@ringwall/bytes';
import { TPM_ALG, TPM_ECC, TPMA_OBJECT } from '../constants.ts';
import { computableHash, digest, hashAlgorithm, webCryptoHash } from '../hash.ts';
import { TpmError } from '../tpm-error.ts';

/** TPM2B_DIGEST holds no more than the largest hash, SHA-512. */
const MAX_DIGEST_BYTES = 64;
/** MAX_RSA_KEY_BITS is 4,096 in any TPM on sale; a modulus above it only costs time. */
const MAX_RSA_BYTES = 512;
/** MAX_ECC_KEY_BYTES for P-521, the largest curve of the specification's table. */
const MAX_ECC_BYTES = 66;
/** Part 2 section 12.2.3.5: exponent 0 stands for this. */
const DEFAULT_RSA_EXPONENT = 65_537;

/** TPMT_SYM_DEF_OBJECT, Part 2 section 11.1.7. `keyBits` and `mode` are 0 where the algorithm is TPM_ALG_NULL. */
export interface TPMT_SYM_DEF_OBJECT {
  readonly algorithm: number;
  readonly keyBits: number;
  readonly mode: number;
}

/** TPMT_RSA_SCHEME or TPMT_ECC_SCHEME, Part 2 sections 11.2.4.2 and 11.2.5.6. `hashAlg` is 0 where there is none. */
export interface TPMT_ASYM_SCHEME {
  readonly scheme: number;
  readonly hashAlg: number;
}

interface TPMT_PUBLIC_COMMON {
  readonly nameAlg: number;
  readonly objectAttributes: number;
  readonly authPolicy: Uint8Array;
  /** The encoding that this was parsed from, and that the Name is computed over. */
  readonly bytes: Uint8Array;
}

/** A public area with TPMS_RSA_PARMS, Part 2 section 12.2.3.5. */
export interface TPMT_PUBLIC_RSA extends TPMT_PUBLIC_COMMON {
  readonly type: typeof TPM_ALG.RSA;
  readonly parameters: {
    readonly symmetric: TPMT_SYM_DEF_OBJECT;
    readonly scheme: TPMT_ASYM_SCHEME;
    readonly keyBits: number;
    readonly exponent: number;
  };
  /** The modulus. */
  readonly unique: Uint8Array;
}

/** A public area with TPMS_ECC_PARMS, Part 2 section 12.2.3.6. */
export interface TPMT_PUBLIC_ECC extends TPMT_PUBLIC_COMMON {
  readonly type: typeof TPM_ALG.ECC;
  readonly parameters: {
    readonly symmetric: TPMT_SYM_DEF_OBJECT;
    readonly scheme: TPMT_ASYM_SCHEME;
    readonly curveID: number;
    readonly kdf: TPMT_ASYM_SCHEME;
  };
  /** The point; a coordinate may be shorter than the field where it begins with zeros. */
  readonly unique: { readonly x: Uint8Array; readonly y: Uint8Array };
}

/** Nothing of it is proven: whoever wrote the bytes chose every field. */
export type TPMT_PUBLIC = TPMT_PUBLIC_RSA | TPMT_PUBLIC_ECC;

/** The TPMA_OBJECT bits by name. Bits that the specification reserves are refused by `parsePublic`. */
export type ObjectAttributes = Readonly<Record<keyof typeof TPMA_OBJECT, boolean>>;

/** Exactly one TPMT_PUBLIC (without the size of a TPM2B_PUBLIC) of an RSA or ECC key; throws `ParseError`. */
export function parsePublic(bytes: Uint8Array): TPMT_PUBLIC {
  const cursor = new Cursor(bytes);
  const type = cursor.u16be('type');
  if (type !== TPM_ALG.RSA && type !== TPM_ALG.ECC) {
    throw cursor.error('unsupported', 'type', `0x${type.toString(16)}, expected RSA (0x1) or ECC (0x23)`);
  }
  const nameAlg = cursor.u16be('nameAlg');
  if (hashAlgorithm(nameAlg) === undefined) {
    throw cursor.error('unsupported', 'nameAlg', `0x${nameAlg.toString(16)}, expected a hash algorithm`);
  }
  const objectAttributes = cursor.u32be('objectAttributes');
  const reserved = objectAttributes & ~KNOWN_ATTRIBUTES;
  if (reserved !== 0) {
    throw cursor.error(
      'invalid',
      'objectAttributes',
      `has reserved bits 0x${(reserved >>> 0).toString(16)}, expected 0`,
    );
  }
  const authPolicy = readSized(cursor, 'authPolicy', MAX_DIGEST_BYTES);
  const common = { nameAlg, objectAttributes, authPolicy, bytes: new Uint8Array(bytes) };
  const parsed = type === TPM_ALG.RSA ? readRsa(cursor, common) : readEcc(cursor, common);
  cursor.end('TPMT_PUBLIC');
  return parsed;
}

/** The Name of a key, Part 1 section 16: nameAlg and the digest of the TPMT_PUBLIC. */
export async function nameOf(publicAreaBytes: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
  const { nameAlg, bytes } = parsePublic(publicAreaBytes);
  return concatBytes(new Writer().u16be(nameAlg).finish(), await digest(computableHash(nameAlg), bytes));
}

/** What the key may be used for and where it was made, as its public area claims. */
export function attributesOf(publicArea: TPMT_PUBLIC): ObjectAttributes {
  const has = (bit: number): boolean => (publicArea.objectAttributes & bit) !== 0;
  return {
    fixedTPM: has(TPMA_OBJECT.fixedTPM),
    stClear: has(TPMA_OBJECT.stClear),
    fixedParent: has(TPMA_OBJECT.fixedParent),
    sensitiveDataOrigin: has(TPMA_OBJECT.sensitiveDataOrigin),
    userWithAuth: has(TPMA_OBJECT.userWithAuth),
    adminWithPolicy: has(TPMA_OBJECT.adminWithPolicy),
    noDA: has(TPMA_OBJECT.noDA),
    encryptedDuplication: has(TPMA_OBJECT.encryptedDuplication),
    restricted: has(TPMA_OBJECT.restricted),
    decrypt: has(TPMA_OBJECT.decrypt),
    sign: has(TPMA_OBJECT.sign),
  };
}

/**
 * The key as WebCrypto holds it, extractable (`exportKey('spki', …)` gives the form that certificates carry): ECC for
 * ECDSA, RSA for RSASSA-PKCS1-v1_5 with the hash of its scheme, or SHA-256 where it has none. A point off its curve is
 * refused with `TpmError`.
 */
export async function publicKeyOf(publicArea: TPMT_PUBLIC): Promise<CryptoKey> {
  if (publicArea.type === TPM_ALG.ECC) return importEcc(publicArea, 'ECDSA', ['verify']);
  const { hashAlg } = publicArea.parameters.scheme;
  return importRsa(publicArea, 'RSASSA-PKCS1-v1_5', hashAlg === 0 ? TPM_ALG.SHA256 : hashAlg, ['verify']);
}

export async function importEcc(
  publicArea: TPMT_PUBLIC_ECC,
  algorithm: 'ECDSA' | 'ECDH',
  usages: readonly KeyUsage[],
): Promise<CryptoKey> {
  const curve = curveOf(publicArea);
  const point = concatBytes(Uint8Array.of(4), ...pointOf(publicArea));
  return refuseBadKey(
    crypto.subtle.importKey('raw', point, { name: algorithm, namedCurve: curve.name }, true, [...usages]),
  );
}

export async function importRsa(
  publicArea: TPMT_PUBLIC_RSA,
  algorithm: 'RSASSA-PKCS1-v1_5' | 'RSA-PSS' | 'RSA-OAEP',
  hashAlg: number,
  usages: readonly KeyUsage[],
): Promise<CryptoKey> {
  const exponent = new Writer().u32be(publicArea.parameters.exponent).finish();
  const jwk = { kty: 'RSA', n: base64url(publicArea.unique), e: base64url(withoutLeadingZeros(exponent)) };
  const parameters = { name: algorithm, hash: webCryptoHash(computableHash(hashAlg)) };
  return refuseBadKey(crypto.subtle.importKey('jwk', jwk, parameters, true, [...usages]));
}

/** WebCrypto's name of the key's curve and the bytes of a coordinate. */
export function curveOf(publicArea: TPMT_PUBLIC_ECC): { readonly name: 'P-256' | 'P-384'; readonly bytes: number } {
  const { curveID } = publicArea.parameters;
  if (curveID === TPM_ECC.NIST_P256) return { name: 'P-256', bytes: 32 };
  if (curveID === TPM_ECC.NIST_P384) return { name: 'P-384', bytes: 48 };
  throw new TpmError('unsupported', `curve 0x${curveID.toString(16)}, expected P-256 or P-384`);
}

/** The coordinates at the full width of the field. */
export function pointOf(publicArea: TPMT_PUBLIC_ECC): readonly [x: Uint8Array, y: Uint8Array] {
  const { bytes } = curveOf(publicArea);
  return [leftPad(publicArea.unique.x, bytes, 'x'), leftPad(publicArea.unique.y, bytes, 'y')];
}

/** A number at a fixed width, with zeros before it. Leading zeros beyond the width are dropped. */
export function leftPad(value: Uint8Array, bytes: number, what: string): Uint8Array<ArrayBuffer> {
  const digits = withoutLeadingZeros(value);
  if (digits.length > bytes)
    throw new TpmError('parameter', `${what} has ${digits.length} bytes, expected at most ${bytes}`);
  return concatBytes(new Uint8Array(bytes - digits.length), digits);
}

/** A TPM2B whose content has at most `maximum` bytes. */
export function readSized(cursor: Cursor, field: string, maximum: number): Uint8Array<ArrayBuffer> {
  const size = cursor.u16be(`${field}.size`);
  if (size > maximum) throw cursor.error('limit', `${field}.size`, `${size}, expected at most ${maximum}`);
  return cursor.take(size, field);
}

const KNOWN_ATTRIBUTES = Object.values(TPMA_OBJECT).reduce((all, bit) => all | bit, 0);

function readRsa(cursor: Cursor, common: TPMT_PUBLIC_COMMON): TPMT_PUBLIC_RSA {
  const symmetric = readSymmetric(cursor);
  const scheme = readScheme(cursor, 'scheme');
  const keyBits = cursor.u16be('keyBits');
  const exponent = cursor.u32be('exponent');
  const unique = readSized(cursor, 'unique', MAX_RSA_BYTES);
  if (unique.length * 8 !== keyBits) {
    throw cursor.error('invalid', 'unique', `has ${unique.length} bytes, expected ${keyBits / 8} for ${keyBits} bits`);
  }
  const parameters = { symmetric, scheme, keyBits, exponent: exponent === 0 ? DEFAULT_RSA_EXPONENT : exponent };
  return { ...common, type: TPM_ALG.RSA, parameters, unique };
}

function readEcc(cursor: Cursor, common: TPMT_PUBLIC_COMMON): TPMT_PUBLIC_ECC {
  const symmetric = readSymmetric(cursor);
  const scheme = readScheme(cursor, 'scheme');
  const curveID = cursor.u16be('curveID');
  const kdf = readScheme(cursor, 'kdf');
  const unique = { x: readSized(cursor, 'x', MAX_ECC_BYTES), y: readSized(cursor, 'y', MAX_ECC_BYTES) };
  return { ...common, type: TPM_ALG.ECC, parameters: { symmetric, scheme, curveID, kdf }, unique };
}

function readSymmetric(cursor: Cursor): TPMT_SYM_DEF_OBJECT {
  const algorithm = cursor.u16be('symmetric.algorithm');
  if (algorithm === TPM_ALG.NULL) return { algorithm, keyBits: 0, mode: 0 };
  if (algorithm !== TPM_ALG.AES) {
    throw cursor.error('unsupported', 'symmetric.algorithm', `0x${algorithm.toString(16)}, expected AES or NULL`);
  }
  return { algorithm, keyBits: cursor.u16be('symmetric.keyBits'), mode: cursor.u16be('symmetric.mode') };
}

/** Schemes that are followed by a hash algorithm alone: TPMS_SCHEME_HASH, Part 2 section 11.1.17. */
const HASH_SCHEMES: ReadonlySet<number> = new Set([
  TPM_ALG.RSASSA,
  TPM_ALG.RSAPSS,
  TPM_ALG.OAEP,
  TPM_ALG.ECDSA,
  TPM_ALG.ECDH,
]);

function readScheme(cursor: Cursor, field: string): TPMT_ASYM_SCHEME {
  const scheme = cursor.u16be(field);
  if (scheme === TPM_ALG.NULL || scheme === TPM_ALG.RSAES) return { scheme, hashAlg: 0 };
  if (!HASH_SCHEMES.has(scheme)) {
    throw cursor.error('unsupported', field, `0x${scheme.toString(16)}, expected NULL, RSA or ECDSA schemes`);
  }
  return { scheme, hashAlg: cursor.u16be(`${field}.hashAlg`) };
}

function withoutLeadingZeros(value: Uint8Array): Uint8Array {
  const first = value.findIndex((byte) => byte !== 0);
  return first === -1 ? value.subarray(value.length) : value.subarray(first);
}

async function refuseBadKey(key: Promise<CryptoKey>): Promise<CryptoKey> {
  try {
    return await key;
  } catch (cause) {
    throw new TpmError('parameter', 'public key is refused, expected a valid point or modulus', { cause });
  }
}

/** RFC 4648 section 5 without padding, as JSON Web Keys want it. */
function base64url(bytes: Uint8Array): string {
  const text = Array.from(bytes, (byte) => String.fromCharCode(byte)).join('');
  return btoa(text).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}
