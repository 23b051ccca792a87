// The ciphers of the format as node:crypto has them: OpenSSL's, on the thread that calls.
import {
  createCipheriv,
  createDecipheriv,
  type CipherGCM,
  type CipherChaCha20Poly1305,
  type DecipherGCM,
  type DecipherChaCha20Poly1305,
} from 'node:crypto';
import { TAG_BYTES, type ObjectKeys, type RecordParameters } from '@ringwall/seal/engine';

const WITH_TAG = { authTagLength: TAG_BYTES };

export function sealingCipher(
  { manifest, contentKey }: ObjectKeys,
  { nonce, associatedData }: RecordParameters,
): CipherGCM | CipherChaCha20Poly1305 {
  const cipher =
    manifest.cipher === 'aes-256-gcm'
      ? createCipheriv('aes-256-gcm', contentKey, nonce, WITH_TAG)
      : createCipheriv('chacha20-poly1305', contentKey, nonce, WITH_TAG);
  // Its length is asked for by the types of ChaCha20-Poly1305, and by nothing else.
  cipher.setAAD(associatedData, { plaintextLength: 0 });
  return cipher;
}

export function openingCipher(
  { manifest, contentKey }: ObjectKeys,
  { nonce, associatedData }: RecordParameters,
  tag: Uint8Array,
): DecipherGCM | DecipherChaCha20Poly1305 {
  const decipher =
    manifest.cipher === 'aes-256-gcm'
      ? createDecipheriv('aes-256-gcm', contentKey, nonce, WITH_TAG)
      : createDecipheriv('chacha20-poly1305', contentKey, nonce, WITH_TAG);
  decipher.setAAD(associatedData, { plaintextLength: 0 });
  decipher.setAuthTag(tag);
  return decipher;
}
