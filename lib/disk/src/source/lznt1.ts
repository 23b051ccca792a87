// LZNT1, the compression of NTFS ([MS-XCA], section 2.5): chunks that each unpack to 4 KiB, without looking at one another.
import { ParseError } from '@ringwall/bytes';

const CHUNK_BYTES = 4096;

/** Chunk header: bit 15 for compressed, 3 in the bits below, then the bytes that follow, less one. */
const COMPRESSED = 0x8000;
const SIGNATURE_MASK = 0x7000;
const SIGNATURE = 0x3000;
const SIZE_MASK = 0x0fff;

const MIN_MATCH_BYTES = 3;

/** `bytes` bytes of what `block` unpacks to; what is missing behind its end is zero, as the format has it. */
export function decompressLznt1(block: Uint8Array, bytes: number): Uint8Array<ArrayBuffer> {
  const output = new Uint8Array(bytes);
  let at = 0;
  for (let chunk = 0; chunk < bytes && at + 2 <= block.length; chunk += CHUNK_BYTES) {
    const header = (block[at] ?? 0) | ((block[at + 1] ?? 0) << 8);
    if (header === 0) break;
    if ((header & SIGNATURE_MASK) !== SIGNATURE) {
      throw new ParseError(
        'invalid',
        'lznt1 chunk',
        at,
        `header 0x${header.toString(16)}, expected 3 in bits 12 to 14`,
      );
    }
    at += 2;
    const end = at + (header & SIZE_MASK) + 1;
    if (end > block.length)
      throw new ParseError('truncated', 'lznt1 chunk', at, `ends at ${end}, expected at most ${block.length}`);
    const room = output.subarray(chunk, chunk + CHUNK_BYTES);
    if ((header & COMPRESSED) === 0) room.set(block.subarray(at, Math.min(end, at + room.length)));
    else unpackChunk(block.subarray(at, end), room, at);
    at = end;
  }
  return output;
}

/** Flags in a byte for eight symbols each: a literal, or two bytes with distance and length. */
function unpackChunk(chunk: Uint8Array, room: Uint8Array, offset: number): void {
  let at = 0;
  let written = 0;
  while (at < chunk.length) {
    let flags = chunk[at] ?? 0;
    at += 1;
    for (let symbol = 0; symbol < 8 && at < chunk.length; symbol += 1, flags >>= 1) {
      if ((flags & 1) === 0) {
        if (written === room.length) throw tooLong(offset + at);
        room[written] = chunk[at] ?? 0;
        written += 1;
        at += 1;
        continue;
      }
      if (at + 2 > chunk.length) throw new ParseError('truncated', 'lznt1 match', offset + at, 'ends inside a match');
      const token = (chunk[at] ?? 0) | ((chunk[at + 1] ?? 0) << 8);
      // The further into the chunk, the more bits of the two bytes are distance.
      const lengthBits = 12 - distanceBits(written);
      const distance = (token >> lengthBits) + 1;
      const length = (token & (2 ** lengthBits - 1)) + MIN_MATCH_BYTES;
      if (distance > written) {
        throw new ParseError('invalid', 'lznt1 match', offset + at, `${distance} back, expected at most ${written}`);
      }
      if (written + length > room.length) throw tooLong(offset + at);
      for (let index = 0; index < length; index += 1) room[written + index] = room[written + index - distance] ?? 0;
      written += length;
      at += 2;
    }
  }
}

/** Bits beyond four that a distance needs at this place of a chunk. */
function distanceBits(written: number): number {
  return written <= 16 ? 0 : 28 - Math.clz32(written - 1);
}

function tooLong(at: number): ParseError {
  return new ParseError('limit', 'lznt1 chunk', at, `unpacks to more than ${CHUNK_BYTES} bytes`);
}
