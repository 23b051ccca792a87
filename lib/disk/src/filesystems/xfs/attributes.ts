// Extended attributes of XFS: in the inode, or in leafs of a fork of their own, with large values in blocks beside (XFS
// Algorithms & Data Structures, "Attribute Forks").
import { ParseError } from '@ringwall/bytes';
import { DiskError } from '../../disk-error.ts';
import { decodeFileName } from '../file-name.ts';
import { forkLookup, forkSource } from './fork.ts';
import type { XfsInode } from './inode.ts';
import type { XfsVolume } from './volume.ts';

const FLAG_LOCAL = 0x1;
const FLAG_ROOT = 0x2;
const FLAG_SECURE = 0x4;
const FLAG_PARENT = 0x8;
const FLAG_INCOMPLETE = 0x80;
const LEAF_MAGICS = { 4: 0xfbee, 5: 0x3bee } as const;
const NODE_MAGICS = { 4: 0xfebe, 5: 0x3ebe } as const;
const LEAF_ENTRIES_AT = { 4: 32, 5: 80 } as const;
const COUNT_AT = { 4: 12, 5: 56 } as const;
const NODE_ENTRIES_AT = { 4: 16, 5: 64 } as const;
const CHECKSUM_AT = 12;
const MAX_LEVELS = 5;
/** XATTR_SIZE_MAX of Linux. */
const MAX_VALUE_BYTES = 65_536;
/** All values of one inode, in bytes. */
const MAX_VALUES_BYTES = 16 * 2 ** 20;
const REMOTE_MAGIC = 0x5841524d;
const REMOTE_HEADER_BYTES = 56;

/** All attributes by their full name. */
export function attributesOf(volume: XfsVolume, inode: XfsInode): Map<string, Uint8Array> {
  const found = new Map<string, Uint8Array>();
  let total = 0;
  const add = (flags: number, name: Uint8Array, value: () => Uint8Array, bytes: number): void => {
    if (flags & (FLAG_PARENT | FLAG_INCOMPLETE)) return;
    total += bytes;
    if (total > MAX_VALUES_BYTES) {
      throw new DiskError(
        'limit',
        `attributes of inode ${inode.number}: more than ${MAX_VALUES_BYTES} bytes of values`,
      );
    }
    found.set(prefixOf(flags) + decodeFileName(name), new Uint8Array(value()));
  };
  const { format } = inode.attributes;
  if (format === 'local') shortAttributes(inode, add);
  else if (format !== 'none' && !(format === 'extents' && inode.attributes.extents === 0)) {
    leafAttributes(volume, inode, add);
  }
  return found;
}

type Add = (flags: number, name: Uint8Array, value: () => Uint8Array, bytes: number) => void;

function prefixOf(flags: number): string {
  if (flags & FLAG_ROOT) return 'trusted.';
  return flags & FLAG_SECURE ? 'security.' : 'user.';
}

function shortAttributes(inode: XfsInode, add: Add): void {
  const { bytes, offset } = inode.attributes;
  const count = bytes[2] ?? 0;
  let at = 4;
  for (let index = 0; index < count; index += 1) {
    const nameBytes = bytes[at] ?? 0;
    const valueBytes = bytes[at + 1] ?? 0;
    const end = at + 3 + nameBytes + valueBytes;
    if (end > bytes.length) {
      const detail = `of inode ${inode.number} ends at ${end}, expected at most ${bytes.length}`;
      throw new ParseError('truncated', 'short attribute', offset + at, detail);
    }
    const name = bytes.subarray(at + 3, at + 3 + nameBytes);
    const value = bytes.subarray(at + 3 + nameBytes, end);
    add(bytes[at + 2] ?? 0, name, () => value, value.length);
    at = end;
  }
}

/** Down to the first leaf, and from each leaf to the next. */
function leafAttributes(volume: XfsVolume, inode: XfsInode, add: Add): void {
  const { version, blocks } = volume.geometry;
  let block = 0;
  let levels = 0;
  const visited = new Set<number>();
  for (;;) {
    const { bytes, offset } = attributeBlock(volume, inode, block);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const magic = view.getUint16(8);
    if (visited.has(block) || visited.size > blocks) {
      throw new ParseError('invalid', 'attribute leaf', offset, `of inode ${inode.number} leads back to itself`);
    }
    visited.add(block);
    if (magic === NODE_MAGICS[version] && levels < MAX_LEVELS) {
      levels += 1;
      block = view.getUint32(NODE_ENTRIES_AT[version] + 4);
      continue;
    }
    if (magic !== LEAF_MAGICS[version]) {
      const detail = `0x${magic.toString(16)} in the attributes of inode ${inode.number}, expected a leaf`;
      throw new ParseError('invalid', 'attribute magic', offset + 8, detail);
    }
    readLeaf(volume, inode, bytes, offset, add);
    block = view.getUint32(0);
    if (block === 0) return;
  }
}

function attributeBlock(volume: XfsVolume, inode: XfsInode, block: number): { bytes: Uint8Array; offset: number } {
  const run = forkLookup(volume, inode, inode.attributes)(block);
  if (run.place === undefined) {
    throw new ParseError(
      'invalid',
      'attribute block',
      inode.attributes.offset,
      `${block} of inode ${inode.number} is a hole`,
    );
  }
  const place = run.place + (block - run.first);
  const offset = place * volume.geometry.blockBytes;
  const bytes = volume.block(place);
  volume.verify(bytes, CHECKSUM_AT, `checksum of attributes of inode ${inode.number}`, offset);
  return { bytes, offset };
}

function readLeaf(volume: XfsVolume, inode: XfsInode, bytes: Uint8Array, offset: number, add: Add): void {
  const { version } = volume.geometry;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const need = (at: number, count: number, field: string): void => {
    if (at + count <= bytes.length) return;
    throw new ParseError('invalid', field, offset + at, `of inode ${inode.number} goes beyond its block`);
  };
  const count = view.getUint16(COUNT_AT[version]);
  for (let index = 0; index < count; index += 1) {
    const at = LEAF_ENTRIES_AT[version] + index * 8;
    need(at, 8, 'attribute entry');
    const flags = view.getUint8(at + 6);
    const from = view.getUint16(at + 4);
    need(from, 9, 'nameidx');
    if (flags & FLAG_LOCAL) {
      const valueBytes = view.getUint16(from);
      const nameEnd = from + 3 + view.getUint8(from + 2);
      need(nameEnd, valueBytes, 'valuelen');
      const value = bytes.subarray(nameEnd, nameEnd + valueBytes);
      add(flags, bytes.subarray(from + 3, nameEnd), () => value, valueBytes);
      continue;
    }
    const valueBlock = view.getUint32(from);
    const valueBytes = view.getUint32(from + 4);
    const nameEnd = from + 9 + view.getUint8(from + 8);
    need(nameEnd, 0, 'namelen');
    if (valueBytes > MAX_VALUE_BYTES) {
      throw new ParseError(
        'limit',
        'valuelen',
        offset + from + 4,
        `${valueBytes}, expected at most ${MAX_VALUE_BYTES}`,
      );
    }
    add(flags, bytes.subarray(from + 9, nameEnd), () => remoteValue(volume, inode, valueBlock, valueBytes), valueBytes);
  }
}

/** A value in blocks of its own; those of version 5 have each a header. */
function remoteValue(volume: XfsVolume, inode: XfsInode, firstBlock: number, valueBytes: number): Uint8Array {
  const { version, blockBytes } = volume.geometry;
  const inBlock = version === 5 ? blockBytes - REMOTE_HEADER_BYTES : blockBytes;
  const count = Math.ceil(valueBytes / inBlock);
  const source = forkSource(volume, inode, inode.attributes, (firstBlock + count) * blockBytes);
  if (version === 4) return source.read(firstBlock * blockBytes, valueBytes);
  const value = new Uint8Array(valueBytes);
  for (let index = 0; index < count; index += 1) {
    const at = (firstBlock + index) * blockBytes;
    const bytes = source.read(at, blockBytes);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (view.getUint32(0) !== REMOTE_MAGIC) {
      throw new ParseError(
        'invalid',
        'rm_magic',
        at,
        `of an attribute of inode ${inode.number} is not that of a value`,
      );
    }
    volume.verify(bytes, CHECKSUM_AT, `rm_crc of an attribute of inode ${inode.number}`, at);
    const part = bytes.subarray(
      REMOTE_HEADER_BYTES,
      REMOTE_HEADER_BYTES + Math.min(inBlock, valueBytes - index * inBlock),
    );
    value.set(part, index * inBlock);
  }
  return value;
}
