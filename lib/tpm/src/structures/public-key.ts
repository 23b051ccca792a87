// The asymmetric key in a TPMT_PUBLIC as WebCrypto holds it.

import { concatBytes, KnownBytes, Writer } from '@ringwall/bytes';
import { TPM_ALG, TPM_ECC } from '../constants.ts';
import { computableHash, webCryptoHash } from '../hash.ts';
import { TpmError } from '../tpm-error.ts';
import type { TPMT_PUBLIC, TPMT_PUBLIC_ECC, TPMT_PUBLIC_RSA } from './public-area.ts';

interface Curve {
  readonly name: 'P-256' | 'P-384' | 'P-521';
  /** Bytes of a coordinate. */
  readonly bytes: number;
}

const CURVES: ReadonlyMap<number, Curve> = new Map<number, Curve>([
  [TPM_ECC.NIST_P256, { name: 'P-256', bytes: 32 }],
  [TPM_ECC.NIST_P384, { name: 'P-384', bytes: 48 }],
  [TPM_ECC.NIST_P521, { name: 'P-521', bytes: 66 }],
]);

/**
 * The key as WebCrypto holds it, extractable (`exportKey('spki', …)` gives the form that certificates carry): ECC for
 * ECDSA, RSA for RSASSA-PKCS1-v1_5 with the hash of its scheme, or SHA-256 where it has none. `TpmError` where the
 * object is no such key, or its point is off the curve.
 */
export async function publicKeyOf(publicArea: TPMT_PUBLIC): Promise<CryptoKey> {
  if (publicArea.type === TPM_ALG.ECC) return importEcc(publicArea, 'ECDSA');
  if (publicArea.type !== TPM_ALG.RSA) {
    throw new TpmError('unsupported', `object type 0x${publicArea.type.toString(16)}, expected RSA or ECC`);
  }
  const { hashAlg } = publicArea.parameters.scheme;
  return importRsa(publicArea, 'RSASSA-PKCS1-v1_5', hashAlg === 0 ? TPM_ALG.SHA256 : hashAlg, ['verify']);
}

export async function importEcc(publicArea: TPMT_PUBLIC_ECC, algorithm: 'ECDSA' | 'ECDH'): Promise<CryptoKey> {
  const curve = curveOf(publicArea);
  const point = concatBytes(Uint8Array.of(4), ...pointOf(publicArea));
  const imported = IMPORTED[algorithm];
  const known = imported.get(point);
  if (known !== undefined) return known;
  const key = await refuseBadKey(
    crypto.subtle.importKey('raw', point, { name: algorithm, namedCurve: curve.name }, true, [...USAGES[algorithm]]),
  );
  imported.set(point, key);
  return key;
}

const USAGES = { ECDSA: ['verify'], ECDH: [] } as const;
/** A machine is asked again and again, and its key is the same. Some 500 bytes each; a broker has some 10,000 machines. */
const MAX_IMPORTED_KEYS = 16_384;
const IMPORTED = {
  ECDSA: new KnownBytes<CryptoKey>(MAX_IMPORTED_KEYS),
  ECDH: new KnownBytes<CryptoKey>(MAX_IMPORTED_KEYS),
} as const;

export async function importRsa(
  publicArea: TPMT_PUBLIC_RSA,
  algorithm: 'RSASSA-PKCS1-v1_5' | 'RSA-PSS' | 'RSA-OAEP',
  hashAlg: number,
  usages: readonly KeyUsage[],
): Promise<CryptoKey> {
  const exponent = new Writer().u32be(publicArea.parameters.exponent).finish();
  const jwk = { kty: 'RSA', n: base64url(publicArea.unique), e: base64url(withoutLeadingZeros(exponent)) };
  const parameters = { name: algorithm, hash: webCryptoHash(computableHash(hashAlg)) };
  return refuseBadKey(crypto.subtle.importKey('jwk', jwk, parameters, true, [...usages]));
}

/** WebCrypto's name of the key's curve and the bytes of a coordinate. */
export function curveOf(publicArea: TPMT_PUBLIC_ECC): Curve {
  const { curveID } = publicArea.parameters;
  const curve = CURVES.get(curveID);
  if (curve === undefined) {
    throw new TpmError('unsupported', `curve 0x${curveID.toString(16)}, expected P-256, P-384 or P-521`);
  }
  return curve;
}

/** The coordinates at the full width of the field. */
export function pointOf(publicArea: TPMT_PUBLIC_ECC): readonly [x: Uint8Array, y: Uint8Array] {
  const { bytes } = curveOf(publicArea);
  return [leftPad(publicArea.unique.x, bytes, 'x'), leftPad(publicArea.unique.y, bytes, 'y')];
}

/** A number at a fixed width, with zeros before it. Leading zeros beyond the width are dropped. */
export function leftPad(value: Uint8Array, bytes: number, what: string): Uint8Array<ArrayBuffer> {
  const digits = withoutLeadingZeros(value);
  if (digits.length > bytes)
    throw new TpmError('parameter', `${what} has ${digits.length} bytes, expected at most ${bytes}`);
  return concatBytes(new Uint8Array(bytes - digits.length), digits);
}

function withoutLeadingZeros(value: Uint8Array): Uint8Array {
  const first = value.findIndex((byte) => byte !== 0);
  return first === -1 ? value.subarray(value.length) : value.subarray(first);
}

async function refuseBadKey(key: Promise<CryptoKey>): Promise<CryptoKey> {
  try {
    return await key;
  } catch (cause) {
    throw new TpmError('parameter', 'public key is refused, expected a valid point or modulus', { cause });
  }
}

/** RFC 4648 section 5 without padding, as JSON Web Keys want it. */
function base64url(bytes: Uint8Array): string {
  const text = Array.from(bytes, (byte) => String.fromCharCode(byte)).join('');
  return btoa(text).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}
