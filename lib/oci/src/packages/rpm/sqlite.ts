// Rows of one table of an SQLite database, read without SQLite: what rpm 4.16 and later writes, and no more than that.
// https://www.sqlite.org/fileformat2.html, sections 1.3 (header), 1.5 (b-tree pages) and 2.1 (record format). A page is
// visited once, so that whoever made the file can make no reader walk in circles.
import { Cursor, ParseError } from '@ringwall/bytes';

const MAGIC = 'SQLite format 3\0';
const HEADER_BYTES = 100;
const TABLE_INTERIOR = 5;
const TABLE_LEAF = 13;
/** As in SQLite itself, with a page number of its own at each level. */
const MAX_DEPTH = 20;
/** Of one row: the header of a package with 500,000 files. */
const MAX_ROW_BYTES: number = 256 * 1024 * 1024;

export type SqliteValue = null | number | string | Uint8Array;

interface Database {
  readonly bytes: Uint8Array;
  readonly pageBytes: number;
  /** Without what a page reserves at its end. */
  readonly usableBytes: number;
  readonly pages: number;
  readonly visited: Set<number>;
}

/** Rows in the order of their ids. Throws ParseError, also where there is no such table. */
export function* readSqliteTable(bytes: Uint8Array, table: string): Generator<readonly SqliteValue[]> {
  const database = openDatabase(bytes);
  for (const [type, name, , rootPage] of rowsBelow(database, 1, 0)) {
    if (type !== 'table' || name !== table || typeof rootPage !== 'number') continue;
    yield* rowsBelow(database, rootPage, 0);
    return;
  }
  throw new ParseError('invalid', 'schema', HEADER_BYTES, `has no table ${table}`);
}

function openDatabase(bytes: Uint8Array): Database {
  const cursor = new Cursor(bytes);
  const magic = new TextDecoder('latin1').decode(cursor.take(16, 'magic'));
  if (magic !== MAGIC) throw new ParseError('invalid', 'magic', 0, 'is not that of SQLite');
  const raw = cursor.u16be('page size');
  const pageBytes = raw === 1 ? 65_536 : raw;
  if (pageBytes < 512 || (pageBytes & (pageBytes - 1)) !== 0) {
    throw cursor.error('invalid', 'page size', `${pageBytes}, expected a power of two`);
  }
  cursor.skip(2, 'format versions');
  const reserved = cursor.u8('reserved space');
  const usableBytes = pageBytes - reserved;
  if (usableBytes < 480) throw cursor.error('invalid', 'reserved space', `${reserved} of ${pageBytes} bytes`);
  return { bytes, pageBytes, usableBytes, pages: Math.floor(bytes.length / pageBytes), visited: new Set() };
}

function* rowsBelow(database: Database, page: number, depth: number): Generator<readonly SqliteValue[]> {
  if (depth > MAX_DEPTH) throw new ParseError('limit', 'b-tree', 0, `is more than ${MAX_DEPTH} pages deep`);
  const content = visit(database, page);
  const start = page === 1 ? HEADER_BYTES : 0;
  const head = new Cursor(content.subarray(start), start);
  const type = head.u8('page type');
  if (type !== TABLE_INTERIOR && type !== TABLE_LEAF) {
    throw head.error('invalid', 'page type', `${type}, expected a page of a table`);
  }
  head.skip(2, 'first free block');
  const cells = head.u16be('cells');
  head.skip(3, 'cell content');
  const rightmost = type === TABLE_INTERIOR ? head.u32be('rightmost pointer') : undefined;
  for (let each = 0; each < cells; each += 1) {
    const at = head.u16be('cell pointer');
    const cell = new Cursor(content.subarray(Math.min(at, content.length)), at);
    if (type === TABLE_INTERIOR) yield* rowsBelow(database, cell.u32be('left child'), depth + 1);
    else yield readRow(database, cell);
  }
  if (rightmost !== undefined) yield* rowsBelow(database, rightmost, depth + 1);
}

function visit(database: Database, page: number): Uint8Array {
  if (page < 1 || page > database.pages) throw new ParseError('invalid', 'page', 0, `${page} of ${database.pages}`);
  if (database.visited.has(page)) throw new ParseError('invalid', 'page', 0, `${page} is used twice`);
  database.visited.add(page);
  const start = (page - 1) * database.pageBytes;
  return database.bytes.subarray(start, start + database.usableBytes);
}

function readRow(database: Database, cell: Cursor): readonly SqliteValue[] {
  const length = varint(cell, 'payload length');
  const rowId = varint(cell, 'row id');
  if (length > MAX_ROW_BYTES || length > database.bytes.length) {
    throw cell.error('limit', 'payload length', `${length}, expected at most what the file has`);
  }
  return parseRecord(payloadOf(database, cell, length), rowId);
}

/** Section 1.6: what does not fit onto the page goes on in a chain of others. */
function payloadOf(database: Database, cell: Cursor, length: number): Uint8Array {
  const usable = database.usableBytes;
  const most = usable - 35;
  if (length <= most) return cell.take(length, 'payload');
  const least = Math.floor(((usable - 12) * 32) / 255) - 23;
  const wanted = least + ((length - least) % (usable - 4));
  const payload = new Uint8Array(length);
  const local = cell.take(wanted <= most ? wanted : least, 'payload');
  payload.set(local);
  let filled = local.length;
  let next = cell.u32be('first overflow page');
  while (filled < length) {
    const page = new Cursor(visit(database, next));
    next = page.u32be('next overflow page');
    const part = page.take(Math.min(length - filled, usable - 4), 'overflow');
    payload.set(part, filled);
    filled += part.length;
  }
  return payload;
}

function parseRecord(payload: Uint8Array, rowId: number): readonly SqliteValue[] {
  const cursor = new Cursor(payload);
  const headerBytes = varint(cursor, 'header length');
  const types = new Cursor(payload.subarray(cursor.offset, Math.max(cursor.offset, headerBytes)), cursor.offset);
  cursor.skip(types.remaining, 'header');
  const values: SqliteValue[] = [];
  while (types.remaining > 0) values.push(valueOf(varint(types, 'serial type'), cursor));
  // An INTEGER PRIMARY KEY stands as null in its row.
  return values.map((value, at) => (at === 0 && value === null ? rowId : value));
}

const INTEGER_BYTES: Readonly<Record<number, number>> = { 1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8 };

function valueOf(type: number, cursor: Cursor): SqliteValue {
  const integerBytes = INTEGER_BYTES[type];
  if (integerBytes !== undefined) {
    let value = 0;
    for (const byte of cursor.take(integerBytes, 'integer')) value = value * 256 + byte;
    return value;
  }
  if (type === 0) return null;
  if (type === 8 || type === 9) return type - 8;
  if (type >= 12) {
    const bytes = cursor.take((type - (type % 2 === 0 ? 12 : 13)) / 2, 'value');
    return type % 2 === 0 ? bytes : new TextDecoder().decode(bytes);
  }
  // 7 is a floating-point number, which rpm has none of; 10 and 11 are never in a file.
  cursor.skip(type === 7 ? 8 : 0, 'value');
  return null;
}

/** Big-endian, seven bits a byte, eight in the ninth; beyond 2^53 nothing of use can be meant. */
function varint(cursor: Cursor, field: string): number {
  let value = 0;
  for (let each = 0; each < 8; each += 1) {
    const byte = cursor.u8(field);
    value = value * 128 + (byte & 0x7f);
    if (byte < 0x80) break;
    if (each === 7) value = value * 256 + cursor.u8(field);
  }
  if (!Number.isSafeInteger(value)) throw cursor.error('limit', field, 'is larger than 2^53');
  return value;
}
