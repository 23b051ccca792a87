// Secret sharing, TPM 2.0 Part 1 sections 23.2, B.10 and C.6: a seed that only the TPM with this decryption key derives.

import { Writer } from '@ringwall/bytes';
import { TPM_ALG } from '../constants.ts';
import { computableHash, hashBytes, type ComputableHash } from '../hash.ts';
import {
  attributesOf,
  type TPMT_PUBLIC,
  type TPMT_PUBLIC_ECC,
  type TPMT_PUBLIC_RSA,
} from '../structures/public-area.ts';
import { importRsa, pointOf } from '../structures/public-key.ts';
import { TpmError } from '../tpm-error.ts';
import { ephemeralPoint } from './ephemeral-point.ts';
import { kdfe } from './key-derivation.ts';

/** What the seed is for; it is part of the derivation, so that no seed serves another purpose. */
export type SeedUse = 'IDENTITY' | 'DUPLICATE';

export interface SharedSeed {
  /** In the clear, as long as a digest of the key's nameAlg. */
  readonly seed: Uint8Array;
  /** What stands inside TPM2B_ENCRYPTED_SECRET: a TPMS_ECC_POINT for an ECC key, the ciphertext for an RSA key. */
  readonly encryptedSecret: Uint8Array;
}

/** An RSA or ECC key that protects others: a storage key or an EK, and its cipher. */
export interface StorageKey {
  readonly public: TPMT_PUBLIC_RSA | TPMT_PUBLIC_ECC;
  readonly hash: ComputableHash;
  /** Of AES-CFB. */
  readonly keyBits: number;
}

/** `area` as storage key, else a `TpmError` that calls it `what`: restricted, decrypting, not signing, AES-CFB. */
export function storageKeyOf(area: TPMT_PUBLIC, what: string): StorageKey {
  const { restricted, decrypt, sign } = attributesOf(area);
  if ((area.type !== TPM_ALG.RSA && area.type !== TPM_ALG.ECC) || !restricted || !decrypt || sign) {
    throw new TpmError('unsupported', `${what} is no storage key, expected restricted, decrypt and AES-CFB`);
  }
  const { algorithm, mode, keyBits } = area.parameters.symmetric;
  if (algorithm !== TPM_ALG.AES || mode !== TPM_ALG.CFB || !AES_KEY_BITS.has(keyBits)) {
    throw new TpmError('unsupported', `${what} is no storage key, expected restricted, decrypt and AES-CFB`);
  }
  return { public: area, hash: computableHash(area.nameAlg), keyBits };
}

export async function shareSeed(key: StorageKey, use: SeedUse): Promise<SharedSeed> {
  return key.public.type === TPM_ALG.ECC
    ? shareWithEcc(key.public, key.hash, use)
    : shareWithRsa(key.public, key.hash, use);
}

const AES_KEY_BITS: ReadonlySet<number> = new Set([128, 192, 256]);

/** Part 1 section C.6.1: one-pass Diffie-Hellman, then KDFe. */
async function shareWithEcc(key: TPMT_PUBLIC_ECC, hash: ComputableHash, use: SeedUse): Promise<SharedSeed> {
  const { x, y, z } = await ephemeralPoint(key);
  const [keyX] = pointOf(key);
  const seed = await kdfe(hash, z, use, x, keyX, hashBytes(hash) * 8);
  const encryptedSecret = new Writer()
    .sized16be((part) => part.bytes(x))
    .sized16be((part) => part.bytes(y))
    .finish();
  return { seed, encryptedSecret };
}

/** Part 1 section B.10: a random seed under OAEP with the key's nameAlg, labelled with the use and its zero byte. */
async function shareWithRsa(area: TPMT_PUBLIC_RSA, hash: ComputableHash, use: SeedUse): Promise<SharedSeed> {
  const seed = crypto.getRandomValues(new Uint8Array(hashBytes(hash)));
  const key = await importRsa(area, 'RSA-OAEP', area.nameAlg, ['encrypt']);
  const label = new TextEncoder().encode(`${use}\0`);
  const encryptedSecret = new Uint8Array(await crypto.subtle.encrypt({ name: 'RSA-OAEP', label }, key, seed));
  return { seed, encryptedSecret };
}
