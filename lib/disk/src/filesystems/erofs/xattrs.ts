// Extended attributes of erofs: some behind the inode, some in a place that inodes share (erofs.rst, "Xattrs").
import { ParseError } from '@ringwall/bytes';
import type { ByteSource } from '../../source/byte-source.ts';
import { decodeFileName } from '../file-name.ts';
import type { ErofsInode } from './inode.ts';
import type { ErofsSuperblock } from './superblock.ts';

const HEADER_BYTES = 12;
const ENTRY_BYTES = 4;
const LONG_PREFIX = 0x80;

const PREFIXES: readonly (string | undefined)[] = [
  undefined,
  'user.',
  'system.posix_acl_access',
  'system.posix_acl_default',
  'trusted.',
  'lustre.',
  'security.',
];

export class ErofsXattrs {
  readonly #source: ByteSource;
  readonly #superblock: ErofsSuperblock;
  #longPrefixes: readonly string[] | undefined;

  constructor(source: ByteSource, superblock: ErofsSuperblock) {
    this.#source = source;
    this.#superblock = superblock;
  }

  of({ xattrStart, xattrBytes }: ErofsInode): ReadonlyMap<string, Uint8Array> {
    const attributes = new Map<string, Uint8Array>();
    if (xattrBytes === 0) return attributes;
    const body = this.#source.read(xattrStart, xattrBytes);
    const view = new DataView(body.buffer, body.byteOffset, xattrBytes);
    const shared = view.getUint8(4);
    let at = HEADER_BYTES + 4 * shared;
    if (at > xattrBytes) {
      throw new ParseError(
        'invalid',
        'h_shared_count',
        xattrStart + 4,
        `${shared}, beyond the ${xattrBytes} bytes there are`,
      );
    }
    for (let index = 0; index < shared; index += 1) {
      const id = view.getUint32(HEADER_BYTES + 4 * index, true);
      this.#read(this.#superblock.sharedXattrStart + 4 * id, attributes);
    }
    while (at + ENTRY_BYTES <= xattrBytes) {
      const length = this.#read(xattrStart + at, attributes);
      at += Math.ceil(length / 4) * 4;
    }
    return attributes;
  }

  /** Reads one attribute; returns its length. */
  #read(position: number, into: Map<string, Uint8Array>): number {
    const header = this.#source.read(position, ENTRY_BYTES);
    const [nameLength = 0, index = 0, low = 0, high = 0] = header;
    const valueLength = low | (high << 8);
    const name = this.#source.read(position + ENTRY_BYTES, nameLength);
    const value = this.#source.read(position + ENTRY_BYTES + nameLength, valueLength);
    into.set(this.#prefix(index, position) + decodeFileName(name), value);
    return ENTRY_BYTES + nameLength + valueLength;
  }

  #prefix(index: number, position: number): string {
    let prefix = PREFIXES[index];
    if ((index & LONG_PREFIX) !== 0) {
      this.#longPrefixes ??= this.#readLongPrefixes();
      prefix = this.#longPrefixes[index & ~LONG_PREFIX];
    }
    if (prefix === undefined)
      throw new ParseError('unsupported', 'e_name_index', position + 1, `${index}, expected 1..6`);
    return prefix;
  }

  /** Each a length of two bytes, the number of a short prefix, and what follows it; aligned to four bytes. */
  #readLongPrefixes(): string[] {
    const { count, start } = this.#superblock.longPrefixes;
    const prefixes: string[] = [];
    let position = start;
    for (let index = 0; index < count; index += 1) {
      const [low = 0, high = 0] = this.#source.read(position, 2);
      const bytes = this.#source.read(position + 2, low | (high << 8));
      prefixes.push((PREFIXES[bytes[0] ?? 0] ?? '') + decodeFileName(bytes.subarray(1)));
      position += Math.ceil((2 + bytes.length) / 4) * 4;
    }
    return prefixes;
  }
}
