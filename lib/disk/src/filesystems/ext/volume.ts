// Blocks, group descriptors and inode bytes of an ext file system: where each lies and whether its checksum holds (Linux
// Documentation/filesystems/ext4, "Block Group Descriptors"). The descriptor table is read where it is needed, never whole.
import { BoundedMap, ParseError } from '@ringwall/bytes';
import { CRC_START, crc16, crc32c, crc32cOfNumber } from '../../checksum/crc.ts';
import type { ByteSource } from '../../source/byte-source.ts';
import { INCOMPAT, RO_COMPAT, COMPAT } from './features.ts';
import type { ExtGeometry } from './superblock.ts';

/** Metadata blocks that are kept; of 64 KiB at most, so 16 MiB. */
const CACHED_BLOCKS = 256;
/** Group descriptors that are kept. */
const CACHED_GROUPS = 1024;

const DESCRIPTOR_CHECKSUM_AT = 0x1e;
const INODE_UNINIT = 0x1;
const BLOCK_UNINIT = 0x2;

export interface ExtGroup {
  readonly blockBitmap: number;
  readonly inodeBitmap: number;
  readonly inodeTable: number;
  /** The inode table was never written: every inode of it is free. */
  readonly inodesUninitialised: boolean;
  /** The block bitmap was never written: only the group's own metadata is in use. */
  readonly blocksUninitialised: boolean;
}

export class ExtVolume {
  readonly source: ByteSource;
  readonly geometry: ExtGeometry;
  readonly #blocks = new BoundedMap<number, Uint8Array>(CACHED_BLOCKS);
  readonly #groups = new BoundedMap<number, ExtGroup>(CACHED_GROUPS);

  constructor(source: ByteSource, geometry: ExtGeometry) {
    this.source = source;
    this.geometry = geometry;
  }

  /** Refuses a run of blocks that is not whole within the file system; `offset` is where the reference lies. */
  checkBlocks(start: number, count: number, field: string, offset: number): void {
    const { blocks, firstDataBlock } = this.geometry;
    if (start < firstDataBlock || start === 0 || start + count > blocks) {
      const detail = `${start} with ${count} blocks, expected blocks ${Math.max(firstDataBlock, 1)} to ${blocks - 1}`;
      throw new ParseError('invalid', field, offset, detail);
    }
  }

  offsetOf(block: number): number {
    return block * this.geometry.blockBytes;
  }

  /** A block of metadata, which was checked to be within the file system. It is kept, and must not be changed. */
  block(number: number): Uint8Array {
    const kept = this.#blocks.get(number);
    if (kept !== undefined) return kept;
    const read = this.source.read(this.offsetOf(number), this.geometry.blockBytes);
    // A copy where it is part of something larger: a kept block must not keep a whole cluster alive.
    const block = read.length === read.buffer.byteLength ? read : new Uint8Array(read);
    this.#blocks.set(number, block);
    return block;
  }

  /** The descriptor of a group, checked; `number` is below the geometry's `groups`. */
  group(number: number): ExtGroup {
    const kept = this.#groups.get(number);
    if (kept !== undefined) return kept;
    const group = this.#readGroup(number);
    this.#groups.set(number, group);
    return group;
  }

  /** Where inode `number` lies, in bytes from the start of the file system. */
  inodeOffset(number: number): number {
    const { inodes, inodesPerGroup, inodeBytes } = this.geometry;
    if (number < 1 || number > inodes) {
      throw new ParseError('invalid', 'inode', 0, `${number}, expected 1 to ${inodes}`);
    }
    const group = this.group(Math.floor((number - 1) / inodesPerGroup));
    return this.offsetOf(group.inodeTable) + ((number - 1) % inodesPerGroup) * inodeBytes;
  }

  /** The bytes of inode `number`, not to be changed. */
  inodeBytes(number: number): Uint8Array {
    const { blockBytes, inodeBytes } = this.geometry;
    const offset = this.inodeOffset(number);
    const block = this.block(Math.floor(offset / blockBytes));
    const start = offset % blockBytes;
    return block.subarray(start, start + inodeBytes);
  }

  #readGroup(number: number): ExtGroup {
    const { geometry } = this;
    const perBlock = geometry.blockBytes / geometry.descriptorBytes;
    const block = this.#descriptorBlock(Math.floor(number / perBlock), perBlock);
    this.checkBlocks(block, 1, 'group descriptor block', 0);
    const at = (number % perBlock) * geometry.descriptorBytes;
    const bytes = this.block(block).subarray(at, at + geometry.descriptorBytes);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const offset = this.offsetOf(block) + at;
    this.#verifyGroup(number, bytes, view, offset);

    const wide = geometry.descriptorBytes >= 64;
    const place = (low: number, high: number, count: number, field: string): number => {
      const start = view.getUint32(low, true) + (wide ? view.getUint32(high, true) * 2 ** 32 : 0);
      this.checkBlocks(start, count, `${field} of group ${number}`, offset + low);
      return start;
    };
    const flags = view.getUint16(0x12, true);
    const tableBlocks = Math.ceil((geometry.inodesPerGroup * geometry.inodeBytes) / geometry.blockBytes);
    return {
      blockBitmap: place(0, 0x20, 1, 'bg_block_bitmap'),
      inodeBitmap: place(4, 0x24, 1, 'bg_inode_bitmap'),
      inodeTable: place(8, 0x28, tableBlocks, 'bg_inode_table'),
      inodesUninitialised: (flags & INODE_UNINIT) !== 0,
      blocksUninitialised: (flags & BLOCK_UNINIT) !== 0,
    };
  }

  /** Where block `index` of the descriptor table lies: after the superblock, or with meta_bg in the first group it is for. */
  #descriptorBlock(index: number, perBlock: number): number {
    const { geometry } = this;
    const superblockBlock = geometry.blockBytes === 1024 ? 1 : 0;
    if (index < geometry.firstMetaBlockGroup) return superblockBlock + 1 + index;
    const group = index * perBlock;
    let skipped = hasSuperblock(geometry, group) ? 1 : 0;
    if (geometry.blockBytes === 1024 && index === 0 && geometry.firstDataBlock === 0) skipped += 1;
    return geometry.firstDataBlock + group * geometry.blocksPerGroup + skipped;
  }

  #verifyGroup(number: number, bytes: Uint8Array, view: DataView, offset: number): void {
    const expected = descriptorChecksum(this.geometry, number, bytes);
    const stored = view.getUint16(DESCRIPTOR_CHECKSUM_AT, true);
    if (expected === undefined || stored === expected) return;
    const detail = `0x${stored.toString(16)} of group ${number}, expected 0x${expected.toString(16)}`;
    throw new ParseError('invalid', 'bg_checksum', offset + DESCRIPTOR_CHECKSUM_AT, detail);
  }
}

/** Whether a copy of the superblock begins a group. */
export function hasSuperblock(geometry: ExtGeometry, group: number): boolean {
  if (group === 0) return true;
  if (geometry.compat & COMPAT.sparse_super2) return geometry.backupGroups.includes(group);
  if (group === 1 || !(geometry.roCompat & RO_COMPAT.sparse_super)) return true;
  return [3, 5, 7].some((base) => isPowerOf(group, base));
}

function descriptorChecksum(geometry: ExtGeometry, number: number, bytes: Uint8Array): number | undefined {
  const after = DESCRIPTOR_CHECKSUM_AT + 2;
  if (geometry.checksumSeed !== undefined) {
    const head = crc32c(crc32cOfNumber(geometry.checksumSeed, number), bytes, 0, DESCRIPTOR_CHECKSUM_AT);
    return crc32c(crc32c(head, Uint8Array.of(0, 0)), bytes, after) & 0xffff;
  }
  if (!(geometry.roCompat & RO_COMPAT.gdt_csum)) return undefined;
  const group = Uint8Array.of(number, number >>> 8, number >>> 16, number >>> 24);
  const head = crc16(crc16(crc16(CRC_START & 0xffff, geometry.uuid), group), bytes, 0, DESCRIPTOR_CHECKSUM_AT);
  return geometry.incompat & INCOMPAT['64bit'] ? crc16(head, bytes, after) : head;
}

function isPowerOf(value: number, base: number): boolean {
  let power = base;
  while (power < value) power *= base;
  return power === value;
}
