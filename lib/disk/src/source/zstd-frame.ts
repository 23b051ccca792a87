// The extent of one Zstandard frame (RFC 8878, section 3.1.1). Formats pad compressed blocks with whatever comes next, and
// decoders take that for a second frame; and a frame may ask for a window of any size before its first byte of content.
import { Cursor } from '@ringwall/bytes';

const MAGIC = 0xfd2fb528;
/** What every decoder should have (section 3.1.1.1.2); more is memory for nothing where blocks are 2 MiB at most. */
const MAX_WINDOW_BYTES = 8 * 2 ** 20;
const RLE_BLOCK = 1;
const RESERVED_BLOCK = 3;

/** The first frame in `block`, without what follows. `offset` is where the block lies in the image. */
export function zstdFrame(block: Uint8Array, offset: number): Uint8Array {
  const cursor = new Cursor(block, offset);
  const magic = cursor.u32le('zstd magic');
  if (magic !== MAGIC) throw cursor.error('invalid', 'zstd magic', `0x${magic.toString(16)}, expected 0xfd2fb528`);
  const descriptor = cursor.u8('zstd frame descriptor');
  const singleSegment = (descriptor & 0x20) !== 0;
  if (!singleSegment) {
    const window = cursor.u8('zstd window');
    const base = 2 ** (10 + (window >> 3));
    const bytes = base + (base / 8) * (window & 7);
    if (bytes > MAX_WINDOW_BYTES) {
      throw cursor.error('limit', 'zstd window', `${bytes} bytes, expected at most ${MAX_WINDOW_BYTES}`);
    }
  }
  cursor.skip([0, 1, 2, 4][descriptor & 3] ?? 0, 'zstd dictionary id');
  cursor.skip([singleSegment ? 1 : 0, 2, 4, 8][descriptor >> 6] ?? 0, 'zstd content size');
  for (let last = false; !last;) {
    const header = cursor.u16le('zstd block') | (cursor.u8('zstd block') << 16);
    const type = (header >> 1) & 3;
    if (type === RESERVED_BLOCK) throw cursor.error('invalid', 'zstd block', 'of type 3, expected 0, 1 or 2');
    cursor.skip(type === RLE_BLOCK ? 1 : header >> 3, 'zstd block');
    last = (header & 1) === 1;
  }
  cursor.skip((descriptor & 4) === 0 ? 0 : 4, 'zstd checksum');
  return block.subarray(0, cursor.offset - offset);
}
