// The public names of @ringwall/seal.

export type { ByteStream } from './byte-reader.ts';
export { idOf, KEY_BYTES, MAX_RECIPIENTS, type Opener, type Recipient } from './envelope.ts';
export {
  makeKeyPair,
  openWith,
  publicKeyOf,
  sealTo,
  X25519_KEY_BYTES,
  type HpkeContext,
  type KeyPair,
} from './hpke.ts';
export {
  CIPHERS,
  DEFAULT_CHUNK_BYTES,
  MAX_CHUNK_BYTES,
  MIN_CHUNK_BYTES,
  type Cipher,
  type Compression,
  type JsonValue,
  type Manifest,
  type Parent,
  type Part,
} from './manifest.ts';
export type { Digest } from './merkle-tree.ts';
export type { ObjectOptions } from './object-head.ts';
export { openSealed, type OpenedObject, type OpenOptions, type Piece } from './opening.ts';
export { PAGE_BYTES, type IsKept } from './pages.ts';
export { readObjectHead, rewrap, type ObjectHead, type Rewrapped } from './rewrap.ts';
export { scrub, type Damage, type ScrubReport } from './scrub.ts';
export { SEAL_ERROR_CODES, SealError, type SealErrorCode } from './seal-error.ts';
export { sealStream, type SealedSummary, type SealOptions } from './sealing.ts';
