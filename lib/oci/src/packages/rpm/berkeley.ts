// `Packages` of rpm before 4.16: a hash table of Berkeley DB, of which only the values are read. Berkeley DB 5.3,
// src/dbinc/db_page.h. Either byte order; each page is visited once.
import { Cursor, ParseError } from '@ringwall/bytes';

const HASH_MAGIC = 0x00061561;
const MAGIC_OFFSET = 12;
const PAGE_HEADER_BYTES = 26;
const PAGE_UNSORTED_HASH = 2;
const PAGE_OVERFLOW = 7;
const PAGE_HASH = 13;
const ITEM_IN_PAGE = 1;
const ITEM_ON_PAGES = 3;
const MIN_PAGE_BYTES = 512;
const MAX_PAGE_BYTES = 65_536;

interface Database {
  readonly bytes: Uint8Array;
  readonly pageBytes: number;
  readonly pages: number;
  readonly littleEndian: boolean;
  readonly visited: Set<number>;
}

/** Values whose key is the number of a package, in the order of pages. Throws ParseError. */
export function* readBerkeleyBlobs(bytes: Uint8Array): Generator<Uint8Array> {
  const database = openDatabase(bytes);
  for (let page = 1; page < database.pages; page += 1) {
    const type = bytes[page * database.pageBytes + PAGE_HEADER_BYTES - 1];
    if (type === PAGE_HASH || type === PAGE_UNSORTED_HASH) yield* valuesOf(database, page);
  }
}

function openDatabase(bytes: Uint8Array): Database {
  const head = new Cursor(bytes);
  head.skip(MAGIC_OFFSET, 'log sequence number');
  const magic = new Cursor(head.take(4, 'magic'));
  const littleEndian = magic.u32le('magic') === HASH_MAGIC;
  if (!littleEndian && new Cursor(bytes.subarray(MAGIC_OFFSET)).u32be('magic') !== HASH_MAGIC) {
    throw new ParseError('invalid', 'magic', MAGIC_OFFSET, 'is not that of a hash of Berkeley DB');
  }
  head.skip(4, 'version');
  const pageBytes = u32(head, littleEndian, 'page size');
  if (pageBytes < MIN_PAGE_BYTES || pageBytes > MAX_PAGE_BYTES || (pageBytes & (pageBytes - 1)) !== 0) {
    throw head.error('invalid', 'page size', `${pageBytes}, expected a power of two`);
  }
  const algorithm = head.u8('encryption');
  if (algorithm !== 0) throw head.error('unsupported', 'encryption', `${algorithm}, expected none`);
  head.skip(7, 'type, flags and free list');
  const lastPage = u32(head, littleEndian, 'last page');
  const pages = Math.floor(bytes.length / pageBytes);
  if (lastPage >= pages) throw head.error('truncated', 'last page', `${lastPage}, expected less than ${pages}`);
  return { bytes, pageBytes, pages, littleEndian, visited: new Set() };
}

function* valuesOf(database: Database, page: number): Generator<Uint8Array> {
  const { littleEndian } = database;
  const content = pageAt(database, page);
  const head = pageHead(database, page);
  const offsets = new Cursor(content.subarray(PAGE_HEADER_BYTES));
  const starts = Array.from({ length: head.entries }, () => u16(offsets, littleEndian, 'item offset'));
  // Keys and values take turns; an item ends where the one before it begins, as a page is filled from its end.
  for (let at = 1; at < starts.length; at += 2) {
    const [start = 0, end = 0, keyStart = 0] = [starts[at], starts[at - 1], starts[at - 1]];
    const keyEnd = at >= 2 ? (starts[at - 2] ?? 0) : database.pageBytes;
    const item = new Cursor(content.subarray(start, Math.max(start, end)), start);
    // The key of zero holds the highest number that was given.
    const key = content.subarray(keyStart + 1, Math.max(keyStart + 1, keyEnd));
    if (key.every((byte) => byte === 0)) continue;
    const type = item.u8('item type');
    if (type === ITEM_IN_PAGE) yield item.rest('item');
    else if (type === ITEM_ON_PAGES) yield overflow(database, item);
    else throw item.error('unsupported', 'item type', `${type}, expected a value`);
  }
}

function overflow(database: Database, item: Cursor): Uint8Array {
  item.skip(3, 'padding');
  const first = u32(item, database.littleEndian, 'first page');
  const length = u32(item, database.littleEndian, 'length');
  if (length > database.bytes.length) throw item.error('limit', 'length', `${length}, more than the file has`);
  const value = new Uint8Array(length);
  let filled = 0;
  for (let page = first; filled < length;) {
    if (database.visited.has(page)) throw item.error('invalid', 'page', `${page} is used twice`);
    database.visited.add(page);
    const content = pageAt(database, page);
    const head = pageHead(database, page);
    if (head.type !== PAGE_OVERFLOW)
      throw item.error('invalid', 'page type', `${head.type}, expected an overflow page`);
    // Of an overflow page the offset of free space is how much of it is used.
    const used = Math.min(head.freeOffset, length - filled, content.length - PAGE_HEADER_BYTES);
    if (used === 0) throw item.error('invalid', 'overflow page', 'is empty');
    value.set(content.subarray(PAGE_HEADER_BYTES, PAGE_HEADER_BYTES + used), filled);
    filled += used;
    page = head.next;
  }
  return value;
}

function pageAt(database: Database, page: number): Uint8Array {
  if (page < 1 || page >= database.pages) throw new ParseError('invalid', 'page', 0, `${page} of ${database.pages}`);
  return database.bytes.subarray(page * database.pageBytes, (page + 1) * database.pageBytes);
}

interface PageHead {
  readonly next: number;
  readonly entries: number;
  readonly freeOffset: number;
  readonly type: number;
}

function pageHead(database: Database, page: number): PageHead {
  const { littleEndian } = database;
  const head = new Cursor(pageAt(database, page), page * database.pageBytes);
  head.skip(16, 'log sequence number, own and previous page');
  const next = u32(head, littleEndian, 'next page');
  const entries = u16(head, littleEndian, 'entries');
  const freeOffset = u16(head, littleEndian, 'free space');
  head.skip(1, 'level');
  return { next, entries, freeOffset, type: head.u8('page type') };
}

function u16(cursor: Cursor, littleEndian: boolean, field: string): number {
  return littleEndian ? cursor.u16le(field) : cursor.u16be(field);
}

function u32(cursor: Cursor, littleEndian: boolean, field: string): number {
  return littleEndian ? cursor.u32le(field) : cursor.u32be(field);
}
