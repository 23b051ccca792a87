// `Packages.db` of SUSE: the package database that rpm wrote itself ("ndb"). No specification; the layout is that of rpm 4.18,
// lib/backend/ndb/rpmpkg.c: a header, pages of slots, and blobs in blocks of 16 bytes. Little-endian throughout.
import { Cursor } from '@ringwall/bytes';

const HEADER_MAGIC = 0x506d7052; // RpmP
const SLOT_MAGIC = 0x746f6c53; // Slot
const BLOB_MAGIC = 0x53626c42; // BlbS
const VERSION = 0;
const PAGE_BYTES = 4096;
const SLOT_BYTES = 16;
const BLOCK_BYTES = 16;
/** The header takes the place of the first two. */
const HEADER_SLOTS = 2;

/** Headers of packages, in the order of their slots. Throws ParseError. */
export function* readNdbBlobs(bytes: Uint8Array): Generator<Uint8Array> {
  const header = new Cursor(bytes);
  const magic = header.u32le('magic');
  if (magic !== HEADER_MAGIC) throw header.error('invalid', 'magic', 'is not that of Packages.db');
  const version = header.u32le('version');
  if (version !== VERSION) throw header.error('unsupported', 'version', `${version}, expected ${VERSION}`);
  header.skip(4, 'generation');
  const slotPages = header.u32le('slot pages');
  const slotBytes = slotPages * PAGE_BYTES;
  const slots = new Cursor(bytes).sub(slotBytes, 'slots');
  slots.skip(HEADER_SLOTS * SLOT_BYTES, 'header');
  // Blobs do not overlap, so that together they are no more than the file.
  let total = 0;
  for (let each = HEADER_SLOTS; each < slotBytes / SLOT_BYTES; each += 1) {
    const slotMagic = slots.u32le('slot magic');
    const packageIndex = slots.u32le('package index');
    const blockOffset = slots.u32le('block offset');
    const blockCount = slots.u32le('block count');
    if (slotMagic !== SLOT_MAGIC) throw slots.error('invalid', 'slot magic', slotMagic.toString(16));
    if (blockOffset === 0) continue;
    total += blockCount * BLOCK_BYTES;
    if (total > bytes.length) throw slots.error('invalid', 'block count', 'says more than the file has');
    yield readBlob(bytes, packageIndex, blockOffset * BLOCK_BYTES, blockCount * BLOCK_BYTES);
  }
}

function readBlob(bytes: Uint8Array, packageIndex: number, offset: number, length: number): Uint8Array {
  const whole = new Cursor(bytes);
  whole.skip(offset, 'blob');
  const blob = whole.sub(length, 'blob');
  const magic = blob.u32le('blob magic');
  if (magic !== BLOB_MAGIC) throw blob.error('invalid', 'blob magic', magic.toString(16));
  const ownIndex = blob.u32le('blob index');
  if (ownIndex !== packageIndex) throw blob.error('invalid', 'blob index', `${ownIndex}, expected ${packageIndex}`);
  blob.skip(4, 'generation');
  return blob.take(blob.u32le('blob length'), 'blob');
}
