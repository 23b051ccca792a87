// Contents of erofs files that are not compressed: in one piece, in one piece with the tail behind the inode, or in chunks.
import { ParseError } from '@ringwall/bytes';
import { DiskError } from '../../disk-error.ts';
import { checkRange, type ByteSource } from '../../source/byte-source.ts';
import { checkReadLength, sourceOfRuns } from '../run-source.ts';
import type { ErofsInode } from './inode.ts';
import type { ErofsSuperblock } from './superblock.ts';

/** Chunk format: size in bits beyond that of a block, and whether the table has indexes of 8 bytes or bare addresses of 4. */
const CHUNK_BITS = 0x1f;
const CHUNK_INDEXES = 0x20;
const HOLE = 0xffff_ffff;

/** Larger chunks than files can be (2^52) say nothing. */
const MAX_CHUNK_BITS = 48;

export function openFlat(source: ByteSource, { blockBytes }: ErofsSuperblock, inode: ErofsInode): ByteSource {
  const { size, union } = inode;
  const start = union * blockBytes;
  if (inode.layout === 'plain') return sourceOfRuns(source, [{ at: 0, length: size, from: start }], size, 'file');
  const tailAt = size === 0 ? 0 : (Math.ceil(size / blockBytes) - 1) * blockBytes;
  const tail = size - tailAt;
  if ((inode.tailStart % blockBytes) + tail > blockBytes) {
    throw new ParseError(
      'invalid',
      'i_size',
      inode.tailStart,
      `${size}: its tail of ${tail} bytes leaves the inode's block`,
    );
  }
  const runs = [
    { at: 0, length: tailAt, from: start },
    { at: tailAt, length: tail, from: inode.tailStart },
  ];
  return sourceOfRuns(source, runs, size, 'file');
}

export function openChunks(source: ByteSource, superblock: ErofsSuperblock, inode: ErofsInode): ByteSource {
  const { size } = inode;
  const format = inode.union & 0xffff;
  if ((format & ~(CHUNK_BITS | CHUNK_INDEXES)) !== 0) {
    throw new ParseError('unsupported', 'chunk format', inode.tailStart, `0x${format.toString(16)}, expected 0..0x3f`);
  }
  const chunkBits = superblock.blockBits + (format & CHUNK_BITS);
  if (chunkBits > MAX_CHUNK_BITS) {
    throw new ParseError(
      'limit',
      'chunk format',
      inode.tailStart,
      `2^${chunkBits} bytes, expected at most 2^${MAX_CHUNK_BITS}`,
    );
  }
  const chunkBytes = 2 ** chunkBits;
  const indexed = (format & CHUNK_INDEXES) !== 0;
  const entryBytes = indexed ? 8 : 4;
  const table = Math.ceil(inode.tailStart / entryBytes) * entryBytes;

  /** Where chunk `index` lies, undefined where it is a hole. */
  const placeOf = (index: number): number | undefined => {
    const entry = source.read(table + index * entryBytes, entryBytes);
    const view = new DataView(entry.buffer, entry.byteOffset, entryBytes);
    const block = view.getUint32(entryBytes - 4, true);
    if (block === HOLE) return undefined;
    const device = indexed && superblock.extraDevices > 0 ? view.getUint16(2, true) : 0;
    if (device !== 0) {
      throw new DiskError('reference', `device_id ${device}: a chunk of the file lies on another device`);
    }
    return block * superblock.blockBytes;
  };

  return {
    size,
    read(offset, length) {
      checkRange(offset, length, size, 'file');
      const first = Math.floor(offset / chunkBytes);
      const within = offset - first * chunkBytes;
      if (length > 0 && within + length <= chunkBytes) {
        const place = placeOf(first);
        if (place !== undefined) return source.read(place + within, length);
      }
      checkReadLength(length, 'file');
      const bytes = new Uint8Array(length);
      for (let at = 0; at < length;) {
        const index = Math.floor((offset + at) / chunkBytes);
        const start = offset + at - index * chunkBytes;
        const part = Math.min(chunkBytes - start, length - at);
        const place = placeOf(index);
        if (place !== undefined) bytes.set(source.read(place + start, part), at);
        at += part;
      }
      return bytes;
    },
    nextData(offset) {
      for (let index = Math.floor(offset / chunkBytes); index * chunkBytes < size; index += 1) {
        if (placeOf(index) === undefined) continue;
        const start = Math.max(offset, index * chunkBytes);
        return { offset: start, length: Math.min((index + 1) * chunkBytes, size) - start };
      }
      return undefined;
    },
  };
}
