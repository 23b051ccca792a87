// Signatures of people and brokers, ECDSA P-256 with SHA-256: over a line that says what kind of text follows, then the
// canonical JSON of a value (RFC 8785), so that no signature counts for another text than it was made for.
import { unshared, utf8 } from '@ringwall/bytes';
import { canonicalJson, type JsonValue } from './canonical-json.ts';

const ECDSA = { name: 'ECDSA', namedCurve: 'P-256' } as const;
const ECDSA_SHA256 = { name: 'ECDSA', hash: 'SHA-256' } as const;

/** X and Y. */
export const POINT_BYTES = 64;
/** r and s, as WebCrypto gives them. */
export const SIGNATURE_BYTES = 64;

/** A P-256 key: how it signs is its owner's business. */
export interface Signer {
  /** X and Y, 64 bytes. */
  readonly publicKey: Uint8Array;
  /** ECDSA with SHA-256 over `message`: r and s, 64 bytes, as WebCrypto gives them. */
  readonly sign: (message: Uint8Array) => Promise<Uint8Array>;
}

/** What is signed: the format's name and a line feed, which begin no other text of ours, then the value. */
export function signedText(format: string, value: JsonValue): Uint8Array<ArrayBuffer> {
  return utf8(`${format}\n${canonicalJson(value)}`);
}

/** False for a signature that does not hold, and for a point that is not on the curve. */
export async function verifySigned(
  publicKey: Uint8Array,
  signature: Uint8Array,
  message: Uint8Array,
): Promise<boolean> {
  if (publicKey.length !== POINT_BYTES || signature.length !== SIGNATURE_BYTES) return false;
  try {
    const key = await crypto.subtle.importKey('raw', Uint8Array.of(4, ...publicKey), ECDSA, false, ['verify']);
    return await crypto.subtle.verify(ECDSA_SHA256, key, unshared(signature), unshared(message));
  } catch {
    return false; // a point off the curve is the only thing that WebCrypto throws at here
  }
}
