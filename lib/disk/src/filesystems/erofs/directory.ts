// Directories of erofs: each block begins with entries of 12 bytes, sorted, and their names follow (erofs.rst, "Directories").
import { ParseError } from '@ringwall/bytes';
import type { ByteSource } from '../../source/byte-source.ts';
import { compareBytes } from '../compare-bytes.ts';
import type { FileKind } from '../file-system.ts';
import { kindOfEntry } from '../node-kind.ts';

const ENTRY_BYTES = 12;

/** Names are at most this long (EROFS_NAME_LEN). */
const MAX_NAME_BYTES = 255;

export interface ErofsEntry {
  readonly rawName: Uint8Array;
  readonly nid: number;
  readonly kind: FileKind | undefined;
}

/** Entries in order, also '.' and '..'. */
export function* readDirectory(contents: ByteSource, blockBytes: number): Generator<ErofsEntry> {
  for (let at = 0; at < contents.size; at += blockBytes) yield* new DirectoryBlock(contents, at, blockBytes).entries();
}

/** Finds the block by the first names of blocks, then the entry. */
export function findEntry(contents: ByteSource, blockBytes: number, name: Uint8Array): ErofsEntry | undefined {
  let low = 0;
  let high = Math.ceil(contents.size / blockBytes);
  while (low < high) {
    const middle = (low + high) >>> 1;
    const block = new DirectoryBlock(contents, middle * blockBytes, blockBytes);
    if (compareBytes(block.entry(0).rawName, name) <= 0) low = middle + 1;
    else high = middle;
  }
  if (low === 0) return undefined;
  const block = new DirectoryBlock(contents, (low - 1) * blockBytes, blockBytes);
  for (const entry of block.entries()) if (compareBytes(entry.rawName, name) === 0) return entry;
  return undefined;
}

class DirectoryBlock {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #at: number;
  readonly #count: number;

  constructor(contents: ByteSource, at: number, blockBytes: number) {
    this.#at = at;
    this.#bytes = contents.read(at, Math.min(blockBytes, contents.size - at));
    this.#view = new DataView(this.#bytes.buffer, this.#bytes.byteOffset, this.#bytes.byteLength);
    if (this.#bytes.length < ENTRY_BYTES) throw this.#error('nameoff', `is in a block of ${this.#bytes.length} bytes`);
    const first = this.#view.getUint16(8, true);
    if (first < ENTRY_BYTES || first % ENTRY_BYTES !== 0 || first >= this.#bytes.length) {
      throw this.#error(
        'nameoff',
        `${first}, expected a multiple of ${ENTRY_BYTES} within ${this.#bytes.length} bytes`,
      );
    }
    this.#count = first / ENTRY_BYTES;
  }

  *entries(): Generator<ErofsEntry> {
    for (let index = 0; index < this.#count; index += 1) yield this.entry(index);
  }

  entry(index: number): ErofsEntry {
    const view = this.#view;
    const at = index * ENTRY_BYTES;
    const nid = view.getUint32(at, true) + view.getUint32(at + 4, true) * 2 ** 32;
    if (nid > 2 ** 44) throw this.#error('nid', `${nid}, expected at most 2^44`);
    const start = view.getUint16(at + 8, true);
    const last = index + 1 === this.#count;
    let end = last ? this.#bytes.length : view.getUint16(at + ENTRY_BYTES + 8, true);
    if (start >= end || end > this.#bytes.length) {
      throw this.#error('nameoff', `${start}, expected less than ${end}, within ${this.#bytes.length} bytes`);
    }
    // The last name ends at a NUL where the block is longer.
    const nul = last ? this.#bytes.indexOf(0, start) : -1;
    if (nul !== -1) end = nul;
    if (end - start > MAX_NAME_BYTES)
      throw this.#error('nameoff', `a name of ${end - start} bytes, expected at most 255`);
    return { rawName: this.#bytes.subarray(start, end), nid, kind: kindOfEntry(view.getUint8(at + 10)) };
  }

  #error(field: string, detail: string): ParseError {
    return new ParseError('invalid', field, this.#at, detail);
  }
}
