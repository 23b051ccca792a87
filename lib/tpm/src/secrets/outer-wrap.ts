// The outer wrapper, TPM 2.0 Part 1 section 22.4: encryption and integrity from one seed, bound to a Name. Credentials and
// duplicated objects travel in it alike.

import { concatBytes, Writer } from '@ringwall/bytes';
import { hashBytes, hmac } from '../hash.ts';
import { encryptAesCfb } from './aes-cfb.ts';
import { kdfa } from './key-derivation.ts';
import type { StorageKey } from './secret-sharing.ts';

const EMPTY = new Uint8Array(0);

/** TPM2B_DIGEST of the HMAC, then `content` encrypted: opens only with the seed, and only for this Name. */
export async function outerWrap(
  key: Pick<StorageKey, 'hash' | 'keyBits'>,
  seed: Uint8Array,
  name: Uint8Array,
  content: Uint8Array,
): Promise<Uint8Array<ArrayBuffer>> {
  const { hash, keyBits } = key;
  const symKey = await kdfa(hash, seed, 'STORAGE', name, EMPTY, keyBits);
  const hmacKey = await kdfa(hash, seed, 'INTEGRITY', EMPTY, EMPTY, hashBytes(hash) * 8);
  const encrypted = await encryptAesCfb(symKey, content);
  const integrity = await hmac(hash, hmacKey, concatBytes(encrypted, name));
  return new Writer()
    .sized16be((part) => part.bytes(integrity))
    .bytes(encrypted)
    .finish();
}
