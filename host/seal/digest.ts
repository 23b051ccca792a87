// BLAKE3 with the processor's own vectors, where the reference implementation is there (its authors' crate, as the npm package
// @napi-rs/blake-hash has it built): four times as fast as the one of @ringwall/seal, which is taken on other platforms.
import { createRequire } from 'node:module';
import type { Digest } from '@ringwall/seal';
import { Blake3 } from '@ringwall/seal/engine';

/** Keeps its memory; one for each thread. */
export interface Digester {
  /** Bytes at the caller's disposal, in which a digest is made without a copy. */
  readonly memory: Uint8Array<ArrayBuffer>;
  readonly digest: Digest;
}

/** Beside a bundle or above a part of one (tools/build.ts), and among the packages of a checkout. */
const PLACES: readonly string[] = ['./blake3.node', '../blake3.node', '@napi-rs/blake-hash-linux-x64-gnu'];
/** Of no bytes: the first of the vectors that BLAKE3 is published with. */
const DIGEST_OF_NOTHING = 'af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262';

/** Undefined where there is none. */
export const nativeBlake3: Digest | undefined = loadNative(createRequire(import.meta.url));

/** Digests as text (base64url), of up to `most` bytes. */
export function makeTextDigester(most: number): (bytes: Uint8Array) => string {
  const { digest } = makeDigester(most, 0);
  return (bytes) => {
    const { buffer, byteOffset, byteLength } = digest(bytes);
    return Buffer.from(buffer, byteOffset, byteLength).toString('base64url');
  };
}

/** For digests of up to `most` bytes, with `own` bytes of memory. */
export function makeDigester(most: number, own: number): Digester {
  if (nativeBlake3 === undefined) return new Blake3(most, own);
  return { memory: new Uint8Array(own), digest: nativeBlake3 };
}

/** Undefined where it is not there, or is something else. */
export function loadNative(require: (name: string) => unknown): Digest | undefined {
  for (const place of PLACES) {
    try {
      const { blake3 }: { blake3?: unknown } = Object(require(place));
      if (isDigest(blake3)) return blake3;
    } catch {
      // Another platform, or one that was set up without it.
    }
  }
  return undefined;
}

function isDigest(blake3: unknown): blake3 is Digest {
  if (typeof blake3 !== 'function') return false;
  const digest: unknown = blake3(new Uint8Array());
  return digest instanceof Uint8Array && Buffer.from(digest).toString('hex') === DIGEST_OF_NOTHING;
}
