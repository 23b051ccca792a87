// One header of a tar archive, as its 512 bytes say it: POSIX.1-1988 ustar, GNU, and the v7 format before both. GNU tar
// manual, "Basic Tar Format"; POSIX.1-2024 pax, "ustar Interchange Format". Whoever made the image controls every byte.
import { ParseError } from '@ringwall/bytes';
import type { SparsePiece } from './sparse-file.ts';

export const BLOCK_BYTES = 512;

/** Where the fields lie, and how long they are. A layer has hundred thousands of headers: they are read where they lie. */
const FIELDS = {
  name: [0, 100],
  mode: [100, 8],
  uid: [108, 8],
  gid: [116, 8],
  size: [124, 12],
  mtime: [136, 12],
  chksum: [148, 8],
  linkname: [157, 100],
  uname: [265, 32],
  gname: [297, 32],
  devmajor: [329, 8],
  devminor: [337, 8],
  prefix: [345, 155],
  realsize: [483, 12],
} as const satisfies Readonly<Record<string, readonly [at: number, bytes: number]>>;
const TYPEFLAG_OFFSET = 156;
/** `ustar`, and what follows it: a zero and the version, or the two spaces and the zero of GNU. */
const MAGIC_OFFSET = 257;
const POSIX_MAGIC = [0x75, 0x73, 0x74, 0x61, 0x72] as const;
const GNU_MAGIC = [...POSIX_MAGIC, 0x20, 0x20, 0] as const;
const SPARSE_OFFSET = 386;
const SPARSE_PIECES = 4;
const IS_EXTENDED_OFFSET = 482;
const BASE_256 = 0x80;
const SPACE = 0x20;
/** Numbers beyond it are not exact any more, and no file has as many bytes. */
const MAX_NUMBER: bigint = BigInt(Number.MAX_SAFE_INTEGER);

/** Field names as in POSIX. */
export interface TarHeader {
  readonly name: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly mtime: number;
  readonly typeflag: string;
  readonly linkname: string;
  readonly uname: string;
  readonly gname: string;
  readonly devmajor: number;
  readonly devminor: number;
  /** What GNU keeps where ustar has `prefix`: sparse maps of its old format. */
  readonly gnu: GnuHeader | undefined;
}

export interface GnuHeader {
  readonly sparse: readonly SparsePiece[];
  readonly isExtended: boolean;
  readonly realSize: number;
}

/** Two blocks of zeros end an archive. */
export function isZeroBlock(block: Uint8Array): boolean {
  return block.every((byte) => byte === 0);
}

/** Throws ParseError. `offset` is where the block stands in the archive, for its messages. */
export function parseTarHeader(block: Uint8Array, offset: number): TarHeader {
  verifyChecksum(block, offset);
  const text = (field: keyof typeof FIELDS): string => textAt(block, FIELDS[field][0], FIELDS[field][1]);
  const number = (field: keyof typeof FIELDS): number => {
    const [at, bytes] = FIELDS[field];
    return numberAt(block, at, bytes, field, offset);
  };
  const isPosix = begins(block, MAGIC_OFFSET, POSIX_MAGIC);
  const isGnu = begins(block, MAGIC_OFFSET, GNU_MAGIC);
  const name = text('name');
  const prefix = isPosix && !isGnu ? text('prefix') : '';
  const size = number('size');
  if (!Number.isSafeInteger(size) || size < 0)
    throw new ParseError('invalid', 'size', offset, `${size}, expected a length`);
  return {
    name: prefix === '' ? name : `${prefix}/${name}`,
    mode: number('mode'),
    uid: number('uid'),
    gid: number('gid'),
    size,
    mtime: number('mtime'),
    typeflag: String.fromCharCode(block[TYPEFLAG_OFFSET] ?? 0),
    linkname: text('linkname'),
    uname: isPosix ? text('uname') : '',
    gname: isPosix ? text('gname') : '',
    devmajor: isPosix ? number('devmajor') : 0,
    devminor: isPosix ? number('devminor') : 0,
    gnu: isGnu ? gnuHeaderOf(block, offset) : undefined,
  };
}

/** `struct sp_array` of old GNU sparse files: the four in the header, or the 21 of an extension block. */
export function sparsePieces(block: Uint8Array, from: number, count: number, offset: number): readonly SparsePiece[] {
  const pieces: SparsePiece[] = [];
  for (let index = 0; index < count; index += 1) {
    const at = from + index * 24;
    if (block[at] === 0) break;
    pieces.push({
      offset: numberAt(block, at, 12, 'sparse offset', offset),
      bytes: numberAt(block, at + 12, 12, 'sparse numbytes', offset),
    });
  }
  return pieces;
}

function gnuHeaderOf(block: Uint8Array, offset: number): GnuHeader {
  return {
    sparse: sparsePieces(block, SPARSE_OFFSET, SPARSE_PIECES, offset),
    isExtended: block[IS_EXTENDED_OFFSET] === 1,
    realSize: numberAt(block, ...FIELDS.realsize, 'realsize', offset),
  };
}

/** The field itself counts as spaces. Some old writers summed signed characters. */
function verifyChecksum(block: Uint8Array, offset: number): void {
  const [at, bytes] = FIELDS.chksum;
  let [sum, beyond7Bits] = [0, 0];
  for (let index = 0; index < BLOCK_BYTES; index += 1) {
    const byte = block[index] ?? 0;
    sum += byte;
    beyond7Bits += byte >> 7;
  }
  for (let index = at; index < at + bytes; index += 1) {
    const byte = block[index] ?? 0;
    sum += SPACE - byte;
    beyond7Bits -= byte >> 7;
  }
  const stored = numberAt(block, at, bytes, 'chksum', offset);
  if (stored !== sum && stored !== sum - 256 * beyond7Bits)
    throw new ParseError('invalid', 'chksum', offset, `${stored}, expected ${sum}`);
}

function begins(block: Uint8Array, at: number, magic: readonly number[]): boolean {
  return magic.every((byte, index) => block[at + index] === byte);
}

/** Octal digits, or since GNU tar 1.0 the number itself where the first bit is set. */
function numberAt(block: Uint8Array, at: number, bytes: number, field: string, offset: number): number {
  const first = block[at] ?? 0;
  if ((first & BASE_256) !== 0) return base256At(block, at, bytes, field, offset);
  let [from, end] = [at, lengthAt(block, at, bytes) + at];
  while (from < end && isBlank(block[from])) from += 1;
  while (end > from && isBlank(block[end - 1])) end -= 1;
  let value = 0;
  for (let index = from; index < end; index += 1) {
    const digit = (block[index] ?? 0) - 0x30;
    if (digit < 0 || digit > 7) throw new ParseError('invalid', field, offset, 'is no octal number');
    value = value * 8 + digit;
  }
  return value;
}

function base256At(block: Uint8Array, at: number, bytes: number, field: string, offset: number): number {
  const first = block[at] ?? 0;
  // The second bit is the sign.
  let value = BigInt(first & 0x7f) - ((first & 0x40) === 0 ? 0n : 0x80n);
  for (const byte of block.subarray(at + 1, at + bytes)) value = value * 256n + BigInt(byte);
  if (value > MAX_NUMBER || value < -MAX_NUMBER)
    throw new ParseError('limit', field, offset, `${value} is beyond any file`);
  return Number(value);
}

/** Space, and what C's `isspace` calls so. */
function isBlank(byte: number | undefined): boolean {
  return byte === SPACE || (byte !== undefined && byte >= 0x09 && byte <= 0x0d);
}

const decoder: TextDecoder = new TextDecoder('utf-8');

function textAt(block: Uint8Array, at: number, bytes: number): string {
  const length = lengthAt(block, at, bytes);
  return length === 0 ? '' : decoder.decode(block.subarray(at, at + length));
}

/** Until the zero. */
function lengthAt(block: Uint8Array, at: number, bytes: number): number {
  let length = 0;
  while (length < bytes && block[at + length] !== 0) length += 1;
  return length;
}
