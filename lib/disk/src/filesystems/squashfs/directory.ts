// Listings of squashfs directories (squashfs.rst, section 3.4): runs of entries behind headers, sorted by the bytes of their names,
// with an index of some of those names behind the inode of a large one.
import { ParseError } from '@ringwall/bytes';
import { compareBytes } from '../compare-bytes.ts';
import type { FileKind } from '../file-system.ts';
import { checkFileName, decodeFileName } from '../file-name.ts';
import { kindOfType, type DirectoryPlace } from './inode.ts';
import { METADATA_BYTES, type MetadataBlocks, type MetadataCursor } from './metadata.ts';
import type { InodeReference } from './superblock.ts';

const HEADER_BYTES = 12;
const ENTRY_BYTES = 8;

/** Entries behind one header. */
const MAX_RUN = 256;

export interface SquashfsEntry {
  readonly rawName: Uint8Array;
  readonly kind: FileKind;
  readonly number: number;
  readonly reference: InodeReference;
}

/** All entries of the listing at `place` of the table that begins at `table`, or those from byte `from` of it on. */
export function* readListing(
  blocks: MetadataBlocks,
  table: number,
  place: DirectoryPlace,
  from: ListingStart = { block: place.block, offset: place.offset, at: 0 },
): Generator<SquashfsEntry> {
  if (place.bytes === 0) return;
  const cursor = blocks.cursor(table + from.block, from.offset);
  let left = place.bytes - from.at;
  while (left > 0) {
    const count = cursor.u32() + 1;
    if (count > MAX_RUN) {
      throw new ParseError('invalid', 'dir_header count', cursor.position, `${count}, expected at most ${MAX_RUN}`);
    }
    const block = cursor.u32();
    const base = cursor.u32();
    left -= HEADER_BYTES;
    for (let index = 0; index < count; index += 1) {
      const entry = readEntry(cursor, block, base);
      left -= ENTRY_BYTES + entry.rawName.length;
      if (left < 0) {
        throw new ParseError('invalid', 'file_size', cursor.position, `${place.bytes + 3}, but the entries go on`);
      }
      yield entry;
    }
  }
}

/** Where in a listing to begin: a metadata block from the table's start, a byte of it, and how far into the listing that is. */
export interface ListingStart {
  readonly block: number;
  readonly offset: number;
  readonly at: number;
}

/** The last place of the index whose name is not after `name`; `cursor` stands behind the directory's inode. */
export function findInIndex(cursor: MetadataCursor, place: DirectoryPlace, name: Uint8Array): ListingStart {
  let found: ListingStart = { block: place.block, offset: place.offset, at: 0 };
  for (let read = 0; read < place.indexCount; read += 1) {
    const at = cursor.u32();
    const block = cursor.u32();
    const first = cursor.take(checkedNameLength(cursor.u32(), cursor));
    if (compareBytes(first, name) > 0) return found;
    if (at >= place.bytes || at < found.at) {
      throw new ParseError('invalid', 'dir_index', cursor.position, `${at}, expected ${found.at}..${place.bytes - 1}`);
    }
    found = { block, offset: (place.offset + at) % METADATA_BYTES, at };
  }
  return found;
}

export function nameOf(entry: SquashfsEntry, position: number): string {
  return checkFileName(decodeFileName(entry.rawName), 'dir_entry name', position);
}

function readEntry(cursor: MetadataCursor, block: number, base: number): SquashfsEntry {
  const offset = cursor.u16();
  const number = base + cursor.s16();
  const type = cursor.u16();
  const kind = type <= 7 ? kindOfType(type) : undefined;
  if (kind === undefined) throw new ParseError('invalid', 'dir_entry type', cursor.position, `${type}, expected 1..7`);
  const rawName = cursor.take(checkedNameLength(cursor.u16(), cursor));
  return { rawName, kind, number, reference: { block, offset } };
}

/** Stored as one less. */
function checkedNameLength(stored: number, cursor: MetadataCursor): number {
  if (stored > 255)
    throw new ParseError('invalid', 'name size', cursor.position, `${stored + 1}, expected at most 256`);
  return stored + 1;
}
