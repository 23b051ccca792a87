// TPMT_SIGNATURE, TPM 2.0 Part 2 section 11.3.4, and its verification with WebCrypto.

import { concatBytes, Cursor, unshared, Writer } from '@ringwall/bytes';
import { TPM_ALG } from '../constants.ts';
import { computableHash, hashAlgorithm, hashBytes, webCryptoHash } from '../hash.ts';
import type { TPMT_PUBLIC, TPMT_PUBLIC_RSA } from './public-area.ts';
import { curveOf, importEcc, importRsa, leftPad } from './public-key.ts';
import { MAX_ECC_BYTES, MAX_RSA_BYTES, readSized, writeSized } from './sized.ts';
import { TpmError } from '../tpm-error.ts';

/** TPMS_SIGNATURE_ECDSA, Part 2 section 11.3.2. */
export interface TPMS_SIGNATURE_ECDSA {
  readonly sigAlg: typeof TPM_ALG.ECDSA;
  readonly hash: number;
  readonly signatureR: Uint8Array;
  readonly signatureS: Uint8Array;
}

/** TPMS_SIGNATURE_RSASSA or TPMS_SIGNATURE_RSAPSS, Part 2 section 11.3.1. */
export interface TPMS_SIGNATURE_RSA {
  readonly sigAlg: typeof TPM_ALG.RSASSA | typeof TPM_ALG.RSAPSS;
  readonly hash: number;
  readonly sig: Uint8Array;
}

/** TPMT_HA of an HMAC, Part 2 section 10.3.2. Only who holds the key can check it: `verifySignature` never accepts it. */
export interface TPMS_SIGNATURE_HMAC {
  readonly sigAlg: typeof TPM_ALG.HMAC;
  readonly hash: number;
  readonly digest: Uint8Array;
}

export type TPMT_SIGNATURE = TPMS_SIGNATURE_ECDSA | TPMS_SIGNATURE_RSA | TPMS_SIGNATURE_HMAC;

/** Exactly one TPMT_SIGNATURE; throws `ParseError`. */
export function parseSignature(bytes: Uint8Array): TPMT_SIGNATURE {
  const cursor = new Cursor(bytes);
  const signature = readSignature(cursor);
  cursor.end('TPMT_SIGNATURE');
  return signature;
}

/** A TPMT_SIGNATURE where more may follow, as in the response to TPM2_Quote. */
export function readSignature(cursor: Cursor): TPMT_SIGNATURE {
  const sigAlg = cursor.u16be('sigAlg');
  if (sigAlg === TPM_ALG.ECDSA) {
    const hash = cursor.u16be('hash');
    const signatureR = readSized(cursor, 'signatureR', MAX_ECC_BYTES);
    return { sigAlg, hash, signatureR, signatureS: readSized(cursor, 'signatureS', MAX_ECC_BYTES) };
  }
  if (sigAlg === TPM_ALG.RSASSA || sigAlg === TPM_ALG.RSAPSS) {
    return { sigAlg, hash: cursor.u16be('hash'), sig: readSized(cursor, 'sig', MAX_RSA_BYTES) };
  }
  if (sigAlg === TPM_ALG.HMAC) {
    const hash = cursor.u16be('hash');
    const bytes = hashAlgorithm(hash)?.bytes;
    if (bytes === undefined) throw cursor.error('unsupported', 'hash', `0x${hash.toString(16)}, expected a hash`);
    return { sigAlg, hash, digest: cursor.take(bytes, 'digest') };
  }
  throw cursor.error('unsupported', 'sigAlg', `0x${sigAlg.toString(16)}, expected ECDSA, RSASSA, RSAPSS or HMAC`);
}

/** A TPMT_SIGNATURE; `parseSignature` reads it back. */
export function encodeSignature(signature: TPMT_SIGNATURE): Uint8Array<ArrayBuffer> {
  const writer = new Writer().u16be(signature.sigAlg).u16be(signature.hash);
  if (signature.sigAlg === TPM_ALG.HMAC) return writer.bytes(signature.digest).finish();
  if (signature.sigAlg !== TPM_ALG.ECDSA) return writeSized(writer, signature.sig).finish();
  writeSized(writer, signature.signatureR);
  return writeSized(writer, signature.signatureS).finish();
}

/**
 * Whether `signature` over `message` is the key's. False where signature and key do not fit each other: another type,
 * another scheme or hash than the key's own, another length. Which hash is good enough is the caller's policy: SHA-1
 * verifies. Throws `TpmError` where the key itself cannot be used (a curve or hash that WebCrypto lacks, a point off
 * its curve).
 */
export async function verifySignature(
  key: TPMT_PUBLIC,
  signature: TPMT_SIGNATURE,
  message: Uint8Array,
): Promise<boolean> {
  if ((key.type !== TPM_ALG.ECC && key.type !== TPM_ALG.RSA) || signature.sigAlg === TPM_ALG.HMAC) return false;
  const { scheme, hashAlg } = key.parameters.scheme;
  if (scheme !== TPM_ALG.NULL && (scheme !== signature.sigAlg || hashAlg !== signature.hash)) return false;
  if (signature.sigAlg === TPM_ALG.ECDSA) {
    if (key.type !== TPM_ALG.ECC) return false;
    const { bytes } = curveOf(key);
    const rs = rawEcdsa(signature, bytes);
    if (rs === undefined) return false;
    const algorithm = { name: 'ECDSA', hash: webCryptoHash(computableHash(signature.hash)) };
    return crypto.subtle.verify(algorithm, await importEcc(key, 'ECDSA'), rs, unshared(message));
  }
  if (key.type !== TPM_ALG.RSA || signature.sig.length !== key.unique.length) return false;
  return verifyRsa(key, signature, message);
}

/** r and s at the width of the field, or undefined where one is longer. */
function rawEcdsa(signature: TPMS_SIGNATURE_ECDSA, bytes: number): Uint8Array<ArrayBuffer> | undefined {
  try {
    return concatBytes(leftPad(signature.signatureR, bytes, 'r'), leftPad(signature.signatureS, bytes, 's'));
  } catch (error) {
    if (error instanceof TpmError) return undefined;
    throw error;
  }
}

async function verifyRsa(key: TPMT_PUBLIC_RSA, signature: TPMS_SIGNATURE_RSA, message: Uint8Array): Promise<boolean> {
  const sig = unshared(signature.sig);
  if (signature.sigAlg === TPM_ALG.RSASSA) {
    const cryptoKey = await importRsa(key, 'RSASSA-PKCS1-v1_5', signature.hash, ['verify']);
    return crypto.subtle.verify('RSASSA-PKCS1-v1_5', cryptoKey, sig, unshared(message));
  }
  const cryptoKey = await importRsa(key, 'RSA-PSS', signature.hash, ['verify']);
  const digestBytes = hashBytes(computableHash(signature.hash));
  // Part 1 section B.7: the salt is as long as the digest in newer TPMs, and as long as fits in older ones.
  const longest = key.unique.length - digestBytes - 2;
  for (const saltLength of new Set([digestBytes, longest].filter((length) => length >= 0 && length <= longest))) {
    if (await crypto.subtle.verify({ name: 'RSA-PSS', saltLength }, cryptoKey, sig, unshared(message))) return true;
  }
  return false;
}
