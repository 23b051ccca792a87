// Objects that are made outside a TPM to be imported into one: sealed data, HMAC keys, cipher keys (TPM 2.0 Part 1
// sections 25.5 and 27.1).

import { concatBytes } from '@ringwall/bytes';
import { TPM_ALG, TPMA_OBJECT } from '../constants.ts';
import { computableHash, digest, hashBytes } from '../hash.ts';
import { encodePublic, type PublicFields } from '../structures/public-area.ts';
import type { TPMT_SENSITIVE } from '../structures/sensitive.ts';
import { MAX_SYM_DATA_BYTES } from '../structures/sized.ts';
import { TpmError } from '../tpm-error.ts';

/** Both halves of an object, the secret one in the clear. */
export interface ImportableObject {
  /** TPMT_PUBLIC. */
  readonly publicArea: Uint8Array<ArrayBuffer>;
  readonly sensitive: TPMT_SENSITIVE;
}

export interface ImportableOptions {
  /** TPM_ALG_ID; SHA-256 where it is not given. */
  readonly nameAlg?: number;
  /** The policy that then decides; an object with neither policy nor `authValue` opens for anyone with its parent. */
  readonly authPolicy?: Uint8Array;
  /** With it the object has userWithAuth: the value alone opens it too. */
  readonly authValue?: Uint8Array;
  /** TPMA_OBJECT bits besides those that follow from the above, for example encryptedDuplication or noDA. */
  readonly attributes?: number;
}

/** A sealed data object, which TPM2_Unseal gives back: 1 to 128 bytes. */
export async function sealedObject(data: Uint8Array, options: ImportableOptions = {}): Promise<ImportableObject> {
  const parameters = { scheme: { scheme: TPM_ALG.NULL, hashAlg: 0, kdf: 0 } };
  return importable({ type: TPM_ALG.KEYEDHASH, parameters }, data, 0, options);
}

/** A key for TPM2_HMAC with one hash: 1 to 128 bytes. */
export async function hmacKeyObject(
  key: Uint8Array,
  hashAlg: number,
  options: ImportableOptions = {},
): Promise<ImportableObject> {
  const parameters = { scheme: { scheme: TPM_ALG.HMAC, hashAlg, kdf: 0 } };
  return importable({ type: TPM_ALG.KEYEDHASH, parameters }, key, TPMA_OBJECT.sign, options);
}

/** An AES key for TPM2_EncryptDecrypt2: 16, 24 or 32 bytes. `mode` is a TPM_ALG_ID, such as CFB. */
export async function cipherKeyObject(
  key: Uint8Array,
  mode: number,
  options: ImportableOptions = {},
): Promise<ImportableObject> {
  if (key.length !== 16 && key.length !== 24 && key.length !== 32) {
    throw new TpmError('parameter', `AES key has ${key.length} bytes, expected 16, 24 or 32`);
  }
  const sym = { algorithm: TPM_ALG.AES, keyBits: key.length * 8, mode };
  const attributes = TPMA_OBJECT.sign | TPMA_OBJECT.decrypt;
  return importable({ type: TPM_ALG.SYMCIPHER, parameters: { sym } }, key, attributes, options);
}

type Kind =
  | Pick<Extract<PublicFields, { type: typeof TPM_ALG.KEYEDHASH }>, 'type' | 'parameters'>
  | Pick<Extract<PublicFields, { type: typeof TPM_ALG.SYMCIPHER }>, 'type' | 'parameters'>;

async function importable(
  kind: Kind,
  secret: Uint8Array,
  purpose: number,
  options: ImportableOptions,
): Promise<ImportableObject> {
  if (secret.length === 0 || secret.length > MAX_SYM_DATA_BYTES) {
    throw new TpmError('parameter', `secret has ${secret.length} bytes, expected 1 to ${MAX_SYM_DATA_BYTES}`);
  }
  const { nameAlg = TPM_ALG.SHA256, authPolicy = new Uint8Array(0), authValue } = options;
  const hash = computableHash(nameAlg);
  if (authValue !== undefined && authValue.length > hashBytes(hash)) {
    throw new TpmError('parameter', `authValue has ${authValue.length} bytes, expected at most ${hashBytes(hash)}`);
  }
  // Without a policy the (empty) authorization value is all that there is to ask for.
  const byValue = authValue !== undefined || authPolicy.length === 0 ? TPMA_OBJECT.userWithAuth : 0;
  // Part 1 section 27.5.3.3: the seed keeps `unique`, which is public, from giving a guessable secret away.
  const seedValue = crypto.getRandomValues(new Uint8Array(hashBytes(hash)));
  const unique = await digest(hash, concatBytes(seedValue, secret));
  const objectAttributes = purpose | byValue | (options.attributes ?? 0);
  return {
    publicArea: encodePublic({ ...kind, nameAlg, objectAttributes, authPolicy, unique }),
    sensitive: { sensitiveType: kind.type, authValue: authValue ?? new Uint8Array(0), seedValue, sensitive: secret },
  };
}
