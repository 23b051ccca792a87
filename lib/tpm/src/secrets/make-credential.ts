// TPM2_MakeCredential in software: a secret that only the TPM with this EK gives back, and only if it also holds the
// key of this Name (TPM 2.0 Part 1 sections 24, B.10.4 and C.6.4).

import { Writer } from '@ringwall/bytes';
import { hashBytes } from '../hash.ts';
import type { TPMT_PUBLIC } from '../structures/public-area.ts';
import { TpmError } from '../tpm-error.ts';
import { outerWrap } from './outer-wrap.ts';
import { shareSeed, storageKeyOf } from './secret-sharing.ts';

export interface Credential {
  /** What stands inside TPM2B_ID_OBJECT: TPM2B of the outer HMAC, then the encrypted TPM2B of the secret. */
  readonly idObject: Uint8Array;
  /** What stands inside TPM2B_ENCRYPTED_SECRET: a TPMS_ECC_POINT for an ECC EK, the ciphertext for an RSA EK. */
  readonly encryptedSecret: Uint8Array;
}

/**
 * `ekPublic` must be a restricted decryption key with AES-CFB (else `TpmError`), `akName` the Name of the key that the
 * same TPM must hold, `secret` at most as long as a digest of the EK's nameAlg. For a P-256 EK of ours and 32 bytes of
 * secret both parts have `CREDENTIAL_BYTES`.
 */
export async function makeCredential(input: {
  readonly ekPublic: TPMT_PUBLIC;
  readonly akName: Uint8Array;
  readonly secret: Uint8Array;
}): Promise<Credential> {
  const { akName, secret } = input;
  const ek = storageKeyOf(input.ekPublic, 'endorsement key');
  if (secret.length === 0 || secret.length > hashBytes(ek.hash)) {
    throw new TpmError('parameter', `secret has ${secret.length} bytes, expected 1 to ${hashBytes(ek.hash)}`);
  }
  const { seed, encryptedSecret } = await shareSeed(ek, 'IDENTITY');
  const content = new Writer().sized16be((inner) => inner.bytes(secret)).finish();
  return { idObject: await outerWrap(ek, seed, akName, content), encryptedSecret };
}
