// The lists of extended attributes of an ext inode: behind its fields, and in blocks of their own (Linux
// Documentation/filesystems/ext4, "Extended Attributes"), which share their form. Values in inodes of their own are not read.
import { ParseError } from '@ringwall/bytes';
import { decodeFileName } from '../file-name.ts';
import type { ExtInode } from './inode.ts';

export const ATTRIBUTE_MAGIC = 0xea020000;
export const SYSTEM_INDEX = 7;
/** The name, behind SYSTEM_INDEX, of the attribute that continues contents in the inode. */
export const INLINE_DATA = 'data';

const HEADER_BYTES = 4;
const ENTRY_BYTES = 16;
const FIRST_BYTES = 128;
/** XATTR_SIZE_MAX of Linux: a value larger than this was never set through a kernel. */
const MAX_VALUE_BYTES = 65_536;

export interface AttributeEntry {
  readonly nameIndex: number;
  readonly name: string;
  /** The inode that holds the value, 0 where it lies beside its name. */
  readonly valueInode: number;
  readonly valueBytes: number;
  readonly value: Uint8Array;
  readonly offset: number;
}

/** What continues the contents of a file that lies in its inode. */
export function inlineValue(inode: ExtInode): Uint8Array {
  const entry = inodeEntries(inode).find(({ nameIndex, name }) => nameIndex === SYSTEM_INDEX && name === INLINE_DATA);
  return entry?.value ?? new Uint8Array(0);
}

export function inodeEntries(inode: ExtInode): AttributeEntry[] {
  const start = FIRST_BYTES + inode.extraBytes;
  if (inode.bytes.length <= FIRST_BYTES || start + HEADER_BYTES > inode.bytes.length) return [];
  const view = new DataView(inode.bytes.buffer, inode.bytes.byteOffset, inode.bytes.byteLength);
  if (view.getUint32(start, true) !== ATTRIBUTE_MAGIC) return [];
  const region = inode.bytes.subarray(start + HEADER_BYTES);
  return parseEntries(region, 0, inode.offset + start + HEADER_BYTES, inode.number);
}

/** Entries from `start` on; their values lie in `region` at offsets from its own start. */
export function parseEntries(region: Uint8Array, start: number, regionOffset: number, inode: number): AttributeEntry[] {
  const view = new DataView(region.buffer, region.byteOffset, region.byteLength);
  const entries: AttributeEntry[] = [];
  const refuse = (field: string, at: number, detail: string): ParseError =>
    new ParseError('invalid', field, regionOffset + at, `${detail} of an attribute of inode ${inode}`);
  // Four zeros end the list; a list that fills its room may do without.
  for (let at = start; at + 4 <= region.length && view.getUint32(at, true) !== 0;) {
    const nameBytes = region[at] ?? 0;
    const end = at + ENTRY_BYTES + nameBytes;
    if (end > region.length) throw refuse('e_name_len', at, `${nameBytes}, expected less`);
    const valueInode = view.getUint32(at + 4, true);
    const valueBytes = view.getUint32(at + 8, true);
    if (valueBytes > MAX_VALUE_BYTES) throw refuse('e_value_size', at + 8, `${valueBytes}, expected at most 65536`);
    const from = view.getUint16(at + 2, true);
    const beside = valueInode === 0;
    if (beside && from + valueBytes > region.length) {
      throw refuse('e_value_offs', at + 2, `${from} with ${valueBytes} bytes, expected within ${region.length}`);
    }
    entries.push({
      nameIndex: region[at + 1] ?? 0,
      name: decodeFileName(region.subarray(at + ENTRY_BYTES, end)),
      valueInode,
      valueBytes,
      value: beside ? region.subarray(from, from + valueBytes) : new Uint8Array(0),
      offset: regionOffset + at,
    });
    at = (end + 3) & ~3;
  }
  return entries;
}
