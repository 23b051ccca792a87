// TPM2B, TPM 2.0 Part 2 section 10.4: bytes behind their length in 16 bits, and how long each kind may be.

import { Cursor, Writer } from '@ringwall/bytes';

/** TPM2B_DIGEST, TPM2B_AUTH and TPM2B_NONCE hold no more than the largest hash, SHA-512: 64 bytes. */
export const MAX_DIGEST_BYTES = 64;
/** TPM2B_NAME holds a handle, or an algorithm and the largest digest: 2 + 64 bytes. */
export const MAX_NAME_BYTES = 66;
/** TPM2B_DATA holds a TPMT_HA: 2 + 64 bytes. */
export const MAX_DATA_BYTES = 66;
/** MAX_RSA_KEY_BITS is 4,096 in any TPM on sale; a modulus above it only costs time. */
export const MAX_RSA_BYTES = 512;
/** MAX_ECC_KEY_BYTES for P-521, the largest curve of the specification's table. */
export const MAX_ECC_BYTES = 66;
/** MAX_SYM_DATA: what a sealed object or an HMAC key may hold. */
export const MAX_SYM_DATA_BYTES = 128;
/** MAX_NV_BUFFER_SIZE is 1,024 or 2,048 in the TPMs that are known. */
export const MAX_NV_BUFFER_BYTES = 2048;

/** The content of exactly one TPM2B, such as the TPM2B_PUBLIC in a file of tpm2-tools; throws `ParseError`. */
export function parseTpm2b(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const cursor = new Cursor(bytes);
  const content = cursor.take(cursor.u16be('size'), 'content');
  cursor.end('TPM2B');
  return content;
}

/** `content` as TPM2B: at most 65,535 bytes, else `RangeError`. */
export function encodeTpm2b(content: Uint8Array): Uint8Array<ArrayBuffer> {
  return writeSized(new Writer(), content).finish();
}

/** A TPM2B whose content has at most `maximum` bytes. */
export function readSized(cursor: Cursor, field: string, maximum: number): Uint8Array<ArrayBuffer> {
  const size = cursor.u16be(`${field}.size`);
  if (size > maximum) throw cursor.error('limit', `${field}.size`, `${size}, expected at most ${maximum}`);
  return cursor.take(size, field);
}

/** TPMI_YES_NO, Part 2 section 9.2: 0 or 1 and nothing else. */
export function readYesNo(cursor: Cursor, field: string): boolean {
  const value = cursor.u8(field);
  if (value > 1) throw cursor.error('invalid', field, `${value}, expected 0 or 1`);
  return value === 1;
}

export function writeSized(writer: Writer, bytes: Uint8Array): Writer {
  return writer.u16be(bytes.length).bytes(bytes);
}
