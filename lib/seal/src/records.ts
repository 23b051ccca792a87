// The records of a sealed object, one for each chunk or run of chunks without data, and one at the end: docs/sealed-format.md,
// "Records". A record is bound to the manifest, to its place and to the number of all: none can be left out, repeated, or put
// elsewhere.
import { concatBytes, Cursor, unshared, Writer } from '@ringwall/bytes';
import { MAX_CHUNKS, type Manifest } from './manifest.ts';
import { mapBytesOf, PAGE_BYTES } from './pages.ts';
import { SealError } from './seal-error.ts';

export const RECORD_HEADER_BYTES = 12;
export const TAG_BYTES = 16;
export const END_BYTES = 8;

/**
 * `data`: a chunk. `zeros`: so many chunks of zeros. `compressed`: a chunk, as the manifest's compression has it. `kept`: so many
 * chunks as in the parent. `pages`: a chunk, of which only some pages are there.
 */
export const RECORD_TYPES = { data: 1, zeros: 2, compressed: 3, kept: 4, pages: 5, end: 127 } as const;
export type RecordType = keyof typeof RECORD_TYPES;

export interface RecordHeader {
  readonly type: RecordType;
  /** Chunks that it stands for; 0 at the end. */
  readonly chunks: number;
  /** Of the ciphertext, its tag included. */
  readonly bytes: number;
}

export function renderHeader({ type, chunks, bytes }: RecordHeader): Uint8Array<ArrayBuffer> {
  return unshared(new Writer().u32be(RECORD_TYPES[type]).u32be(chunks).u32be(bytes).finish());
}

/** Throws SealError `altered`, `limit`. `offset` is where it lies, `index` its first chunk. */
export function parseHeader(
  bytes: Uint8Array,
  manifest: Manifest,
  { offset, index }: { readonly offset: number; readonly index: number },
): RecordHeader {
  const cursor = new Cursor(bytes, offset);
  const number = cursor.u32be('type');
  const chunks = cursor.u32be('chunks');
  const length = cursor.u32be('bytes');
  const type = TYPES.get(number);
  if (type === undefined || !isRecord({ type, chunks, bytes: length }, manifest)) {
    throw new SealError('altered', `a record of type ${number}, ${chunks} chunks and ${length} bytes is none`, {
      offset,
    });
  }
  if (index + chunks > mostChunksOf(manifest)) {
    const what = `${chunks} chunks behind the first ${index}`;
    throw manifest.bytes === null
      ? new SealError('limit', `${what} are more than an object has`, { offset })
      : new SealError('altered', `${what} are more than the manifest says`, { offset });
  }
  return { type, chunks, bytes: length };
}

/** A record of some bytes may stand for as many zeros as anybody likes: no more than the manifest says, or numbers hold. */
function mostChunksOf({ bytes, chunkBytes }: Manifest): number {
  return bytes === null
    ? Math.min(MAX_CHUNKS, Math.floor(Number.MAX_SAFE_INTEGER / chunkBytes))
    : Math.ceil(bytes / chunkBytes);
}

function isRecord({ type, chunks, bytes }: RecordHeader, { chunkBytes, parent }: Manifest): boolean {
  const plain = bytes - TAG_BYTES;
  switch (type) {
    case 'data':
      return chunks === 1 && plain > 0 && plain <= chunkBytes;
    case 'compressed':
      return chunks === 1 && plain > 0 && plain < chunkBytes;
    case 'pages': {
      const pages = plain - mapBytesOf(chunkBytes);
      return chunks === 1 && pages >= 0 && pages < chunkBytes && pages % PAGE_BYTES === 0;
    }
    case 'zeros':
      return chunks > 0 && plain === 0;
    case 'kept':
      return chunks > 0 && plain === 0 && parent !== null;
    case 'end':
      break;
  }
  return chunks === 0 && plain === END_BYTES;
}

const TYPES: ReadonlyMap<number, RecordType> = new Map([
  [RECORD_TYPES.data, 'data'],
  [RECORD_TYPES.zeros, 'zeros'],
  [RECORD_TYPES.compressed, 'compressed'],
  [RECORD_TYPES.kept, 'kept'],
  [RECORD_TYPES.pages, 'pages'],
  [RECORD_TYPES.end, 'end'],
]);

/** What the cipher takes besides key and text. */
export interface RecordParameters {
  readonly nonce: Uint8Array<ArrayBuffer>;
  readonly associatedData: Uint8Array<ArrayBuffer>;
}

/** What binds a record to its object and its place. */
export class RecordFrame {
  readonly #counter: Uint8Array;
  readonly #bound: Uint8Array;

  constructor({ bytes, chunkBytes, counter }: Manifest, binding: Uint8Array) {
    const total = bytes === null ? UNKNOWN_TOTAL : Math.ceil(bytes / chunkBytes);
    this.#counter = new Writer().u32be(counter).finish();
    this.#bound = concatBytes(binding, new Writer().u64be(BigInt(total)).finish());
  }

  /** `index`: of the record's first chunk. `root`: of the tree, at the end. Throws SealError `limit`. */
  parametersOf(header: Uint8Array, index: number, root: Uint8Array = NOTHING): RecordParameters {
    if (index > MAX_CHUNKS) throw new SealError('limit', `more than ${MAX_CHUNKS} chunks`);
    const place = new Writer().u64be(BigInt(index)).finish();
    return {
      nonce: concatBytes(this.#counter, place),
      associatedData: concatBytes(this.#bound, place, header, root),
    };
  }
}

/** What stands for the number of chunks while nobody knows it: no object has as many. */
const UNKNOWN_TOTAL: number = 2 ** 53 - 1;
const NOTHING: Uint8Array = new Uint8Array();
