// AES-CFB with a full-block shift and a zero IV, as TPMs protect what leaves them (TPM 2.0 Part 1 section 11.4.4). WebCrypto
// lacks the mode: each block of key stream is AES of the block of ciphertext before it, and AES-CTR over zeros with that
// block as counter gives exactly this.

import { unshared } from '@ringwall/bytes';

const BLOCK_BYTES = 16;

/** `key` has 16, 24 or 32 bytes. */
export async function encryptAesCfb(key: Uint8Array, plaintext: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
  const keyStream = await keyStreamOf(key);
  const ciphertext = new Uint8Array(plaintext.length);
  let previous = new Uint8Array(BLOCK_BYTES);
  for (let at = 0; at < plaintext.length; at += BLOCK_BYTES) {
    const block = xor(plaintext.subarray(at, at + BLOCK_BYTES), await keyStream(previous));
    ciphertext.set(block, at);
    if (block.length === BLOCK_BYTES) previous = block;
  }
  return ciphertext;
}

/** Undoes `encryptAesCfb`. It authenticates nothing: check the HMAC over the ciphertext first. */
export async function decryptAesCfb(key: Uint8Array, ciphertext: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
  const keyStream = await keyStreamOf(key);
  const plaintext = new Uint8Array(ciphertext.length);
  let previous = new Uint8Array(BLOCK_BYTES);
  for (let at = 0; at < ciphertext.length; at += BLOCK_BYTES) {
    const block = ciphertext.slice(at, at + BLOCK_BYTES);
    plaintext.set(xor(block, await keyStream(previous)), at);
    if (block.length === BLOCK_BYTES) previous = new Uint8Array(block);
  }
  return plaintext;
}

async function keyStreamOf(key: Uint8Array): Promise<(block: Uint8Array<ArrayBuffer>) => Promise<Uint8Array>> {
  const cryptoKey = await crypto.subtle.importKey('raw', unshared(key), 'AES-CTR', false, ['encrypt']);
  return async (counter) => {
    const algorithm = { name: 'AES-CTR', counter, length: 128 };
    return new Uint8Array(await crypto.subtle.encrypt(algorithm, cryptoKey, new Uint8Array(BLOCK_BYTES)));
  };
}

function xor(left: Uint8Array, right: Uint8Array): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(left, (byte, index) => byte ^ (right[index] ?? 0));
}
