// What a reading back and its worker threads say to each other.
import type { FailedWith } from './failed-with.ts';

export interface ReadBackJob {
  readonly path: string;
  readonly key: Uint8Array;
  readonly sizeBytes: number;
  readonly chunkBytes: number;
  readonly digests: Uint8Array;
  /** One number: the next chunk that nobody has taken. */
  readonly next: SharedArrayBuffer;
}

export type ReadBackMessage =
  | { readonly kind: 'read'; readonly bytes: number }
  | { readonly kind: 'differs'; readonly offset: number }
  | { readonly kind: 'failed'; readonly error: FailedWith };
