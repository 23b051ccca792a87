// The list of a zip archive, by its central directory: APPNOTE.TXT 6.3.10, sections 4.3.12 (central directory), 4.3.16 (its end)
// and 4.5.3 (zip64). Nothing is unpacked here: whoever wants an entry has its compressed bytes and how long it claims to be.
import { Cursor, ParseError } from '@ringwall/bytes';

const END_SIGNATURE = 0x06054b50;
const END64_SIGNATURE = 0x06064b50;
const LOCATOR64_SIGNATURE = 0x07064b50;
const CENTRAL_SIGNATURE = 0x02014b50;
const LOCAL_SIGNATURE = 0x04034b50;
const END_BYTES = 22;
const LOCATOR64_BYTES = 20;
const CENTRAL_BYTES = 46;
const MAX_COMMENT_BYTES = 65_535;
/** OSV's dump of npm has 220,000. */
const MAX_ENTRIES = 2_000_000;
const ZIP64 = 0xffffffff;

export const STORED = 0;
export const DEFLATED = 8;

export interface ZipEntry {
  readonly name: string;
  /** `STORED`, `DEFLATED`, or what nobody here can unpack. */
  readonly method: number;
  readonly isEncrypted: boolean;
  /** As the directory claims; whoever unpacks it holds it to that. */
  readonly bytes: number;
  readonly compressed: () => Uint8Array;
}

/** In the order of the directory. Throws ParseError. */
export function* readZip(bytes: Uint8Array): Generator<ZipEntry> {
  const { offset, entries } = endOf(bytes);
  if (entries > MAX_ENTRIES) throw new ParseError('limit', 'entries', offset, `${entries}, at most ${MAX_ENTRIES}`);
  if (offset > bytes.length) throw new ParseError('invalid', 'central directory', offset, 'begins after the end');
  const directory = new Cursor(bytes.subarray(offset), offset);
  for (let each = 0; each < entries; each += 1) yield readCentral(bytes, directory);
}

function endOf(bytes: Uint8Array): { readonly offset: number; readonly entries: number } {
  const lowest = Math.max(0, bytes.length - END_BYTES - MAX_COMMENT_BYTES);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let at = bytes.length - END_BYTES; at >= lowest; at -= 1) {
    if (view.getUint32(at, true) !== END_SIGNATURE) continue;
    const end = new Cursor(bytes.subarray(at), at);
    end.skip(10, 'signature, disks and entries of this disk');
    const entries = end.u16le('entries');
    end.skip(4, 'length of the central directory');
    const offset = end.u32le('offset of the central directory');
    return offset === ZIP64 || entries === 0xffff ? (end64Of(bytes, at) ?? { offset, entries }) : { offset, entries };
  }
  throw new ParseError('invalid', 'end of central directory', bytes.length, 'is missing');
}

function end64Of(bytes: Uint8Array, end: number): { readonly offset: number; readonly entries: number } | undefined {
  if (end < LOCATOR64_BYTES) return undefined;
  const locator = new Cursor(bytes.subarray(end - LOCATOR64_BYTES, end), end - LOCATOR64_BYTES);
  if (locator.u32le('signature') !== LOCATOR64_SIGNATURE) return undefined;
  locator.skip(4, 'disk');
  const at = Math.min(Number(locator.u64le('offset of zip64 end')), bytes.length);
  const record = new Cursor(bytes.subarray(at), at);
  if (record.u32le('signature') !== END64_SIGNATURE) throw record.error('invalid', 'zip64 end', 'is missing');
  record.skip(28, 'length, versions, disks and entries of this disk');
  const entries = Number(record.u64le('entries'));
  record.skip(8, 'length of the central directory');
  return { entries, offset: Number(record.u64le('offset of the central directory')) };
}

function readCentral(bytes: Uint8Array, directory: Cursor): ZipEntry {
  const head = directory.sub(CENTRAL_BYTES, 'entry');
  if (head.u32le('signature') !== CENTRAL_SIGNATURE) throw head.error('invalid', 'entry', 'has no signature');
  head.skip(4, 'versions');
  const flags = head.u16le('flags');
  const method = head.u16le('method');
  head.skip(8, 'time and checksum');
  let compressedBytes = head.u32le('compressed size');
  let plainBytes = head.u32le('size');
  const [nameBytes, extraBytes] = [head.u16le('name length'), head.u16le('extra length')];
  const commentBytes = head.u16le('comment length');
  head.skip(8, 'disk and attributes');
  let offset = head.u32le('local header');
  const name = new TextDecoder().decode(directory.take(nameBytes, 'name'));
  const extra = directory.sub(extraBytes, 'extra field');
  directory.skip(commentBytes, 'comment');
  while (extra.remaining >= 4) {
    const [id, length] = [extra.u16le('extra id'), extra.u16le('extra length')];
    const field = extra.sub(Math.min(length, extra.remaining), 'extra field');
    if (id !== 1) continue;
    // Only what did not fit into 32 bits stands here, in this order.
    if (plainBytes === ZIP64) plainBytes = Number(field.u64le('size'));
    if (compressedBytes === ZIP64) compressedBytes = Number(field.u64le('compressed size'));
    if (offset === ZIP64) offset = Number(field.u64le('local header'));
  }
  return {
    name,
    method,
    isEncrypted: (flags & 1) === 1,
    bytes: plainBytes,
    compressed: () => compressedOf(bytes, offset, compressedBytes),
  };
}

/** The local header repeats the name, and may have other extra fields. */
function compressedOf(bytes: Uint8Array, offset: number, length: number): Uint8Array {
  const local = new Cursor(bytes.subarray(Math.min(offset, bytes.length)), offset);
  if (local.u32le('signature') !== LOCAL_SIGNATURE) throw local.error('invalid', 'local header', 'has no signature');
  local.skip(22, 'local header');
  const skipped = local.u16le('name length') + local.u16le('extra length');
  local.skip(skipped, 'name and extra fields');
  const start = local.offset;
  local.skip(length, 'compressed data');
  return bytes.subarray(start, start + length);
}
