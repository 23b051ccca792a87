// Directories of NTFS: B-trees of names, sorted without regard to case (Linux-NTFS documentation, "$INDEX_ROOT",
// "$INDEX_ALLOCATION"). The root node lies in the directory's record, the others in blocks beside it.
import { ParseError } from '@ringwall/bytes';
import type { ByteSource } from '../../source/byte-source.ts';
import { applyFixups, recordNumber, utf16 } from './record.ts';

const ROOT_HEADER_BYTES = 16;
const NODE_HEADER_BYTES = 16;
const BLOCK_HEADER_BYTES = 24;
const ENTRY_HEADER_BYTES = 16;
/** Before the name in $FILE_NAME. */
const FILE_NAME_BYTES = 66;

const HAS_CHILD = 1;
const LAST = 2;

/** A tree of four billion names is not this deep. */
const MAX_DEPTH = 20;
const MIN_BLOCK_BYTES = 512;
const MAX_BLOCK_BYTES = 65_536;

/** Where the cluster is larger than a block, children are counted in these. */
const SMALL_UNIT_BYTES = 512;

/** $FILE_NAME, as records and indexes have it. */
export interface NtfsName {
  readonly name: string;
  /** 0 POSIX, 1 Windows, 2 the short name of DOS, 3 both. */
  readonly namespace: number;
}

export interface NtfsIndexEntry extends NtfsName {
  readonly record: number;
  readonly flags: number;
}

export const DOS_NAMESPACE = 2;

export function parseFileName(bytes: Uint8Array, position: number): NtfsName & { readonly flags: number } {
  if (bytes.length < FILE_NAME_BYTES)
    throw new ParseError('truncated', 'file name', position, `has ${bytes.length} bytes`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = FILE_NAME_BYTES + 2 * view.getUint8(64);
  if (end > bytes.length)
    throw new ParseError('truncated', 'file name', position, `ends at ${end} of ${bytes.length} bytes`);
  return {
    name: utf16(bytes.subarray(FILE_NAME_BYTES, end)),
    namespace: view.getUint8(65),
    flags: view.getUint32(56, true),
  };
}

interface TreeEntry {
  readonly entry: NtfsIndexEntry | undefined;
  /** The child with what comes before this entry, in blocks or their parts. */
  readonly child: number | undefined;
}

export class NtfsIndex {
  readonly #root: Uint8Array;
  readonly #blocks: ByteSource;
  readonly #blockBytes: number;
  readonly #unitBytes: number;
  /** For errors. */
  readonly #position: number;

  constructor(root: Uint8Array, blocks: ByteSource, clusterBytes: number, position: number) {
    if (root.length < ROOT_HEADER_BYTES + NODE_HEADER_BYTES) {
      throw new ParseError('truncated', 'index root', position, `has ${root.length} bytes`);
    }
    this.#root = root;
    this.#blocks = blocks;
    this.#position = position;
    this.#blockBytes = new DataView(root.buffer, root.byteOffset, root.byteLength).getUint32(8, true);
    if (
      this.#blockBytes < MIN_BLOCK_BYTES ||
      this.#blockBytes > MAX_BLOCK_BYTES ||
      this.#blockBytes % MIN_BLOCK_BYTES !== 0
    ) {
      const expected = `expected ${MIN_BLOCK_BYTES}..${MAX_BLOCK_BYTES}`;
      throw new ParseError('invalid', 'index block size', position, `${this.#blockBytes}, ${expected}`);
    }
    this.#unitBytes = this.#blockBytes < clusterBytes ? SMALL_UNIT_BYTES : clusterBytes;
  }

  /** All entries, sorted. */
  entries(): Generator<NtfsIndexEntry> {
    return this.#walk(this.#rootNode(), 0, new Set());
  }

  /** The entry called `name`; of several that differ in case, the one that is written so. */
  find(name: string, fold: (name: string) => string): NtfsIndexEntry | undefined {
    const wanted = fold(name);
    let node: readonly TreeEntry[] = this.#rootNode();
    for (let depth = 0; depth <= MAX_DEPTH; depth += 1) {
      let child: number | undefined;
      let found: NtfsIndexEntry | undefined;
      for (const { entry, child: before } of node) {
        const folded = entry === undefined ? undefined : fold(entry.name);
        if (entry !== undefined && folded === wanted) {
          found = found === undefined || entry.name === name ? entry : found;
          continue;
        }
        if (folded !== undefined && folded < wanted) continue;
        child = before;
        break;
      }
      if (found !== undefined) return found;
      if (child === undefined) return undefined;
      node = this.#block(child);
    }
    throw this.#tooDeep();
  }

  *#walk(node: readonly TreeEntry[], depth: number, seen: Set<number>): Generator<NtfsIndexEntry> {
    if (depth > MAX_DEPTH) throw this.#tooDeep();
    for (const { entry, child } of node) {
      if (child !== undefined) {
        if (seen.has(child))
          throw new ParseError('invalid', 'index child', this.#position, `${child} is in the tree twice`);
        seen.add(child);
        yield* this.#walk(this.#block(child), depth + 1, seen);
      }
      if (entry !== undefined) yield entry;
    }
  }

  #rootNode(): TreeEntry[] {
    return this.#parseNode(this.#root, ROOT_HEADER_BYTES);
  }

  #block(number: number): TreeEntry[] {
    const offset = number * this.#unitBytes;
    return this.#parseNode(
      applyFixups(this.#blocks.read(offset, this.#blockBytes), 'INDX', this.#position),
      BLOCK_HEADER_BYTES,
    );
  }

  /** Entries of a node whose header lies at `header`; offsets in it count from there. */
  #parseNode(bytes: Uint8Array, header: number): TreeEntry[] {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const end = header + view.getUint32(header + 4, true);
    if (end > bytes.length) throw this.#invalid('index length', `${end - header}, beyond its node`);
    const entries: TreeEntry[] = [];
    for (let at = header + view.getUint32(header, true); ;) {
      const length = at + ENTRY_HEADER_BYTES <= end ? view.getUint16(at + 8, true) : 0;
      const keyLength = length === 0 ? 0 : view.getUint16(at + 10, true);
      if (length < ENTRY_HEADER_BYTES || at + length > end || keyLength > length - ENTRY_HEADER_BYTES) {
        throw this.#invalid('index entry length', `${length} with a key of ${keyLength}`);
      }
      const flags = view.getUint16(at + 12, true);
      const hasChild = (flags & HAS_CHILD) !== 0;
      if (hasChild && length < ENTRY_HEADER_BYTES + 8)
        throw this.#invalid('index entry length', `${length}, without its child`);
      const child = hasChild
        ? view.getUint32(at + length - 8, true) + view.getUint32(at + length - 4, true) * 2 ** 32
        : undefined;
      if (child !== undefined && child > 2 ** 40) throw this.#invalid('index child', `${child}, expected at most 2^40`);
      const key = bytes.subarray(at + ENTRY_HEADER_BYTES, at + ENTRY_HEADER_BYTES + keyLength);
      if ((flags & LAST) !== 0) {
        entries.push({ entry: undefined, child });
        return entries;
      }
      entries.push({ entry: { ...parseFileName(key, this.#position), record: recordNumber(view, at) }, child });
      at += length;
    }
  }

  #invalid(field: string, detail: string): ParseError {
    return new ParseError('invalid', field, this.#position, detail);
  }

  #tooDeep(): ParseError {
    return new ParseError('limit', 'index', this.#position, `is deeper than ${MAX_DEPTH} nodes`);
  }
}
