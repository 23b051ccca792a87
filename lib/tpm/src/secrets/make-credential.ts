// TPM2_MakeCredential in software: a secret that only the TPM with this EK gives back, and only if it also holds the
// key of this Name (TPM 2.0 Part 1 sections 24, B.10.4 and C.6.4).

import { concatBytes, unshared, Writer } from '@ringwall/bytes';
import { TPM_ALG } from '../constants.ts';
import { computableHash, hashBytes, hmac, type ComputableHash } from '../hash.ts';
import { kdfa, kdfe } from './key-derivation.ts';
import {
  attributesOf,
  importRsa,
  pointOf,
  type TPMT_PUBLIC,
  type TPMT_PUBLIC_ECC,
  type TPMT_PUBLIC_RSA,
} from '../structures/public-area.ts';
import { ephemeralPoint } from './wrap-to-key.ts';
import { TpmError } from '../tpm-error.ts';

const AES_BLOCK_BYTES = 16;
const EMPTY = new Uint8Array(0);

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
  const { ekPublic, akName, secret } = input;
  const hash = computableHash(ekPublic.nameAlg);
  const { symmetric } = ekPublic.parameters;
  const { restricted, decrypt, sign } = attributesOf(ekPublic);
  if (!restricted || !decrypt || sign || symmetric.algorithm !== TPM_ALG.AES || symmetric.mode !== TPM_ALG.CFB) {
    throw new TpmError('unsupported', 'endorsement key is no storage key, expected restricted, decrypt and AES-CFB');
  }
  if (secret.length === 0 || secret.length > hashBytes(hash)) {
    throw new TpmError('parameter', `secret has ${secret.length} bytes, expected 1 to ${hashBytes(hash)}`);
  }
  const { seed, encryptedSecret } =
    ekPublic.type === TPM_ALG.ECC ? await seedForEcc(ekPublic, hash) : await seedForRsa(ekPublic, hash);
  const symKey = await kdfa(hash, seed, 'STORAGE', akName, EMPTY, symmetric.keyBits);
  const hmacKey = await kdfa(hash, seed, 'INTEGRITY', EMPTY, EMPTY, hashBytes(hash) * 8);
  const encIdentity = await encryptAesCfb(symKey, new Writer().sized16be((inner) => inner.bytes(secret)).finish());
  const outerHmac = await hmac(hash, hmacKey, concatBytes(encIdentity, akName));
  const idObject = new Writer()
    .sized16be((integrity) => integrity.bytes(outerHmac))
    .bytes(encIdentity)
    .finish();
  return { idObject, encryptedSecret };
}

/** Part 1 section C.6.4: one-pass Diffie-Hellman, then KDFe with "IDENTITY". */
async function seedForEcc(ek: TPMT_PUBLIC_ECC, hash: ComputableHash): Promise<Seed> {
  const { x, y, z } = await ephemeralPoint(ek);
  const [ekX] = pointOf(ek);
  const seed = await kdfe(hash, z, 'IDENTITY', x, ekX, hashBytes(hash) * 8);
  const encryptedSecret = new Writer()
    .sized16be((part) => part.bytes(x))
    .sized16be((part) => part.bytes(y))
    .finish();
  return { seed, encryptedSecret };
}

/** Part 1 section B.10.4: a random seed under OAEP with the label "IDENTITY" and its zero byte. */
async function seedForRsa(ek: TPMT_PUBLIC_RSA, hash: ComputableHash): Promise<Seed> {
  const seed = crypto.getRandomValues(new Uint8Array(hashBytes(hash)));
  const key = await importRsa(ek, 'RSA-OAEP', ek.nameAlg, ['encrypt']);
  const label = new TextEncoder().encode('IDENTITY\0');
  const encryptedSecret = new Uint8Array(await crypto.subtle.encrypt({ name: 'RSA-OAEP', label }, key, seed));
  return { seed, encryptedSecret };
}

interface Seed {
  readonly seed: Uint8Array;
  readonly encryptedSecret: Uint8Array;
}

/**
 * AES-CFB with a full-block shift and a zero IV (Part 1 section 11.4), which WebCrypto lacks. Each block of key
 * stream is AES of the block before it: AES-CTR over zeros with that block as counter gives exactly this.
 */
export async function encryptAesCfb(key: Uint8Array, plaintext: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
  const cryptoKey = await crypto.subtle.importKey('raw', unshared(key), 'AES-CTR', false, ['encrypt']);
  const ciphertext = new Uint8Array(plaintext.length);
  let previous = new Uint8Array(AES_BLOCK_BYTES);
  for (let at = 0; at < plaintext.length; at += AES_BLOCK_BYTES) {
    const algorithm = { name: 'AES-CTR', counter: previous, length: 128 };
    const stream = new Uint8Array(await crypto.subtle.encrypt(algorithm, cryptoKey, new Uint8Array(AES_BLOCK_BYTES)));
    const block = plaintext.subarray(at, at + AES_BLOCK_BYTES).map((byte, index) => byte ^ (stream[index] ?? 0));
    ciphertext.set(block, at);
    if (block.length === AES_BLOCK_BYTES) previous = new Uint8Array(block);
  }
  return ciphertext;
}
