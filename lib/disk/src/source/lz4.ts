// LZ4 block format (lz4_Block_format.md, version 1.6.3), without a frame: squashfs and erofs use it, and no platform brings a
// decoder for it.
import { ParseError } from '@ringwall/bytes';

/** A match is at least this long (section "Matchlength"). */
const MIN_MATCH_BYTES = 4;

/** Shorter copies are faster byte by byte than by a call. */
const SHORT_COPY_BYTES = 16;

/** All of `block`, a whole compressed block. Refuses what unpacks to more than `maxBytes`. */
export function decompressLz4(block: Uint8Array, maxBytes: number): Uint8Array<ArrayBuffer> {
  const output = new Uint8Array(maxBytes);
  return output.subarray(0, decode(block, output, false));
}

/**
 * The first `bytes` bytes of what `block` unpacks to: formats that pad a block behind its end, or that point into the middle
 * of one, say how much they want of it. Refuses a block that holds less.
 */
export function decompressLz4Prefix(block: Uint8Array, bytes: number): Uint8Array<ArrayBuffer> {
  const output = new Uint8Array(bytes);
  const length = decode(block, output, true);
  if (length < bytes)
    throw new ParseError('truncated', 'lz4 block', length, `unpacks to ${length} bytes, expected ${bytes}`);
  return output;
}

/** Bytes written to `output`. With `prefix`, stops where `output` is full. */
function decode(block: Uint8Array, output: Uint8Array, prefix: boolean): number {
  let at = 0;
  let written = 0;
  /** A length of 15 goes on in bytes of 255 each, until one that is less. */
  const lengthFrom = (nibble: number): number => {
    let length = nibble;
    if (nibble !== 15) return length;
    for (;;) {
      const more = block[at];
      if (more === undefined) throw new ParseError('truncated', 'lz4 length', at, 'ends inside a length');
      at += 1;
      length += more;
      if (more !== 255) return length;
    }
  };

  for (;;) {
    const token = block[at];
    if (token === undefined) {
      // With room left, the caller says what too little means; else the last sequence must have ended the block.
      if (prefix) return written;
      throw new ParseError('truncated', 'lz4 token', at, 'ends before its last literals');
    }
    at += 1;

    const literals = lengthFrom(token >> 4);
    if (literals > block.length - at) {
      throw new ParseError(
        'truncated',
        'lz4 literals',
        at,
        `need ${literals} bytes, expected at most ${block.length - at}`,
      );
    }
    const room = output.length - written;
    if (literals > room) {
      if (!prefix) throw tooLong(at, output.length);
      output.set(block.subarray(at, at + room), written);
      return output.length;
    }
    if (literals > SHORT_COPY_BYTES) output.set(block.subarray(at, at + literals), written);
    else for (let index = 0; index < literals; index += 1) output[written + index] = block[at + index] ?? 0;
    at += literals;
    written += literals;
    if (prefix ? written === output.length : at === block.length) return written;

    const low = block[at];
    const high = block[at + 1];
    if (low === undefined || high === undefined) {
      if (prefix && low === undefined) return written;
      throw new ParseError('truncated', 'lz4 offset', at, 'ends inside a match offset');
    }
    at += 2;
    const distance = low | (high << 8);
    if (distance === 0 || distance > written) {
      throw new ParseError('invalid', 'lz4 offset', at - 2, `${distance}, expected 1..${written}`);
    }
    let match = lengthFrom(token & 15) + MIN_MATCH_BYTES;
    if (match > output.length - written) {
      if (!prefix) throw tooLong(at, output.length);
      match = output.length - written;
    }
    copyMatch(output, written, distance, match);
    written += match;
    if (prefix && written === output.length) return written;
  }
}

/** Copies what lies `distance` back; the copy may reach into what it is writing, and then repeats it. */
function copyMatch(output: Uint8Array, to: number, distance: number, length: number): void {
  const from = to - distance;
  if (length > SHORT_COPY_BYTES && distance >= length) {
    output.copyWithin(to, from, from + length);
  } else if (length > SHORT_COPY_BYTES && distance === 1) {
    output.fill(output[from] ?? 0, to, to + length);
  } else {
    for (let index = 0; index < length; index += 1) output[to + index] = output[from + index] ?? 0;
  }
}

function tooLong(at: number, maxBytes: number): ParseError {
  return new ParseError('limit', 'lz4 block', at, `unpacks to more than ${maxBytes} bytes`);
}
