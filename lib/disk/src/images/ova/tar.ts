// The entries of a tar archive, in place: ustar, GNU's long names, and pax headers (POSIX.1-2017, pax, "ustar Interchange
// Format"). Only plain files are given; links and devices have no place in what this library reads from archives.
import { ParseError } from '@ringwall/bytes';
import { windowOf, type ByteSource } from '../../source/byte-source.ts';
import { cursorAt } from '../fields.ts';

const BLOCK_BYTES = 512;
const CHECKSUM_OFFSET = 148;
/** An OVA has a handful. */
const MAX_ENTRIES = 4096;
const MAX_EXTENDED_BYTES = 65_536;

export interface TarFile {
  readonly name: string;
  readonly size: number;
  /** Where its bytes lie in the archive. */
  readonly offset: number;
  readonly source: ByteSource;
}

interface RawEntry {
  readonly name: string;
  readonly size: number;
  readonly type: string;
}

export function hasTarHeader(source: ByteSource): boolean {
  if (source.size < BLOCK_BYTES) return false;
  return latin1(source.read(257, 5)) === 'ustar' && checksumFits(source.read(0, BLOCK_BYTES));
}

/** In the order in which they lie there. Throws at a link, a device, or a name that comes twice. */
export function* tarFiles(source: ByteSource): Generator<TarFile> {
  const names = new Set<string>();
  let longName: string | undefined;
  let entries = 0;
  for (let at = 0; at + BLOCK_BYTES <= source.size;) {
    const entry = readEntry(source, at);
    if (entry === undefined) return;
    entries += 1;
    if (entries > MAX_ENTRIES) throw new ParseError('limit', 'entries', at, `more than ${MAX_ENTRIES}`);
    const offset = at + BLOCK_BYTES;
    const contents = windowOf(source, offset, entry.size, 'tar size');
    at = offset + Math.ceil(entry.size / BLOCK_BYTES) * BLOCK_BYTES;
    if ('Lxg'.includes(entry.type)) {
      longName = extendedName(contents, entry.type, offset) ?? longName;
      continue;
    }
    const name = longName ?? entry.name;
    longName = undefined;
    if (entry.type === '5') continue;
    if (entry.type !== '0') {
      throw new ParseError(
        'unsupported',
        'tar typeflag',
        offset - BLOCK_BYTES + 156,
        `${JSON.stringify(entry.type)} (${name}), expected plain files`,
      );
    }
    if (names.has(name))
      throw new ParseError('invalid', 'tar name', offset - BLOCK_BYTES, `${JSON.stringify(name)} a second time`);
    names.add(name);
    yield { name, size: entry.size, offset, source: contents };
  }
}

/** Undefined at the block of zeros that ends an archive. */
function readEntry(source: ByteSource, at: number): RawEntry | undefined {
  const bytes = source.read(at, BLOCK_BYTES);
  if (bytes.every((byte) => byte === 0)) return undefined;
  if (!checksumFits(bytes))
    throw new ParseError('invalid', 'tar checksum', at + CHECKSUM_OFFSET, 'does not fit its header');
  const text = (start: number, length: number): string => {
    const field = bytes.subarray(start, start + length);
    const end = field.indexOf(0);
    return new TextDecoder().decode(end === -1 ? field : field.subarray(0, end));
  };
  const type = text(156, 1);
  const prefix = text(257, 5) === 'ustar' && bytes[262] === 0 ? text(345, 155) : '';
  const name = prefix === '' ? text(0, 100) : `${prefix}/${text(0, 100)}`;
  return { name, size: numberAt(bytes, 124, 12, at), type: type === '' ? '0' : type };
}

/** Octal digits, or GNU's binary where those do not suffice. */
function numberAt(bytes: Uint8Array, start: number, length: number, at: number): number {
  const field = bytes.subarray(start, start + length);
  let value: number;
  if ((field[0] ?? 0) >= 0x80) {
    value = [...field.subarray(1)].reduce((total, byte) => total * 256 + byte, (field[0] ?? 0) & 0x7f);
  } else {
    const text = latin1(field).replaceAll('\0', ' ').trim();
    value = /^[0-7]+$/.test(text) ? Number.parseInt(text, 8) : Number.NaN;
  }
  if (!Number.isSafeInteger(value))
    throw new ParseError('invalid', 'tar size', at + start, `${value}, expected a whole number`);
  return value;
}

function checksumFits(bytes: Uint8Array): boolean {
  const stored = Number.parseInt(latin1(bytes.subarray(CHECKSUM_OFFSET, CHECKSUM_OFFSET + 8)).replaceAll('\0', ' '), 8);
  let sum = 0;
  for (let index = 0; index < BLOCK_BYTES; index += 1) {
    const counted = index < CHECKSUM_OFFSET || index >= CHECKSUM_OFFSET + 8;
    sum += counted ? (bytes[index] ?? 0) : 0x20;
  }
  return stored === sum;
}

/** The name of the entry that follows, where this one says it. */
function extendedName(contents: ByteSource, type: string, offset: number): string | undefined {
  if (contents.size > MAX_EXTENDED_BYTES) {
    throw new ParseError(
      'limit',
      'tar extended header',
      offset,
      `${contents.size} bytes, expected at most ${MAX_EXTENDED_BYTES}`,
    );
  }
  const text = new TextDecoder().decode(
    cursorAt(contents, 0, contents.size, 'tar extended header').rest('tar extended header'),
  );
  if (type === 'L') return text.replace(/\0+$/, '');
  if (/^\d+ (?:size|linkpath|GNU\.sparse[^=]*)=/m.test(text)) {
    throw new ParseError('unsupported', 'tar extended header', offset, 'changes more than a name');
  }
  return /^\d+ path=(.*)$/m.exec(text)?.[1];
}

function latin1(bytes: Uint8Array): string {
  return new TextDecoder('latin1').decode(bytes);
}
