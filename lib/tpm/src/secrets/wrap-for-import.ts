// The verifier's half of TPM2_Import: an object wrapped so that only the TPM with this parent key can take it in (TPM 2.0
// Part 1 sections 23.3 and 22.4, Part 3 section 13.3).

import { concatBytes, Writer } from '@ringwall/bytes';
import { TPM_ALG } from '../constants.ts';
import { computableHash, digest } from '../hash.ts';
import { nameOf } from '../structures/names.ts';
import { attributesOf, parsePublic, type TPMT_PUBLIC } from '../structures/public-area.ts';
import type { TPMT_SYM_DEF_OBJECT } from '../structures/schemes.ts';
import { encodeSensitive } from '../structures/sensitive.ts';
import { TpmError } from '../tpm-error.ts';
import { encryptAesCfb } from './aes-cfb.ts';
import type { ImportableObject } from './importable.ts';
import { outerWrap } from './outer-wrap.ts';
import { shareSeed, storageKeyOf } from './secret-sharing.ts';

/** What TPM2_Import is sent besides the parent's handle. */
export interface ImportBlob {
  /** TPMT_PUBLIC of the object. */
  readonly objectPublic: Uint8Array;
  /** What stands inside TPM2B_PRIVATE. */
  readonly duplicate: Uint8Array;
  /** What stands inside TPM2B_ENCRYPTED_SECRET. */
  readonly inSymSeed: Uint8Array;
  /** Of the inner wrapper; TPM_ALG_NULL where there is none. */
  readonly symmetricAlg: TPMT_SYM_DEF_OBJECT;
}

/** An inner wrapper's key: 16 or 32 bytes for AES-CFB, which reach the importing side by another way. */
export interface InnerWrapper {
  readonly key: Uint8Array;
}

/**
 * Wraps `object` for the storage key `parent` (else `TpmError`). The object may have neither fixedTPM nor fixedParent;
 * where it has encryptedDuplication, it needs an inner wrapper. Whoever holds `parent`'s public area can make such a
 * blob: it keeps the secret, and says nothing about who sent it.
 */
export async function wrapForImport(input: {
  readonly parent: TPMT_PUBLIC;
  readonly object: ImportableObject;
  readonly inner?: InnerWrapper;
}): Promise<ImportBlob> {
  const { object, inner } = input;
  const parent = storageKeyOf(input.parent, 'parent');
  const area = parsePublic(object.publicArea);
  const { fixedTPM, fixedParent, encryptedDuplication } = attributesOf(area);
  if (fixedTPM || fixedParent) {
    throw new TpmError('parameter', 'object is fixed to a TPM or parent, expected one that can be duplicated');
  }
  if (encryptedDuplication && inner === undefined) {
    throw new TpmError('parameter', 'object has encryptedDuplication, expected an inner wrapper');
  }
  if (object.sensitive.sensitiveType !== area.type) {
    throw new TpmError('parameter', 'the halves of the object differ in type');
  }
  const name = await nameOf(object.publicArea);
  const sensitive = new Writer().sized16be((part) => part.bytes(encodeSensitive(object.sensitive))).finish();
  const content = inner === undefined ? sensitive : await innerWrap(inner, area.nameAlg, name, sensitive);
  const { seed, encryptedSecret } = await shareSeed(parent, 'DUPLICATE');
  return {
    objectPublic: object.publicArea,
    duplicate: await outerWrap(parent, seed, name, content),
    inSymSeed: encryptedSecret,
    symmetricAlg: {
      algorithm: inner === undefined ? TPM_ALG.NULL : TPM_ALG.AES,
      keyBits: (inner?.key.length ?? 0) * 8,
      mode: inner === undefined ? 0 : TPM_ALG.CFB,
    },
  };
}

/** Part 1 section 23.3.2.2: the digest of secret and Name before the secret, both encrypted with the inner key. */
async function innerWrap(
  { key }: InnerWrapper,
  nameAlg: number,
  name: Uint8Array,
  sensitive: Uint8Array,
): Promise<Uint8Array> {
  if (key.length !== 16 && key.length !== 32) {
    throw new TpmError('parameter', `inner key has ${key.length} bytes, expected 16 or 32`);
  }
  const integrity = await digest(computableHash(nameAlg), concatBytes(sensitive, name));
  const head = new Writer().sized16be((part) => part.bytes(integrity)).finish();
  return encryptAesCfb(key, concatBytes(head, sensitive));
}
