// Cyclic redundancy checks, eight bytes at a step: CRC-32C (Castagnoli; RFC 3720, appendix B.4) of ext4, XFS and VHDX, CRC-32
// (ISO-HDLC) of GPT and LVM2, and CRC-16 of ext4's group descriptors. Each function goes on from a register as it is: what
// starts and ends one (all ones, inverted or not) differs from format to format.

/** A register of all ones, with which most formats start. */
export const CRC_START = 0xffffffff;

// Made by the first checksum of each kind: all four take longer than reading a file.
const castagnoli = onFirstUse(() => slicedTables(0x82f63b78));
const isoHdlc = onFirstUse(() => slicedTables(0xedb88320));
const ansi = onFirstUse(() => byteTable(0xa001));
const isoHdlcForward = onFirstUse(() => forwardTable(0x04c11db7));

/** CRC-32C, register in and out, over `bytes` from `start` to `end`. */
export function crc32c(register: number, bytes: Uint8Array, start = 0, end: number = bytes.length): number {
  return sliced(castagnoli(), register, bytes, start, end);
}

/** CRC-32, register in and out, over `bytes` from `start` to `end`. */
export function crc32(register: number, bytes: Uint8Array, start = 0, end: number = bytes.length): number {
  return sliced(isoHdlc(), register, bytes, start, end);
}

/** CRC-16 (ANSI), register in and out, over `bytes` from `start` to `end`. */
export function crc16(register: number, bytes: Uint8Array, start = 0, end: number = bytes.length): number {
  const table = ansi();
  let crc = register;
  for (let at = start; at < end; at += 1) crc = (crc >>> 8) ^ entry(table, (crc ^ (bytes[at] ?? 0)) & 0xff);
  return crc & 0xffff;
}

/** CRC-32 with the highest bit first (as in POSIX cksum), register in and out: the old checksums of ext4's journal. */
export function crc32Forward(register: number, bytes: Uint8Array): number {
  const table = isoHdlcForward();
  let crc = register | 0;
  for (let at = 0; at < bytes.length; at += 1) {
    crc = (crc << 8) ^ entry(table, (crc >>> 24) ^ (bytes[at] ?? 0));
  }
  return crc >>> 0;
}

/** CRC-32C over `value` as four bytes, the least significant first. */
export function crc32cOfNumber(register: number, value: number): number {
  const table = castagnoli();
  let crc = register ^ value;
  for (let step = 0; step < 4; step += 1) crc = (crc >>> 8) ^ entry(table, crc & 0xff);
  return crc >>> 0;
}

function sliced(tables: Int32Array, register: number, bytes: Uint8Array, start: number, end: number): number {
  if (start < 0 || end > bytes.length)
    throw new RangeError(`bytes ${start} to ${end}, expected at most ${bytes.length}`);
  let crc = register | 0;
  let at = start;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (; at + 8 <= end; at += 8) {
    const low = view.getInt32(at, true) ^ crc;
    const high = view.getInt32(at + 4, true);
    crc =
      entry(tables, 0x700 + (low & 0xff)) ^
      entry(tables, 0x600 + ((low >>> 8) & 0xff)) ^
      entry(tables, 0x500 + ((low >>> 16) & 0xff)) ^
      entry(tables, 0x400 + (low >>> 24)) ^
      entry(tables, 0x300 + (high & 0xff)) ^
      entry(tables, 0x200 + ((high >>> 8) & 0xff)) ^
      entry(tables, 0x100 + ((high >>> 16) & 0xff)) ^
      entry(tables, high >>> 24);
  }
  for (; at < end; at += 1) crc = (crc >>> 8) ^ entry(tables, (crc ^ (bytes[at] ?? 0)) & 0xff);
  return crc >>> 0;
}

function onFirstUse(make: () => Int32Array): () => Int32Array {
  let table: Int32Array | undefined;
  return () => (table ??= make());
}

/** Eight tables in one: table `n` says what a byte does that `n` more bytes follow. */
function slicedTables(polynomial: number): Int32Array {
  const tables = new Int32Array(8 * 256);
  tables.set(byteTable(polynomial));
  for (let index = 256; index < tables.length; index += 1) {
    const before = entry(tables, index - 256);
    tables[index] = (before >>> 8) ^ entry(tables, before & 0xff);
  }
  return tables;
}

function byteTable(polynomial: number): Int32Array {
  return Int32Array.from({ length: 256 }, (_, byte) => {
    let value = byte;
    for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? (value >>> 1) ^ polynomial : value >>> 1;
    return value;
  });
}

function forwardTable(polynomial: number): Int32Array {
  return Int32Array.from({ length: 256 }, (_, byte) => {
    let value = byte << 24;
    for (let bit = 0; bit < 8; bit += 1) value = value < 0 ? (value << 1) ^ polynomial : value << 1;
    return value;
  });
}

/** Indices are masked or checked by every caller: the alternative never comes, and costs nothing. */
function entry(table: Int32Array, index: number): number {
  return table[index] ?? 0;
}
