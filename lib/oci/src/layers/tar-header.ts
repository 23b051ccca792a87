// One header of a tar archive, as its 512 bytes say it: POSIX.1-1988 ustar, GNU, and the v7 format before both. GNU tar
// manual, "Basic Tar Format"; POSIX.1-2024 pax, "ustar Interchange Format". Whoever made the image controls every byte.
import { Cursor, ParseError } from '@ringwall/bytes';

export const BLOCK_BYTES = 512;

const CHECKSUM_OFFSET = 148;
const CHECKSUM_BYTES = 8;
const BASE_256 = 0x80;
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

export interface SparsePiece {
  readonly offset: number;
  readonly bytes: number;
}

/** Two blocks of zeros end an archive. */
export function isZeroBlock(block: Uint8Array): boolean {
  return block.every((byte) => byte === 0);
}

/** Throws ParseError. `offset` is where the block stands in the archive, for its messages. */
export function parseTarHeader(block: Uint8Array, offset: number): TarHeader {
  verifyChecksum(block, offset);
  const cursor = new Cursor(block);
  const text = (bytes: number, field: string): string => textOf(cursor.take(bytes, field));
  const number = (bytes: number, field: string): number => numberOf(cursor.take(bytes, field), field, offset);
  const name = text(100, 'name');
  const mode = number(8, 'mode');
  const [uid, gid] = [number(8, 'uid'), number(8, 'gid')];
  const [size, mtime] = [number(12, 'size'), number(12, 'mtime')];
  cursor.take(CHECKSUM_BYTES, 'chksum');
  const typeflag = String.fromCharCode(cursor.u8('typeflag'));
  const linkname = text(100, 'linkname');
  const magic = text(8, 'magic');
  const posix = magic.startsWith('ustar');
  const isGnu = magic === 'ustar  ';
  const [uname, gname] = [text(32, 'uname'), text(32, 'gname')];
  const [devmajor, devminor] = posix ? [number(8, 'devmajor'), number(8, 'devminor')] : [0, 0];
  const prefix = posix && !isGnu ? textOf(block.subarray(345, 500)) : '';
  if (!Number.isSafeInteger(size) || size < 0)
    throw new ParseError('invalid', 'size', offset, `${size}, expected a length`);
  return {
    name: prefix === '' ? name : `${prefix}/${name}`,
    mode,
    uid,
    gid,
    size,
    mtime,
    typeflag,
    linkname,
    uname: posix ? uname : '',
    gname: posix ? gname : '',
    devmajor,
    devminor,
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
      offset: numberOf(block.subarray(at, at + 12), 'sparse offset', offset),
      bytes: numberOf(block.subarray(at + 12, at + 24), 'sparse numbytes', offset),
    });
  }
  return pieces;
}

function gnuHeaderOf(block: Uint8Array, offset: number): GnuHeader {
  return {
    sparse: sparsePieces(block, 386, 4, offset),
    isExtended: block[482] === 1,
    realSize: numberOf(block.subarray(483, 495), 'realsize', offset),
  };
}

/** Some old writers summed signed characters. */
function verifyChecksum(block: Uint8Array, offset: number): void {
  let [unsigned, signed] = [0, 0];
  for (let index = 0; index < BLOCK_BYTES; index += 1) {
    const inside = index >= CHECKSUM_OFFSET && index < CHECKSUM_OFFSET + CHECKSUM_BYTES;
    const byte = inside ? 0x20 : (block[index] ?? 0);
    unsigned += byte;
    signed += byte > 127 ? byte - 256 : byte;
  }
  const field = block.subarray(CHECKSUM_OFFSET, CHECKSUM_OFFSET + CHECKSUM_BYTES);
  const stored = numberOf(field, 'chksum', offset);
  if (stored !== unsigned && stored !== signed) {
    throw new ParseError('invalid', 'chksum', offset, `${stored}, expected ${unsigned}`);
  }
}

/** Octal digits, or since GNU tar 1.0 the number itself where the first bit is set. */
function numberOf(bytes: Uint8Array, field: string, offset: number): number {
  const first = bytes[0] ?? 0;
  if ((first & BASE_256) !== 0) {
    // The second bit is the sign.
    let value = BigInt(first & 0x7f) - ((first & 0x40) === 0 ? 0n : 0x80n);
    for (const byte of bytes.subarray(1)) value = value * 256n + BigInt(byte);
    if (value > MAX_NUMBER || value < -MAX_NUMBER)
      throw new ParseError('limit', field, offset, `${value} is beyond any file`);
    return Number(value);
  }
  const digits = textOf(bytes).trim();
  if (digits === '') return 0;
  if (!/^[0-7]+$/.test(digits)) throw new ParseError('invalid', field, offset, 'is no octal number');
  return Number.parseInt(digits, 8);
}

const decoder: TextDecoder = new TextDecoder('utf-8');

function textOf(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return decoder.decode(end < 0 ? bytes : bytes.subarray(0, end));
}
