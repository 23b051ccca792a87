// Hash algorithms: the TPM's numbers, our names, and the digests that WebCrypto can make.

import { unshared } from '@ringwall/bytes';
import { TPM_ALG } from './constants.ts';
import { Sha256, SHA256_BYTES } from './sha256.ts';
import { TpmError } from './tpm-error.ts';

/** The hash algorithms that a log may name. */
export type HashName = 'sha1' | 'sha256' | 'sha384' | 'sha512' | 'sm3_256' | 'sha3_256' | 'sha3_384' | 'sha3_512';

/** Those that WebCrypto computes in every browser. SHA-1 is here for old logs; no policy of ours accepts it. */
export type ComputableHash = 'sha1' | 'sha256' | 'sha384' | 'sha512';

interface HashAlgorithm {
  readonly name: HashName;
  readonly bytes: number;
}

const SYNCHRONOUS_LIMIT_BYTES = 2048;
const SHA256 = new Sha256();
const INPUT = new Uint8Array(SYNCHRONOUS_LIMIT_BYTES);
const INPUT_VIEW = new DataView(INPUT.buffer);
const OUTPUT = new Uint8Array(SHA256_BYTES);
const OUTPUT_VIEW = new DataView(OUTPUT.buffer);

/** TPM_ALG_ID, Part 2 table 9, by number. */
const HASHES: ReadonlyMap<number, HashAlgorithm> = new Map<number, HashAlgorithm>([
  [TPM_ALG.SHA1, { name: 'sha1', bytes: 20 }],
  [TPM_ALG.SHA256, { name: 'sha256', bytes: 32 }],
  [TPM_ALG.SHA384, { name: 'sha384', bytes: 48 }],
  [TPM_ALG.SHA512, { name: 'sha512', bytes: 64 }],
  [TPM_ALG.SM3_256, { name: 'sm3_256', bytes: 32 }],
  [TPM_ALG.SHA3_256, { name: 'sha3_256', bytes: 32 }],
  [TPM_ALG.SHA3_384, { name: 'sha3_384', bytes: 48 }],
  [TPM_ALG.SHA3_512, { name: 'sha3_512', bytes: 64 }],
]);

const DIGEST_BYTES: Readonly<Record<ComputableHash, number>> = { sha1: 20, sha256: 32, sha384: 48, sha512: 64 };

const WEBCRYPTO_NAMES: Readonly<Record<ComputableHash, string>> = {
  sha1: 'SHA-1',
  sha256: 'SHA-256',
  sha384: 'SHA-384',
  sha512: 'SHA-512',
};

/** Name and digest size of a TPM_ALG_ID, or undefined where it is no hash that this library knows. */
export function hashAlgorithm(algorithmId: number): HashAlgorithm | undefined {
  return HASHES.get(algorithmId);
}

/** Bytes of a digest. */
export function hashBytes(hash: ComputableHash): number {
  return DIGEST_BYTES[hash];
}

/** The name for a TPM_ALG_ID whose digests can be computed here, else a `TpmError`. */
export function computableHash(algorithmId: number): ComputableHash {
  const name = HASHES.get(algorithmId)?.name;
  if (name !== undefined && isComputable(name)) return name;
  throw new TpmError('unsupported', `hash algorithm 0x${algorithmId.toString(16)}, expected SHA-1 or SHA-2`);
}

export function isComputable(name: string): name is ComputableHash {
  return Object.hasOwn(WEBCRYPTO_NAMES, name);
}

export function webCryptoHash(hash: ComputableHash): string {
  return WEBCRYPTO_NAMES[hash];
}

/**
 * WebCrypto is asked only where it is worth its price: it works on another thread, and going there and back costs some
 * 40 µs of processor time, in which the synchronous digest has done two KiB.
 */
export async function digest(hash: ComputableHash, bytes: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
  if (hash === 'sha256' && bytes.length <= SYNCHRONOUS_LIMIT_BYTES) return sha256(bytes);
  return new Uint8Array(await crypto.subtle.digest(WEBCRYPTO_NAMES[hash], unshared(bytes)));
}

/** At once. For short inputs: `digest` is faster for long ones, and does not hold up the thread. */
export function sha256(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  if (bytes.length > INPUT.length) {
    const whole = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    SHA256.digest(whole, 0, bytes.length, OUTPUT_VIEW, 0);
  } else {
    // A view of its own for each input would cost as much as the digest.
    INPUT.set(bytes);
    SHA256.digest(INPUT_VIEW, 0, bytes.length, OUTPUT_VIEW, 0);
  }
  return OUTPUT.slice();
}

export async function hmac(hash: ComputableHash, key: Uint8Array, bytes: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
  const algorithm = { name: 'HMAC', hash: WEBCRYPTO_NAMES[hash] };
  const cryptoKey = await crypto.subtle.importKey('raw', unshared(key), algorithm, false, ['sign']);
  return new Uint8Array(await crypto.subtle.sign('HMAC', cryptoKey, unshared(bytes)));
}
