// What the reading of layers and its worker threads say to each other.

/** One layer. */
export interface LayerJob {
  readonly kind: 'job';
  /** A part of a file that the main thread holds open; undefined where chunks will be sent. */
  readonly file: { readonly descriptor: number; readonly offset: number } | undefined;
  readonly bytes: number;
  /** Of the bytes as they are, and unpacked; '' where it is not known. */
  readonly digest: string;
  readonly diffId: string;
}

/** To the thread. An empty chunk is the end. */
export type ToLayerThread =
  | LayerJob
  | { readonly kind: 'chunk'; readonly chunk: Uint8Array }
  | { readonly kind: 'broken'; readonly message: string };

export type FromLayerThread =
  /** It has room for a chunk. */
  | { readonly kind: 'more' }
  /** `record` as `encodeLayer` has it. */
  | { readonly kind: 'done'; readonly record: string; readonly unpackedBytes: number }
  /** `code` of OciError, or '' for an error of this machine. */
  | { readonly kind: 'failed'; readonly code: string; readonly message: string };
