// The contents of an ext inode as bytes: through its map of blocks, or out of the inode itself (Linux
// Documentation/filesystems/ext4, "Inline Data").
import { concatBytes } from '@ringwall/bytes';
import { memorySource, type ByteSource } from '../../source/byte-source.ts';
import { mappedSource } from '../mapped-source.ts';
import { sourceOfRuns } from '../run-source.ts';
import { inlineValue } from './attribute-entries.ts';
import { blockMapOf } from './block-map.ts';
import type { BlockRun } from './block-run.ts';
import { extentsOf } from './extents.ts';
import { INODE_FLAGS } from './features.ts';
import { I_BLOCK_AT, I_BLOCK_BYTES, type ExtInode } from './inode.ts';
import type { ExtVolume } from './volume.ts';

export function contentsOf(volume: ExtVolume, inode: ExtInode): ByteSource {
  const field = `contents of inode ${inode.number}`;
  if (inode.flags & INODE_FLAGS.inline_data) {
    const bytes = inlineBytes(inode);
    // mke2fs leaves files of zeros so, whatever their size: what the inode does not hold is a hole, to a kernel as well.
    return sourceOfRuns(memorySource(bytes), [{ at: 0, length: bytes.length, from: 0 }], inode.size, field);
  }
  const blockAt = blockLookup(volume, inode);
  const { blockBytes } = volume.geometry;
  return mappedSource(
    volume.source,
    inode.size,
    (offset) => {
      const run = blockAt(Math.floor(offset / blockBytes));
      const from = run.start === undefined ? undefined : run.start * blockBytes;
      return { at: run.first * blockBytes, length: run.length * blockBytes, from };
    },
    field,
  );
}

/** Where blocks of the file lie on disk, by whichever map the inode has. */
export function blockLookup(volume: ExtVolume, inode: ExtInode): (block: number) => BlockRun {
  return inode.flags & INODE_FLAGS.extents ? extentsOf(volume, inode) : blockMapOf(volume, inode);
}

/** What lies in the inode: i_block, then the attribute `system.data`. */
export function inlineBytes(inode: ExtInode): Uint8Array {
  const first = inode.bytes.subarray(I_BLOCK_AT, I_BLOCK_AT + I_BLOCK_BYTES);
  return inode.size > I_BLOCK_BYTES ? concatBytes(first, inlineValue(inode)) : first;
}
