// TPMT_PUBLIC, TPM 2.0 Part 2 section 12.2.4: the public area of an object, read and written.

import { Cursor, ParseError, Writer } from '@ringwall/bytes';
import { TPM_ALG, TPMA_OBJECT } from '../constants.ts';
import { hashAlgorithm } from '../hash.ts';
import {
  readKeyedHashScheme,
  readScheme,
  readSymmetric,
  writeKeyedHashScheme,
  writeScheme,
  writeSymmetric,
  type TPMT_ASYM_SCHEME,
  type TPMT_KEYEDHASH_SCHEME,
  type TPMT_SYM_DEF_OBJECT,
} from './schemes.ts';
import { MAX_DIGEST_BYTES, MAX_ECC_BYTES, MAX_RSA_BYTES, readSized, writeSized } from './sized.ts';

/** One with an RSA-4096 key has some 600. It is copied, so it is bounded first. */
const MAX_PUBLIC_BYTES = 4096;
/** Part 2 section 12.2.3.5: exponent 0 stands for this. */
const DEFAULT_RSA_EXPONENT = 65_537;

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
  /** The modulus; empty in a template. */
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

/** A public area with TPMS_KEYEDHASH_PARMS, Part 2 section 12.2.3.3: an HMAC key, or with TPM_ALG_NULL sealed data. */
export interface TPMT_PUBLIC_KEYEDHASH extends TPMT_PUBLIC_COMMON {
  readonly type: typeof TPM_ALG.KEYEDHASH;
  readonly parameters: { readonly scheme: TPMT_KEYEDHASH_SCHEME };
  /** H(seedValue ‖ bits) in nameAlg; empty in a template. */
  readonly unique: Uint8Array;
}

/** A public area with TPMS_SYMCIPHER_PARMS, Part 2 section 12.2.3.4. */
export interface TPMT_PUBLIC_SYMCIPHER extends TPMT_PUBLIC_COMMON {
  readonly type: typeof TPM_ALG.SYMCIPHER;
  readonly parameters: { readonly sym: TPMT_SYM_DEF_OBJECT };
  /** H(seedValue ‖ key) in nameAlg; empty in a template. */
  readonly unique: Uint8Array;
}

/** Nothing of it is proven: whoever wrote the bytes chose every field. */
export type TPMT_PUBLIC = TPMT_PUBLIC_RSA | TPMT_PUBLIC_ECC | TPMT_PUBLIC_KEYEDHASH | TPMT_PUBLIC_SYMCIPHER;

/** The fields of a public area that is yet to be encoded. */
export type PublicFields =
  | Omit<TPMT_PUBLIC_RSA, 'bytes'>
  | Omit<TPMT_PUBLIC_ECC, 'bytes'>
  | Omit<TPMT_PUBLIC_KEYEDHASH, 'bytes'>
  | Omit<TPMT_PUBLIC_SYMCIPHER, 'bytes'>;

/** The TPMA_OBJECT bits by name. Bits that the specification reserves are refused by `parsePublic`. */
export type ObjectAttributes = Readonly<Record<keyof typeof TPMA_OBJECT, boolean>>;

/** Exactly one TPMT_PUBLIC (without the size of a TPM2B_PUBLIC); throws `ParseError`. */
export function parsePublic(bytes: Uint8Array): TPMT_PUBLIC {
  if (bytes.length > MAX_PUBLIC_BYTES) {
    throw new ParseError('limit', 'TPMT_PUBLIC', 0, `has ${bytes.length} bytes, expected at most ${MAX_PUBLIC_BYTES}`);
  }
  const cursor = new Cursor(bytes);
  const type = cursor.u16be('type');
  if (type !== TPM_ALG.RSA && type !== TPM_ALG.ECC && type !== TPM_ALG.KEYEDHASH && type !== TPM_ALG.SYMCIPHER) {
    throw cursor.error('unsupported', 'type', `0x${type.toString(16)}, expected RSA, ECC, KEYEDHASH or SYMCIPHER`);
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
  const parsed = readTyped(cursor, type, common);
  cursor.end('TPMT_PUBLIC');
  return parsed;
}

/** A TPMT_PUBLIC; RSA exponent 65,537 is written as 0. `parsePublic` reads it back. */
export function encodePublic(area: PublicFields): Uint8Array<ArrayBuffer> {
  const writer = new Writer().u16be(area.type).u16be(area.nameAlg).u32be(area.objectAttributes);
  writeSized(writer, area.authPolicy);
  if (area.type === TPM_ALG.KEYEDHASH) {
    writeKeyedHashScheme(writer, area.parameters.scheme);
    return writeSized(writer, area.unique).finish();
  }
  if (area.type === TPM_ALG.SYMCIPHER) {
    writeSymmetric(writer, area.parameters.sym);
    return writeSized(writer, area.unique).finish();
  }
  writeSymmetric(writer, area.parameters.symmetric);
  writeScheme(writer, area.parameters.scheme);
  if (area.type === TPM_ALG.RSA) {
    const { keyBits, exponent } = area.parameters;
    writer.u16be(keyBits).u32be(exponent === DEFAULT_RSA_EXPONENT ? 0 : exponent);
    return writeSized(writer, area.unique).finish();
  }
  writer.u16be(area.parameters.curveID);
  writeScheme(writer, area.parameters.kdf);
  writeSized(writer, area.unique.x);
  return writeSized(writer, area.unique.y).finish();
}

/** What the key may be used for and where it was made, as its public area claims. */
export function attributesOf(publicArea: Pick<TPMT_PUBLIC, 'objectAttributes'>): ObjectAttributes {
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

const KNOWN_ATTRIBUTES = Object.values(TPMA_OBJECT).reduce((all, bit) => all | bit, 0);

function readTyped(cursor: Cursor, type: TPMT_PUBLIC['type'], common: TPMT_PUBLIC_COMMON): TPMT_PUBLIC {
  if (type === TPM_ALG.RSA) return readRsa(cursor, common);
  if (type === TPM_ALG.ECC) return readEcc(cursor, common);
  if (type === TPM_ALG.KEYEDHASH) {
    const parameters = { scheme: readKeyedHashScheme(cursor) };
    return { ...common, type, parameters, unique: readSized(cursor, 'unique', MAX_DIGEST_BYTES) };
  }
  const parameters = { sym: readSymmetric(cursor, 'sym') };
  return { ...common, type, parameters, unique: readSized(cursor, 'unique', MAX_DIGEST_BYTES) };
}

function readRsa(cursor: Cursor, common: TPMT_PUBLIC_COMMON): TPMT_PUBLIC_RSA {
  const symmetric = readSymmetric(cursor, 'symmetric');
  const scheme = readScheme(cursor, 'scheme');
  const keyBits = cursor.u16be('keyBits');
  const exponent = cursor.u32be('exponent');
  const unique = readSized(cursor, 'unique', MAX_RSA_BYTES);
  // Empty where a template leaves the choice to the TPM.
  if (unique.length !== 0 && unique.length * 8 !== keyBits) {
    throw cursor.error('invalid', 'unique', `has ${unique.length} bytes, expected ${keyBits / 8} for ${keyBits} bits`);
  }
  const parameters = { symmetric, scheme, keyBits, exponent: exponent === 0 ? DEFAULT_RSA_EXPONENT : exponent };
  return { ...common, type: TPM_ALG.RSA, parameters, unique };
}

function readEcc(cursor: Cursor, common: TPMT_PUBLIC_COMMON): TPMT_PUBLIC_ECC {
  const symmetric = readSymmetric(cursor, 'symmetric');
  const scheme = readScheme(cursor, 'scheme');
  const curveID = cursor.u16be('curveID');
  const kdf = readScheme(cursor, 'kdf');
  const unique = { x: readSized(cursor, 'x', MAX_ECC_BYTES), y: readSized(cursor, 'y', MAX_ECC_BYTES) };
  return { ...common, type: TPM_ALG.ECC, parameters: { symmetric, scheme, curveID, kdf }, unique };
}
