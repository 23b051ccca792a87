// Extended attributes of an ext inode: behind the inode's fields, in a block of their own, and with values in inodes of
// their own (Linux Documentation/filesystems/ext4, "Extended Attributes").
import { ParseError } from '@ringwall/bytes';
import { crc32c, crc32cOfNumber } from '../../checksum/crc.ts';
import { DiskError } from '../../disk-error.ts';
import {
  ATTRIBUTE_MAGIC,
  inodeEntries,
  INLINE_DATA,
  parseEntries,
  SYSTEM_INDEX,
  type AttributeEntry,
} from './attribute-entries.ts';
import { contentsOf } from './contents.ts';
import { INODE_FLAGS } from './features.ts';
import { readInode, type ExtInode } from './inode.ts';
import type { ExtVolume } from './volume.ts';

const BLOCK_HEADER_BYTES = 32;
/** All values of one inode, in bytes: far more than a kernel lets a user list, and little beside the memory of an inspection. */
const MAX_VALUES_BYTES = 16 * 2 ** 20;

const ENCRYPTION = 9;
const PREFIXES: ReadonlyMap<number, string> = new Map([
  [0, ''],
  [1, 'user.'],
  [2, 'system.posix_acl_access'],
  [3, 'system.posix_acl_default'],
  [4, 'trusted.'],
  [5, 'lustre.'],
  [6, 'security.'],
  [SYSTEM_INDEX, 'system.'],
  [8, 'system.richacl'],
  [ENCRYPTION, 'encryption.'],
  [10, 'gnu.'],
]);

/** All attributes by their full name; what only the file system itself uses is left out. */
export function attributesOf(volume: ExtVolume, inode: ExtInode): Map<string, Uint8Array> {
  const attributes = new Map<string, Uint8Array>();
  let total = 0;
  for (const entry of [...inodeEntries(inode), ...blockEntries(volume, inode)]) {
    if (isInternal(entry)) continue;
    total += entry.valueBytes;
    if (total > MAX_VALUES_BYTES) {
      const what = `extended attributes of inode ${inode.number}`;
      throw new DiskError('limit', `${what}: more than ${MAX_VALUES_BYTES} bytes of values`);
    }
    const prefix = PREFIXES.get(entry.nameIndex) ?? `unknown-${entry.nameIndex}.`;
    const value = entry.valueInode === 0 ? new Uint8Array(entry.value) : valueFrom(volume, inode, entry);
    attributes.set(prefix + entry.name, value);
  }
  return attributes;
}

function isInternal({ nameIndex, name }: AttributeEntry): boolean {
  return nameIndex === ENCRYPTION || (nameIndex === SYSTEM_INDEX && name === INLINE_DATA);
}

function blockEntries(volume: ExtVolume, inode: ExtInode): AttributeEntry[] {
  const { attributeBlock } = inode;
  if (attributeBlock === 0) return [];
  volume.checkBlocks(attributeBlock, 1, `i_file_acl of inode ${inode.number}`, inode.offset + 0x68);
  const block = volume.block(attributeBlock);
  const offset = volume.offsetOf(attributeBlock);
  const view = new DataView(block.buffer, block.byteOffset, block.byteLength);
  const magic = view.getUint32(0, true);
  if (magic !== ATTRIBUTE_MAGIC) {
    const detail = `0x${magic.toString(16)} of the attributes of inode ${inode.number}, expected 0x${ATTRIBUTE_MAGIC.toString(16)}`;
    throw new ParseError('invalid', 'h_magic', offset, detail);
  }
  const blocks = view.getUint32(8, true);
  if (blocks !== 1) throw new ParseError('invalid', 'h_blocks', offset + 8, `${blocks}, expected 1`);
  verifyBlock(volume, attributeBlock, block, view);
  return parseEntries(block, BLOCK_HEADER_BYTES, offset, inode.number);
}

function verifyBlock(volume: ExtVolume, number: number, block: Uint8Array, view: DataView): void {
  const seed = volume.geometry.checksumSeed;
  if (seed === undefined) return;
  const place = crc32cOfNumber(crc32cOfNumber(seed, number >>> 0), Math.floor(number / 2 ** 32));
  const head = crc32c(crc32c(place, block, 0, 0x10), new Uint8Array(4));
  const expected = crc32c(head, block, 0x14);
  const stored = view.getUint32(0x10, true);
  if (stored === expected) return;
  const detail = `0x${stored.toString(16)} of attribute block ${number}, expected 0x${expected.toString(16)}`;
  throw new ParseError('invalid', 'h_checksum', volume.offsetOf(number) + 0x10, detail);
}

function valueFrom(volume: ExtVolume, owner: ExtInode, entry: AttributeEntry): Uint8Array {
  const inode = readInode(volume, entry.valueInode);
  if (!(inode.flags & INODE_FLAGS.ea_inode) || inode.kind !== 'file' || inode.size !== entry.valueBytes) {
    const detail = `${entry.valueInode}, expected an inode with a value of ${entry.valueBytes} bytes`;
    throw new ParseError('invalid', 'e_value_inum', entry.offset + 4, detail);
  }
  const value = new Uint8Array(contentsOf(volume, inode).read(0, inode.size));
  const view = new DataView(inode.bytes.buffer, inode.bytes.byteOffset, inode.bytes.byteLength);
  const stored = view.getUint32(8, true);
  const expected = crc32c(volume.geometry.attributeSeed, value);
  // Lustre's first ones have no hash, and name their owner where others have a time.
  const isOld = view.getUint32(0x10, true) === owner.number && inode.generation === owner.generation;
  if (stored !== expected && !isOld) {
    const detail = `0x${stored.toString(16)} of attribute inode ${inode.number}, expected 0x${expected.toString(16)}`;
    throw new ParseError('invalid', 'value hash', inode.offset + 8, detail);
  }
  return value;
}
