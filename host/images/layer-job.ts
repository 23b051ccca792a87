// What the reading of layers and its worker threads say to each other.
import type { LayerColumns, Sample } from '@ringwall/oci';
import type { Looked } from '../malware/index.ts';

/** One layer. */
export interface LayerJob {
  readonly kind: 'job';
  /** A part of a file that the main thread holds open; undefined where chunks will be sent. */
  readonly file: { readonly descriptor: number; readonly offset: number } | undefined;
  readonly bytes: number;
  /** Of the bytes as they are, and unpacked; '' where it is not known. */
  readonly digest: string;
  readonly diffId: string;
  /** How many bytes of samples are sent at a time; 0 where nobody looks at them. */
  readonly batchBytes: number;
  /** Of the image that it is of (shared-budget.ts). */
  readonly budget: SharedArrayBuffer;
}

/** To the thread. An empty chunk is the end. */
export type ToLayerThread =
  | LayerJob
  | { readonly kind: 'chunk'; readonly chunk: Uint8Array }
  /** What was said of the samples that it sent: the next may come. */
  | { readonly kind: 'looked'; readonly looked: Looked }
  | { readonly kind: 'broken'; readonly message: string };

export type FromLayerThread =
  /** It has room for a chunk. */
  | { readonly kind: 'more' }
  | { readonly kind: 'samples'; readonly samples: readonly Sample[] }
  /** `isLasting`: of what was said of its samples. */
  | { readonly kind: 'done'; readonly columns: LayerColumns; readonly isLasting: boolean }
  /** `code` of OciError, or '' for an error of this machine. */
  | { readonly kind: 'failed'; readonly code: string; readonly message: string };
