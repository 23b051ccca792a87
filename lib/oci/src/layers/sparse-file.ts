// Files with holes, as GNU tar stores them in its old format and by PAX records of versions 0.0, 0.1 and 1.0, given to whoever reads
// them as they would be unpacked. GNU tar manual, "Storing Sparse Files". What unpacks images (Go's archive/tar) reads all four.
import { ParseError } from '@ringwall/bytes';
import type { PaxRecords } from './pax.ts';

/** A sparse file of a database has thousands. */
export const MAX_SPARSE_PIECES = 100_000;
/** A hole costs no bytes in an archive, and is looked at like others: logs by user id and databases of an honest layer have a few. */
export const MAX_HOLE_BYTES: number = 1024 ** 3;

const ZEROS: Uint8Array = new Uint8Array(64 * 1024);
const VERSIONS: readonly string[] = ['0.0', '0.1', '1.0'];
const NEWLINE = 0x0a;
const MAX_DIGITS = 16;

/** What is stored of a file, one after the other; the rest is holes. */
export interface SparsePiece {
  readonly offset: number;
  readonly bytes: number;
}

/** `content`: the map stands before the contents, as text in whole blocks. undefined: no file with holes. Throws ParseError. */
export function sparseMapOf(records: PaxRecords, offset: number): readonly SparsePiece[] | 'content' | undefined {
  const [major, minor] = [records.get('GNU.sparse.major'), records.get('GNU.sparse.minor')];
  const map = records.get('GNU.sparse.map');
  const version = major === undefined && minor === undefined ? undefined : `${major}.${minor}`;
  if (version !== undefined && !VERSIONS.includes(version))
    throw new ParseError('invalid', 'GNU.sparse.major', offset, `version “${version.slice(0, 20)}” is none`);
  if (version === '1.0') return 'content';
  if (map !== undefined) return parseMap(map, offset);
  // Some programs take the name or the size and some do not: one archive would be two.
  const alone = ['GNU.sparse.name', 'GNU.sparse.size', 'GNU.sparse.realsize'].find((key) => records.has(key));
  if (alone !== undefined || version !== undefined)
    throw new ParseError('invalid', alone ?? 'GNU.sparse.major', offset, 'of a file without a map of its holes');
  return undefined;
}

/** Versions 0.0 and 0.1: offset and length in turn. */
function parseMap(map: string, offset: number): readonly SparsePiece[] {
  const numbers = new NumberList(offset);
  for (const number of map === '' ? [] : map.split(',', 2 * MAX_SPARSE_PIECES + 1)) numbers.add(number);
  return numbers.pieces(0);
}

/** Version 1.0, block by block: the number of pieces, then offset and length of each, a line each. */
export class SparseMapReader {
  readonly #numbers: NumberList;
  #line = '';

  constructor(offset: number) {
    this.#numbers = new NumberList(offset);
  }

  /** The pieces when the block ends the map. Throws ParseError. */
  read(block: Uint8Array): readonly SparsePiece[] | undefined {
    for (const byte of block) {
      if (byte !== NEWLINE) {
        this.#line += String.fromCharCode(byte);
        if (this.#line.length > MAX_DIGITS) this.#numbers.add(this.#line);
        continue;
      }
      this.#numbers.add(this.#line);
      this.#line = '';
      const [count = 0] = this.#numbers.values;
      if (count > MAX_SPARSE_PIECES) this.#numbers.refuse();
      if (this.#numbers.values.length === 1 + 2 * count) return this.#numbers.pieces(1);
    }
    return undefined;
  }
}

class NumberList {
  readonly values: number[] = [];
  readonly #offset: number;

  constructor(offset: number) {
    this.#offset = offset;
  }

  add(digits: string): void {
    if (!/^\d{1,16}$/.test(digits))
      throw new ParseError('invalid', 'sparse map', this.#offset, `“${digits.slice(0, MAX_DIGITS)}” is no number`);
    this.values.push(Number(digits));
    if (this.values.length > 2 * MAX_SPARSE_PIECES + 1) this.refuse();
  }

  refuse(): never {
    throw new ParseError('limit', 'sparse map', this.#offset, `has more than ${MAX_SPARSE_PIECES} pieces`);
  }

  pieces(from: number): readonly SparsePiece[] {
    const pieces: SparsePiece[] = [];
    for (let at = from; at < this.values.length; at += 2) {
      const bytes = this.values[at + 1];
      if (bytes === undefined) throw new ParseError('invalid', 'sparse map', this.#offset, 'ends within a piece');
      pieces.push({ offset: this.values[at] ?? 0, bytes });
    }
    return pieces;
  }
}

/** In order, apart from each other, within the file, and as many bytes as are stored. Throws ParseError. */
export function checkSparseMap(
  pieces: readonly SparsePiece[],
  { size, stored }: { readonly size: number; readonly stored: number },
  offset: number,
): void {
  let [end, bytes] = [0, 0];
  for (const piece of pieces) {
    const follows = piece.offset >= end && piece.bytes >= 0 && piece.offset + piece.bytes <= size;
    if (!follows)
      throw new ParseError(
        'invalid',
        'sparse map',
        offset,
        `${piece.bytes} at ${piece.offset}, after ${end} of ${size}`,
      );
    end = piece.offset + piece.bytes;
    bytes += piece.bytes;
  }
  if (bytes !== stored)
    throw new ParseError('invalid', 'sparse map', offset, `of ${bytes} bytes, and ${stored} are stored`);
}

/** Puts the holes back. */
export class HoleFiller {
  readonly #pieces: readonly SparsePiece[];
  readonly #size: number;
  readonly #wanted: number;
  readonly #give: (chunk: Uint8Array) => void;
  #piece = 0;
  #at = 0;

  /** `give` gets the first `wanted` bytes of the file, in order. */
  constructor(pieces: readonly SparsePiece[], size: number, wanted: number, give: (chunk: Uint8Array) => void) {
    this.#pieces = pieces;
    this.#size = size;
    this.#wanted = Math.min(wanted, size);
    this.#give = give;
  }

  /** How many bytes of holes it is going to give. */
  get holeBytes(): number {
    let stored = 0;
    for (const { offset, bytes } of this.#pieces) stored += Math.max(0, Math.min(bytes, this.#wanted - offset));
    return this.#wanted - stored;
  }

  take(stored: Uint8Array): void {
    let rest = stored;
    while (rest.length > 0) {
      const piece = this.#pieces[this.#piece];
      if (piece === undefined) return;
      this.#zerosUntil(piece.offset);
      const part = rest.subarray(0, piece.offset + piece.bytes - this.#at);
      this.#pass(part);
      rest = rest.subarray(part.length);
      if (this.#at === piece.offset + piece.bytes) this.#piece += 1;
    }
  }

  /** All that is stored was given. */
  end(): void {
    this.#zerosUntil(this.#size);
  }

  #zerosUntil(end: number): void {
    while (this.#at < Math.min(end, this.#wanted)) this.#pass(ZEROS.subarray(0, end - this.#at));
    this.#at = Math.max(this.#at, end);
  }

  #pass(chunk: Uint8Array): void {
    const part = chunk.subarray(0, Math.max(0, this.#wanted - this.#at));
    this.#at += chunk.length;
    if (part.length > 0) this.#give(part);
  }
}
