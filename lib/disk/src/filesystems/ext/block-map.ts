// The older map from a file's blocks to the disk's: 12 direct numbers, then one, two and three levels of indirect blocks
// (Linux Documentation/filesystems/ext4, "Direct/Indirect Block Addressing"). Levels are counted down, so no loop can form.
import { I_BLOCK_AT, type ExtInode } from './inode.ts';
import type { BlockRun } from './block-run.ts';
import type { ExtVolume } from './volume.ts';

const DIRECT_BLOCKS = 12;
const LEVELS = 3;

/** The lookup of `inode`: the run that contains a block of the file. */
export function blockMapOf(volume: ExtVolume, inode: ExtInode): (block: number) => BlockRun {
  const perBlock = volume.geometry.blockBytes / 4;
  const root = inode.bytes.subarray(I_BLOCK_AT, I_BLOCK_AT + (DIRECT_BLOCKS + LEVELS) * 4);

  return (block) => {
    if (block < DIRECT_BLOCKS) return runIn(volume, root, inode.offset + I_BLOCK_AT, 0, block, DIRECT_BLOCKS);
    let first = DIRECT_BLOCKS;
    let covered = perBlock;
    for (let level = 0; level < LEVELS; level += 1) {
      if (block < first + covered) {
        const at = (DIRECT_BLOCKS + level) * 4;
        const pointer = viewOf(root).getUint32(at, true);
        return descend(volume, pointer, inode.offset + I_BLOCK_AT + at, first, covered, block);
      }
      first += covered;
      covered *= perBlock;
    }
    return { first: block, length: 2 ** 32 - block, start: undefined };
  };
}

/** Follows `pointer`, which covers the blocks from `first` on, down to the numbers of `block` and what follows it. */
function descend(
  volume: ExtVolume,
  pointer: number,
  pointerOffset: number,
  first: number,
  covered: number,
  block: number,
): BlockRun {
  const perBlock = volume.geometry.blockBytes / 4;
  let from = pointer;
  let fromOffset = pointerOffset;
  let start = first;
  let span = covered;
  while (from !== 0) {
    volume.checkBlocks(from, 1, 'indirect block', fromOffset);
    const numbers = volume.block(from);
    span /= perBlock;
    if (span === 1) return runIn(volume, numbers, volume.offsetOf(from), start, block, perBlock);
    const index = Math.floor((block - start) / span);
    start += index * span;
    fromOffset = volume.offsetOf(from) + index * 4;
    from = viewOf(numbers).getUint32(index * 4, true);
  }
  return { first: start, length: span, start: undefined };
}

/** The longest run from `block` on in `count` numbers that begin with the one of block `first`. */
function runIn(
  volume: ExtVolume,
  numbers: Uint8Array,
  offset: number,
  first: number,
  block: number,
  count: number,
): BlockRun {
  const view = viewOf(numbers);
  const index = block - first;
  const start = view.getUint32(index * 4, true);
  let length = 1;
  while (index + length < count) {
    const next = view.getUint32((index + length) * 4, true);
    if (start === 0 ? next !== 0 : next !== start + length) break;
    length += 1;
  }
  if (start === 0) return { first: block, length, start: undefined };
  volume.checkBlocks(start, length, 'block number', offset + index * 4);
  return { first: block, length, start };
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
