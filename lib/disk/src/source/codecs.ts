// Decompressors are passed in: Node, Bun and browsers each have their own, and the native ones are many times faster than
// any in JavaScript. Whoever opens an image without compressed parts needs none.

/**
 * One compressed block to its bytes, in memory of their own, which the reader gives back. It stops at `maxBytes` and throws, so that
 * a bomb costs no more memory than the format allows for a block; bytes after the compressed stream's own end are passed over,
 * because formats pad blocks to sectors.
 */
export type Decompress = (block: Uint8Array, maxBytes: number) => Uint8Array;

/** Each is asked for only where an image uses it; a missing one is `DiskError` (`needs-codec`) at that moment. */
export interface Codecs {
  /** RFC 1951, without a header: QCOW2. */
  readonly deflateRaw?: Decompress;
  /** RFC 1950: VMDK, QCOW2's older writers, squashfs. */
  readonly zlib?: Decompress;
  /** RFC 8878. */
  readonly zstd?: Decompress;
  /** The .xz container: squashfs. */
  readonly xz?: Decompress;
  /** The legacy .lzma container. */
  readonly lzma?: Decompress;
  /** LZ4 block format, without a frame: squashfs, erofs. */
  readonly lz4?: Decompress;
  /** LZO1X: squashfs. */
  readonly lzo?: Decompress;
}
