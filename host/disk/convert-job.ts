// What a conversion and its worker threads say to each other.
import type { ImageFormat } from '@ringwall/disk';
import type { FailedWith } from './failed-with.ts';

export interface ConvertInputs {
  /** The image, by a descriptor that the conversion holds open: a path could lead elsewhere by now. */
  readonly image: number;
  readonly format: ImageFormat | undefined;
  /** Descriptors of the other files that the image names, by those names. */
  readonly files: ReadonlyMap<string, number>;
}

export interface ConvertJob extends ConvertInputs {
  readonly output: number;
  /** One number: the next chunk that nobody has taken. */
  readonly next: SharedArrayBuffer;
}

export type ConvertMessage =
  | {
      readonly kind: 'written';
      readonly bytes: number;
      /** Time of a processor that the thread took for them; 0 of the first. */
      readonly cpuMs: number;
    }
  | { readonly kind: 'failed'; readonly error: FailedWith };

/** What a thread takes at once: enough that taking costs nothing, little enough that all end together. */
export const CHUNK_BYTES: number = 8 * 2 ** 20;
