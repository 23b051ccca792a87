// Signatures of X.509 structures: RFC 5758 (ECDSA), RFC 4055 (RSA PKCS #1 1.5 and PSS), RFC 5480 (keys on curves), with
// WebCrypto. SHA-1, short RSA keys and every parameter that is not named here are refused.
import { toHex, unshared } from '@ringwall/bytes';
import { DER_TAG, DerReader, unsignedOf } from './der.ts';

const MIN_RSA_BITS = 2048;

/** Object identifiers by the hexadecimal of their DER content. */
const OID = {
  ecPublicKey: '2a8648ce3d0201',
  rsassaPss: '2a864886f70d01010a',
  mgf1: '2a864886f70d010108',
} as const;

const CURVES: ReadonlyMap<string, { readonly name: string; readonly bytes: number }> = new Map([
  ['2a8648ce3d030107', { name: 'P-256', bytes: 32 }],
  ['2b81040022', { name: 'P-384', bytes: 48 }],
]);

type Hash = 'SHA-256' | 'SHA-384' | 'SHA-512';

const ALGORITHMS: ReadonlyMap<string, { readonly kind: 'ecdsa' | 'pkcs1'; readonly hash: Hash }> = new Map([
  ['2a8648ce3d040302', { kind: 'ecdsa', hash: 'SHA-256' }],
  ['2a8648ce3d040303', { kind: 'ecdsa', hash: 'SHA-384' }],
  ['2a8648ce3d040304', { kind: 'ecdsa', hash: 'SHA-512' }],
  ['2a864886f70d01010b', { kind: 'pkcs1', hash: 'SHA-256' }],
  ['2a864886f70d01010c', { kind: 'pkcs1', hash: 'SHA-384' }],
  ['2a864886f70d01010d', { kind: 'pkcs1', hash: 'SHA-512' }],
]);

/** The hashes of RSASSA-PSS-params, each with its length, which is the salt's. */
const PSS_HASHES: ReadonlyMap<string, { readonly hash: Hash; readonly bytes: number }> = new Map([
  ['608648016503040201', { hash: 'SHA-256', bytes: 32 }],
  ['608648016503040202', { hash: 'SHA-384', bytes: 48 }],
  ['608648016503040203', { hash: 'SHA-512', bytes: 64 }],
]);

/** What a certificate and a revocation list have in common. */
export interface Signed {
  /** What the signature is over, DER. */
  readonly tbs: Uint8Array;
  /** Content of the AlgorithmIdentifier. */
  readonly signatureAlgorithm: Uint8Array;
  readonly signature: Uint8Array;
}

type Algorithm =
  | { readonly kind: 'ecdsa' | 'pkcs1'; readonly hash: Hash }
  | { readonly kind: 'pss'; readonly hash: Hash; readonly saltBytes: number };

/** Whether the key in `spki` (SubjectPublicKeyInfo, DER) made the signature. Never throws over what it is given. */
export async function verifySigned(signed: Signed, spki: Uint8Array): Promise<boolean> {
  try {
    const algorithm = algorithmOf(signed.signatureAlgorithm);
    if (algorithm === undefined) return false;
    return algorithm.kind === 'ecdsa'
      ? await verifyEcdsa(signed, spki, algorithm.hash)
      : await verifyRsa(signed, spki, algorithm);
  } catch {
    return false; // a key or signature of another form than its algorithm's
  }
}

/** ECDSA over the two numbers side by side, each as long as the curve's order, as processors write them. */
export async function verifyRawEcdsa(given: {
  readonly spki: Uint8Array;
  readonly hash: 'SHA-256' | 'SHA-384';
  readonly signature: Uint8Array;
  readonly message: Uint8Array;
}): Promise<boolean> {
  try {
    const curve = curveOf(given.spki);
    if (curve === undefined || given.signature.length !== 2 * curve.bytes) return false;
    const key = await importEcdsa(given.spki, curve.name);
    const algorithm = { name: 'ECDSA', hash: given.hash };
    return await crypto.subtle.verify(algorithm, key, unshared(given.signature), unshared(given.message));
  } catch {
    return false; // not a point of the curve
  }
}

/** The name of the curve that an elliptic key is on; undefined for keys of another kind. */
export function curveOf(spki: Uint8Array): { readonly name: string; readonly bytes: number } | undefined {
  const algorithm = new DerReader(spki).sequence('subjectPublicKeyInfo').sequence('algorithm');
  if (toHex(algorithm.read(DER_TAG.OID, 'algorithm').content) !== OID.ecPublicKey) return undefined;
  return CURVES.get(toHex(algorithm.read(DER_TAG.OID, 'namedCurve').content));
}

/** SHA-256 of a SubjectPublicKeyInfo, lower-case hexadecimal: how a root key is pinned. */
export async function keyFingerprint(spki: Uint8Array): Promise<string> {
  return toHex(new Uint8Array(await crypto.subtle.digest('SHA-256', unshared(spki))));
}

async function verifyEcdsa(signed: Signed, spki: Uint8Array, hash: Hash): Promise<boolean> {
  const curve = curveOf(spki);
  if (curve === undefined) return false;
  const outer = new DerReader(signed.signature);
  const pair = outer.sequence('Ecdsa-Sig-Value');
  outer.end('Ecdsa-Sig-Value');
  const r = unsignedOf(pair.read(DER_TAG.INTEGER, 'r'), curve.bytes);
  const s = unsignedOf(pair.read(DER_TAG.INTEGER, 's'), curve.bytes);
  pair.end('Ecdsa-Sig-Value');
  if (r === undefined || s === undefined) return false;
  const key = await importEcdsa(spki, curve.name);
  const signature = new Uint8Array([...r, ...s]);
  return crypto.subtle.verify({ name: 'ECDSA', hash }, key, signature, unshared(signed.tbs));
}

async function verifyRsa(signed: Signed, spki: Uint8Array, algorithm: Algorithm): Promise<boolean> {
  const isPss = algorithm.kind === 'pss';
  const name = isPss ? 'RSA-PSS' : 'RSASSA-PKCS1-v1_5';
  const key = await crypto.subtle.importKey('spki', unshared(spki), { name, hash: algorithm.hash }, false, ['verify']);
  if (!('modulusLength' in key.algorithm) || Number(key.algorithm.modulusLength) < MIN_RSA_BITS) return false;
  const parameters = isPss ? { name, saltLength: algorithm.saltBytes } : { name };
  return crypto.subtle.verify(parameters, key, unshared(signed.signature), unshared(signed.tbs));
}

function importEcdsa(spki: Uint8Array, namedCurve: string): Promise<CryptoKey> {
  return crypto.subtle.importKey('spki', unshared(spki), { name: 'ECDSA', namedCurve }, false, ['verify']);
}

function algorithmOf(content: Uint8Array): Algorithm | undefined {
  const reader = new DerReader(content);
  const oid = toHex(reader.read(DER_TAG.OID, 'algorithm').content);
  if (oid === OID.rsassaPss) return pssOf(reader);
  // RFC 4055: the RSA algorithms carry NULL; RFC 5758: the ECDSA ones carry nothing.
  reader.optional(DER_TAG.NULL, 'parameters');
  return reader.done ? ALGORITHMS.get(oid) : undefined;
}

/** RFC 4055 section 3.1. One hash for message and mask, a salt as long as it, and the one trailer that there is. */
function pssOf(reader: DerReader): Algorithm | undefined {
  const parameters = reader.sequence('RSASSA-PSS-params');
  reader.end('RSASSA-PSS-params');
  const hashOid = hashOf(new DerReader(parameters.read(0xa0, 'hashAlgorithm').content));
  const mask = new DerReader(parameters.read(0xa1, 'maskGenAlgorithm').content).sequence('maskGenAlgorithm');
  if (toHex(mask.read(DER_TAG.OID, 'maskGenAlgorithm').content) !== OID.mgf1) return undefined;
  const maskHashOid = hashOf(mask);
  const salt = new DerReader(parameters.read(0xa2, 'saltLength').content);
  const saltBytes = unsignedOf(salt.read(DER_TAG.INTEGER, 'saltLength'), 1)?.[0];
  const trailer = parameters.optional(0xa3, 'trailerField');
  parameters.end('RSASSA-PSS-params');
  if (trailer !== undefined && toHex(trailer.content) !== '020101') return undefined;
  const hash = PSS_HASHES.get(hashOid);
  if (hash === undefined || maskHashOid !== hashOid || saltBytes !== hash.bytes) return undefined;
  return { kind: 'pss', hash: hash.hash, saltBytes };
}

function hashOf(reader: DerReader): string {
  const algorithm = reader.sequence('hashAlgorithm');
  reader.end('hashAlgorithm');
  const oid = toHex(algorithm.read(DER_TAG.OID, 'hashAlgorithm').content);
  algorithm.optional(DER_TAG.NULL, 'parameters');
  algorithm.end('hashAlgorithm');
  return oid;
}
