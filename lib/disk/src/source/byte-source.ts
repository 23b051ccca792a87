// Bytes at offsets: the one interface from the file that holds an image, through its format, partitions and encryption,
// down to a file inside. Reads are synchronous: the parsers stay plain functions, a read of a few bytes costs no turn of an
// event loop, and whoever wants more than one core gives each worker a source of its own (a browser's worker has
// FileReaderSync).
import { ParseError } from '@ringwall/bytes';

/** A run of bytes. */
export interface Extent {
  readonly offset: number;
  readonly length: number;
}

export interface ByteSource {
  /** Bytes, at most `Number.MAX_SAFE_INTEGER` (8 PiB); what is larger is refused where its size is read. */
  readonly size: number;
  /**
   * Exactly `length` bytes from `offset`; beyond `size` it throws `ParseError` (`truncated`). The result may be shared with a
   * cache or with the file itself: whoever wants to change it copies it.
   */
  read(offset: number, length: number): Uint8Array;
  /**
   * The same into `target`, which it fills: whoever reads much keeps one buffer. A source that gains nothing by it has no such
   * method; `readInto()` works with every one.
   */
  readInto?(offset: number, target: Uint8Array): void;
  /**
   * The next run at or after `offset` that may hold anything but zeros, undefined where only zeros follow. A source that
   * does not know has no such method; a run may be shorter than what truly follows, never empty.
   */
  nextData?(offset: number): Extent | undefined;
}

/** Fills `target` with the bytes of `source` from `offset` on. */
export function readInto(source: ByteSource, offset: number, target: Uint8Array): void {
  if (source.readInto === undefined) target.set(source.read(offset, target.length));
  else source.readInto(offset, target);
}

/** Bytes in memory as a source. */
export function memorySource(bytes: Uint8Array): ByteSource {
  return {
    size: bytes.length,
    read(offset, length) {
      checkRange(offset, length, bytes.length, 'read');
      return bytes.subarray(offset, offset + length);
    },
  };
}

/**
 * `length` bytes of `source` from `offset` on, as a source of their own. Throws `ParseError` (`truncated`) where the source
 * ends before; `field` names what said that it lies there.
 */
export function windowOf(source: ByteSource, offset: number, length: number, field: string): ByteSource {
  checkRange(offset, length, source.size, field);
  const window: ByteSource = {
    size: length,
    read(at, count) {
      checkRange(at, count, length, field);
      return source.read(offset + at, count);
    },
    readInto(at, target) {
      checkRange(at, target.length, length, field);
      readInto(source, offset + at, target);
    },
  };
  if (source.nextData === undefined) return window;
  return {
    ...window,
    nextData(at) {
      const data = dataWithin(source, offset + at, length - at);
      return data === undefined ? undefined : { offset: at + data.offset, length: data.length };
    },
  };
}

/**
 * The first run of `length` bytes of `source` from `offset` on that may hold anything but zeros, counted from `offset`;
 * undefined where there is none.
 */
export function dataWithin(source: ByteSource, offset: number, length: number): Extent | undefined {
  if (length <= 0) return undefined;
  if (source.nextData === undefined) return { offset: 0, length };
  const run = source.nextData(offset);
  if (run === undefined || run.offset >= offset + length) return undefined;
  const start = Math.max(run.offset - offset, 0);
  return { offset: start, length: Math.min(run.offset + run.length - offset, length) - start };
}

/** Refuses a run that is not whole within `size` bytes. */
export function checkRange(offset: number, length: number, size: number, field: string): void {
  if (!Number.isSafeInteger(offset) || offset < 0 || !Number.isSafeInteger(length) || length < 0) {
    throw new ParseError('invalid', field, 0, `${length} bytes at ${offset}, expected whole numbers of at least 0`);
  }
  if (length > size - offset) {
    throw new ParseError('truncated', field, offset, `needs ${length} bytes at ${offset}, expected at most ${size}`);
  }
}
