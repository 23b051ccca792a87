// Directories of FAT: entries of 32 bytes with a short name, before which entries with pieces of a long name may stand (Microsoft,
// FAT: General Overview, "Long Directory Entries").
import { decodeCodePage437 } from './code-page-437.ts';

export const ENTRY_BYTES = 32;

const END = 0x00;
const DELETED = 0xe5;
/** Stands for 0xe5 in a name that begins so. */
const ESCAPED_E5 = 0x05;

const READ_ONLY_HIDDEN_SYSTEM_LABEL = 0x0f;
const VOLUME_LABEL = 0x08;
const DIRECTORY = 0x10;

const LAST_PIECE = 0x40;
/** 255 characters in pieces of 13. */
const MAX_PIECES = 20;
const PIECE_CHARACTERS = 13;

/** NTRes: Windows keeps a name in lower case in two bits. */
const LOWER_BASE = 0x08;
const LOWER_EXTENSION = 0x10;

export interface FatEntry {
  /** Where the entry with the short name lies in the volume. */
  readonly position: number;
  readonly name: string;
  /** The short name, as DOS shows it. */
  readonly shortName: string;
  readonly isDirectory: boolean;
  readonly isDeleted: boolean;
  readonly firstCluster: number;
  readonly size: number;
  readonly modifiedAt: number;
}

/** A label of the volume stands among the files of the root. */
export interface FatLabel {
  readonly label: string;
}

interface LongName {
  /** Pieces from the end of the name to its beginning, as they lie on disk. */
  readonly pieces: string[];
  readonly checksum: number;
  /** What the next piece must be numbered; 0 when the name is whole; undefined where deletion has overwritten the numbers. */
  readonly next: number | undefined;
}

/** Entries of a directory, from its pieces of whole entries: deleted ones too, without '.' and '..'. */
export function* readFatEntries(
  pieces: Iterable<{ readonly position: number; readonly bytes: Uint8Array }>,
): Generator<FatEntry | FatLabel> {
  let longName: LongName | undefined;
  for (const { position, bytes } of pieces) {
    for (let at = 0; at + ENTRY_BYTES <= bytes.length; at += ENTRY_BYTES) {
      const entry = bytes.subarray(at, at + ENTRY_BYTES);
      const first = entry[0];
      if (first === END) return;
      const attributes = entry[11] ?? 0;
      if ((attributes & 0x3f) === READ_ONLY_HIDDEN_SYSTEM_LABEL) {
        longName = continueLongName(longName, entry);
        continue;
      }
      const known = longName;
      longName = undefined;
      if ((attributes & VOLUME_LABEL) !== 0) {
        if (first !== DELETED) yield { label: decodeCodePage437(entry.subarray(0, 11)).trimEnd() };
        continue;
      }
      // '.' and '..'
      if (first === 0x2e) continue;
      yield parseEntry(entry, position + at, known);
    }
  }
}

/** Whether `bytes`, the first cluster of what was a directory, still begin as one. */
export function beginsWithDot(bytes: Uint8Array): boolean {
  return decodeCodePage437(bytes.subarray(0, 11)) === '.          ' && ((bytes[11] ?? 0) & DIRECTORY) !== 0;
}

/** ChkSum() of the specification: of the 11 bytes of the short name, in each piece of the long one. */
function shortNameChecksum(name: Uint8Array): number {
  let sum = 0;
  for (const byte of name) sum = (((sum & 1) << 7) + (sum >> 1) + byte) & 0xff;
  return sum;
}

function parseEntry(entry: Uint8Array, position: number, longName: LongName | undefined): FatEntry {
  const view = new DataView(entry.buffer, entry.byteOffset, ENTRY_BYTES);
  const isDeleted = entry[0] === DELETED;
  const raw = entry.slice(0, 11);
  if (raw[0] === ESCAPED_E5) raw[0] = 0xe5;
  let shortName = shortNameOf(raw, view.getUint8(12));
  let long: string | undefined;
  if (longName !== undefined && isDeleted) {
    // Deletion took the first byte of the short name, and the checksum gives it back.
    const restored = longName.next === undefined ? restoreFirst(raw, longName.checksum) : undefined;
    if (restored !== undefined) {
      shortName = shortNameOf(restored, view.getUint8(12));
      long = joinPieces(longName);
    }
  } else if (longName?.next === 0 && longName.checksum === shortNameChecksum(entry.subarray(0, 11))) {
    long = joinPieces(longName);
  }
  if (isDeleted && long === undefined) shortName = `?${shortName.slice(1)}`;
  return {
    position,
    name: long ?? shortName,
    shortName,
    isDirectory: (view.getUint8(11) & DIRECTORY) !== 0,
    isDeleted,
    firstCluster: view.getUint16(26, true) + view.getUint16(20, true) * 2 ** 16,
    size: view.getUint32(28, true),
    modifiedAt: timeOf(view.getUint16(24, true), view.getUint16(22, true)),
  };
}

/** The short name with the first byte that makes `checksum` of it; undefined where that is no byte of a name. */
function restoreFirst(raw: Uint8Array, checksum: number): Uint8Array | undefined {
  const restored = new Uint8Array(raw);
  for (let first = 0x21; first <= 0xff; first += 1) {
    restored[0] = first;
    if (shortNameChecksum(restored) === checksum) return restored;
  }
  return undefined;
}

function continueLongName(before: LongName | undefined, entry: Uint8Array): LongName | undefined {
  const order = entry[0] ?? 0;
  const checksum = entry[13] ?? 0;
  const piece = pieceOf(entry);
  if (order === DELETED) {
    if (before?.next === undefined && before?.checksum === checksum && before.pieces.length < MAX_PIECES) {
      before.pieces.push(piece);
      return before;
    }
    return { pieces: [piece], checksum, next: undefined };
  }
  const number = order & ~LAST_PIECE;
  if ((order & LAST_PIECE) !== 0) {
    return number >= 1 && number <= MAX_PIECES ? { pieces: [piece], checksum, next: number - 1 } : undefined;
  }
  if (before?.next !== number || before.checksum !== checksum) return undefined;
  before.pieces.push(piece);
  return { ...before, next: number - 1 };
}

/** 13 characters of UTF-16 in three places. */
function pieceOf(entry: Uint8Array): string {
  const view = new DataView(entry.buffer, entry.byteOffset, ENTRY_BYTES);
  let piece = '';
  for (let index = 0; index < PIECE_CHARACTERS; index += 1) {
    let offset = 1 + 2 * index;
    if (index >= 5) offset = 14 + 2 * (index - 5);
    if (index >= 11) offset = 28 + 2 * (index - 11);
    const unit = view.getUint16(offset, true);
    if (unit === 0) return piece;
    piece += String.fromCharCode(unit);
  }
  return piece;
}

function joinPieces({ pieces }: LongName): string {
  return pieces.toReversed().join('');
}

function shortNameOf(raw: Uint8Array, caseBits: number): string {
  let base = decodeCodePage437(raw.subarray(0, 8)).trimEnd();
  let extension = decodeCodePage437(raw.subarray(8, 11)).trimEnd();
  if ((caseBits & LOWER_BASE) !== 0) base = base.toLowerCase();
  if ((caseBits & LOWER_EXTENSION) !== 0) extension = extension.toLowerCase();
  return extension === '' ? base : `${base}.${extension}`;
}

/** DOS keeps local time without its zone; it is taken as UTC. */
function timeOf(date: number, time: number): number {
  if (date === 0) return 0;
  const [year, month, day] = [1980 + (date >> 9), (date >> 5) & 15, date & 31];
  return Date.UTC(year, month - 1, day, time >> 11, (time >> 5) & 63, (time & 31) * 2);
}
