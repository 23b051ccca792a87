// A tar archive read as it comes, chunk by chunk, without holding more than a header: the entries of a layer, their
// contents to whoever asks for them, and what about them is a trap. OCI Image Specification 1.1, "Image Layer Filesystem
// Changeset". Nothing is written anywhere.
import { ParseError } from '@ringwall/bytes';
import { ATTRIBUTE, MAX_PAX_BYTES, parsePax, paxNumber, type PaxRecords } from './pax.ts';
import { BLOCK_BYTES, isZeroBlock, parseTarHeader, sparsePieces, type TarHeader } from './tar-header.ts';

/** An image of all of Debian has some; each is an object for whoever keeps them. */
export const MAX_ENTRIES = 4_000_000;
/** PATH_MAX of Linux. */
export const MAX_PATH_BYTES = 4096;
/** A sparse file of a database has thousands. */
const MAX_SPARSE_PIECES = 100_000;
/** Layers that unpack to more are bombs; the largest honest ones, with models in them, have some 50 GB. */
export const MAX_UNPACKED_BYTES: number = 256 * 1024 ** 3;

export type EntryType =
  | 'file'
  | 'directory'
  | 'symlink'
  | 'hardlink'
  | 'character-device'
  | 'block-device'
  | 'fifo'
  | 'other';

/** `outside`: its path, or `link-outside`: its target, leaves the root. `device`: it would open the host's. */
export type Hazard = 'outside' | 'link-outside' | 'device';

export interface TarEntry {
  /** From the root, without a slash at either end; what would leave the root is cut at it. Empty for the root. */
  readonly path: string;
  readonly type: EntryType;
  /** Permission bits with set-uid, set-gid and sticky. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly userName: string;
  readonly groupName: string;
  /** Of the file as it would be unpacked, its holes too. */
  readonly bytes: number;
  /** Seconds since 1970. */
  readonly modified: number;
  /** Of links, as written. */
  readonly target: string;
  /** `security.capability` and the like, as PAX writes them. */
  readonly attributes: ReadonlyMap<string, string>;
  readonly isSparse: boolean;
  readonly hazards: readonly Hazard[];
}

export interface TarVisitor {
  /**
   * What it gives back takes the contents: the bytes that are stored, holes left out. Where the archive is of PAX sparse
   * format 1.0, the map of the holes comes first, in blocks of 512 bytes.
   */
  readonly entry: (entry: TarEntry) => ((chunk: Uint8Array) => void) | undefined;
}

export interface TarReader {
  /** Chunks of any size, in order. Throws ParseError. */
  readonly push: (chunk: Uint8Array) => void;
  /** Throws ParseError where the archive is not over. */
  readonly end: () => void;
}

const TYPES: Readonly<Record<string, EntryType>> = {
  '\0': 'file',
  '0': 'file',
  '1': 'hardlink',
  '2': 'symlink',
  '3': 'character-device',
  '4': 'block-device',
  '5': 'directory',
  '6': 'fifo',
  '7': 'file',
  S: 'file',
};
/** What Linux stores for one file, with room for their text form. */
const MAX_ATTRIBUTE_CHARACTERS: number = 128 * 1024;
/** What one record may say for all entries that follow. A path or a size for all of them would be a trap. */
const GLOBAL_KEYS: readonly string[] = ['uid', 'gid', 'uname', 'gname', 'mtime'];
const NEVER_GLOBAL: readonly string[] = ['path', 'linkpath', 'size', 'GNU.sparse.name', 'GNU.sparse.realsize'];
const decoder: TextDecoder = new TextDecoder('utf-8');

export function openTarReader(visitor: TarVisitor): TarReader {
  const reader = new Reader(visitor);
  return { push: (chunk) => reader.push(chunk), end: () => reader.end() };
}

type Expecting =
  | { readonly what: 'header' }
  | { readonly what: 'metadata'; readonly header: TarHeader; readonly bytes: Uint8Array; filled: number }
  | { readonly what: 'sparse-map'; readonly header: TarHeader; pieces: number }
  | { readonly what: 'content'; readonly take: ((chunk: Uint8Array) => void) | undefined; left: number }
  | { readonly what: 'padding'; left: number }
  | { readonly what: 'nothing' };

class Reader {
  readonly #visitor: TarVisitor;
  readonly #block: Uint8Array = new Uint8Array(BLOCK_BYTES);
  #filled = 0;
  #expecting: Expecting = { what: 'header' };
  #offset = 0;
  #entries = 0;
  #unpackedBytes = 0;
  #zeroBlocks = 0;
  /** Of extended headers since the last entry. */
  #metadataBytes = 0;
  /** For all entries that follow (`g`), and for the next one alone (`x`, `L`, `K`). */
  #global: Map<string, string> = new Map();
  #next: Map<string, string> = new Map();

  constructor(visitor: TarVisitor) {
    this.#visitor = visitor;
  }

  push(chunk: Uint8Array): void {
    let at = 0;
    while (at < chunk.length) {
      const taken = this.#take(chunk.subarray(at));
      at += taken;
      this.#offset += taken;
    }
  }

  end(): void {
    const { what } = this.#expecting;
    // Some writers leave the blocks of zeros out; none ends within an entry.
    if (what === 'nothing' || (what === 'header' && this.#filled === 0 && this.#next.size === 0)) return;
    throw new ParseError('truncated', 'archive', this.#offset, `ends where ${what} should go on`);
  }

  #take(chunk: Uint8Array): number {
    const state = this.#expecting;
    if (state.what === 'header' || state.what === 'sparse-map') return this.#fillBlock(chunk, state);
    switch (state.what) {
      case 'nothing':
        // Archives are padded to the size of a tape's record.
        break;
      case 'content': {
        const part = chunk.subarray(0, state.left);
        state.take?.(part);
        state.left -= part.length;
        if (state.left === 0) this.#skipPadding();
        return part.length;
      }
      case 'padding': {
        const skipped = Math.min(chunk.length, state.left);
        state.left -= skipped;
        if (state.left === 0) this.#expecting = { what: 'header' };
        return skipped;
      }
      case 'metadata': {
        const part = chunk.subarray(0, state.bytes.length - state.filled);
        state.bytes.set(part, state.filled);
        state.filled += part.length;
        if (state.filled === state.bytes.length) this.#keepMetadata(state.header, state.bytes);
        return part.length;
      }
    }
    return chunk.length;
  }

  #fillBlock(chunk: Uint8Array, state: Expecting & { what: 'header' | 'sparse-map' }): number {
    const part = chunk.subarray(0, BLOCK_BYTES - this.#filled);
    this.#block.set(part, this.#filled);
    this.#filled += part.length;
    if (this.#filled < BLOCK_BYTES) return part.length;
    this.#filled = 0;
    if (state.what === 'header') this.#readHeader();
    else this.#readSparseMap(state);
    return part.length;
  }

  #readHeader(): void {
    if (isZeroBlock(this.#block)) {
      this.#zeroBlocks += 1;
      if (this.#zeroBlocks === 2) this.#expecting = { what: 'nothing' };
      return;
    }
    this.#zeroBlocks = 0;
    this.#entries += 1;
    if (this.#entries > MAX_ENTRIES) throw this.#error('limit', 'archive', `has more than ${MAX_ENTRIES} entries`);
    const header = parseTarHeader(this.#block, this.#offset);
    if ('xgLK'.includes(header.typeflag)) {
      // Several may come before one entry.
      this.#metadataBytes += header.size;
      if (this.#metadataBytes > MAX_PAX_BYTES) {
        throw this.#error('limit', 'size', `${this.#metadataBytes} of extended headers, at most ${MAX_PAX_BYTES}`);
      }
      const bytes = new Uint8Array(header.size);
      this.#expecting = { what: 'metadata', header, bytes, filled: 0 };
      if (header.size === 0) this.#keepMetadata(header, bytes);
    } else if (header.typeflag === 'S' && header.gnu?.isExtended === true) {
      this.#expecting = { what: 'sparse-map', header, pieces: header.gnu.sparse.length };
    } else {
      this.#startEntry(header);
    }
  }

  /** The pieces say where the bytes go; here they need only be bounded. */
  #readSparseMap(state: { readonly header: TarHeader; pieces: number }): void {
    state.pieces += sparsePieces(this.#block, 0, 21, this.#offset).length;
    if (state.pieces > MAX_SPARSE_PIECES)
      throw this.#error('limit', 'sparse map', `has more than ${MAX_SPARSE_PIECES} pieces`);
    if (this.#block[504] !== 1) this.#startEntry(state.header);
  }

  #keepMetadata(header: TarHeader, bytes: Uint8Array): void {
    if (header.typeflag === 'L' || header.typeflag === 'K') {
      const end = bytes.indexOf(0);
      this.#next.set(
        header.typeflag === 'L' ? 'path' : 'linkpath',
        decoder.decode(bytes.subarray(0, end < 0 ? bytes.length : end)),
      );
    } else {
      for (const [key, value] of parsePax(bytes, this.#offset)) this.#keepRecord(header.typeflag, key, value);
    }
    this.#expecting = { what: 'content', take: undefined, left: 0 };
    this.#left = header.size;
    this.#skipPadding();
  }

  #keepRecord(typeflag: string, key: string, value: string): void {
    if (typeflag === 'x') this.#next.set(key, value);
    else if (NEVER_GLOBAL.includes(key)) throw this.#error('invalid', key, 'for all entries that follow');
    else if (GLOBAL_KEYS.includes(key)) this.#global.set(key, value);
  }

  #startEntry(header: TarHeader): void {
    this.#metadataBytes = 0;
    const records: PaxRecords = new Map([...this.#global, ...this.#next]);
    this.#next = new Map();
    const stored = paxNumber(records, 'size', this.#offset) ?? header.size;
    if (stored < 0) throw this.#error('invalid', 'size', `${stored}, expected a length`);
    const type = TYPES[header.typeflag] ?? 'other';
    const entry = this.#entryOf(header, records, type, stored);
    this.#unpackedBytes += entry.bytes;
    if (this.#unpackedBytes > MAX_UNPACKED_BYTES)
      throw this.#error('limit', 'archive', `unpacks to more than ${MAX_UNPACKED_BYTES} bytes`);
    const take = this.#visitor.entry(entry);
    // POSIX: links, devices and folders have no contents, whatever their size says; pax gives hard links theirs.
    const hasContent = type === 'file' || type === 'hardlink' || type === 'other';
    this.#left = hasContent ? stored : 0;
    this.#expecting = { what: 'content', take, left: this.#left };
    if (this.#left === 0) this.#skipPadding();
  }

  #entryOf(header: TarHeader, records: PaxRecords, type: EntryType, stored: number): TarEntry {
    const sparseSize =
      paxNumber(records, 'GNU.sparse.realsize', this.#offset) ?? paxNumber(records, 'GNU.sparse.size', this.#offset);
    const name = records.get('GNU.sparse.name') ?? records.get('path') ?? header.name;
    const target = type === 'symlink' || type === 'hardlink' ? (records.get('linkpath') ?? header.linkname) : '';
    if (name.length > MAX_PATH_BYTES || target.length > MAX_PATH_BYTES)
      throw this.#error('limit', 'path', `longer than ${MAX_PATH_BYTES}`);
    if (`${name}${target}`.includes('\0')) throw this.#error('invalid', 'path', 'holds a zero');
    const { path, leaves } = pathFromRoot(name);
    const hazards: Hazard[] = leaves ? ['outside'] : [];
    if (linkLeaves(type, path, target)) hazards.push('link-outside');
    if (type === 'character-device' || type === 'block-device') hazards.push('device');
    const isFolder = type === 'file' && name.endsWith('/');
    const attributes = attributesOf(records);
    const attributeCharacters = [...attributes].reduce((sum, [key, value]) => sum + key.length + value.length, 0);
    if (attributeCharacters > MAX_ATTRIBUTE_CHARACTERS)
      throw this.#error('limit', 'attributes', `have more than ${MAX_ATTRIBUTE_CHARACTERS} characters`);
    const realSize = sparseSize ?? (header.typeflag === 'S' ? (header.gnu?.realSize ?? stored) : stored);
    if (realSize < 0) throw this.#error('invalid', 'realsize', `${realSize}, expected a length`);
    return {
      path,
      type: isFolder ? 'directory' : type,
      mode: header.mode & 0o7777,
      uid: paxNumber(records, 'uid', this.#offset) ?? header.uid,
      gid: paxNumber(records, 'gid', this.#offset) ?? header.gid,
      userName: records.get('uname') ?? header.uname,
      groupName: records.get('gname') ?? header.gname,
      bytes: type === 'file' ? realSize : 0,
      modified: paxNumber(records, 'mtime', this.#offset) ?? header.mtime,
      target,
      attributes,
      isSparse: header.typeflag === 'S' || sparseSize !== undefined || records.has('GNU.sparse.major'),
      hazards,
    };
  }

  /** Bytes of the current entry, whose padding follows them. */
  #left = 0;

  #skipPadding(): void {
    const padding = (BLOCK_BYTES - (this.#left % BLOCK_BYTES)) % BLOCK_BYTES;
    this.#expecting = padding === 0 ? { what: 'header' } : { what: 'padding', left: padding };
  }

  #error(code: 'limit' | 'invalid', field: string, detail: string): ParseError {
    return new ParseError(code, field, this.#offset, detail);
  }
}

/** Most entries have none, and share the one that is empty: of a million maps each would have some hundred bytes. */
const NO_ATTRIBUTES: ReadonlyMap<string, string> = new Map();

function attributesOf(records: PaxRecords): ReadonlyMap<string, string> {
  const own = [...records].filter(([key]) => key.startsWith(ATTRIBUTE));
  return own.length === 0 ? NO_ATTRIBUTES : new Map(own.map(([key, value]) => [key.slice(ATTRIBUTE.length), value]));
}

/** `./a//b/../c` → `a/c`; `..` at the root stays at the root, and is told. */
export function pathFromRoot(name: string): { readonly path: string; readonly leaves: boolean } {
  const parts: string[] = [];
  let leaves = false;
  for (const part of name.split('/')) {
    if (part === '' || part === '.') continue;
    if (part !== '..') parts.push(part);
    else if (parts.pop() === undefined) leaves = true;
  }
  return { path: parts.join('/'), leaves };
}

/** A symbolic link counts from its folder or from the root; a hard link always from the root. */
function linkLeaves(type: EntryType, path: string, target: string): boolean {
  if (type === 'hardlink') return pathFromRoot(target).leaves;
  if (type !== 'symlink' || target.startsWith('/')) return false;
  const folder = path.slice(0, Math.max(0, path.lastIndexOf('/')));
  return pathFromRoot(`${folder}/${target}`).leaves;
}
