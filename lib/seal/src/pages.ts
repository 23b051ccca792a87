// A chunk in pages, of which some are zero or as in the parent: docs/sealed-format.md, "Pages". Memory is like that: one page in a
// mebibyte has changed.
import { concatBytes, firstNonZero } from '@ringwall/bytes';

/** That of the processors that matter, and the block of most file systems. */
export const PAGE_BYTES = 4096;

const PAGE_KINDS = ['data', 'zeros', 'kept'] as const;
export type PageKind = (typeof PAGE_KINDS)[number];

/** Pages of one kind behind one another. */
export interface Run {
  readonly kind: PageKind;
  /** In the chunk, in bytes. */
  readonly at: number;
  readonly length: number;
}

/** Whether a page of the contents, by its number, is as in the parent. */
export type IsKept = (page: number) => boolean;

/** Of the map: two bits a page. */
export function mapBytesOf(chunkBytes: number): number {
  return Math.ceil(chunkBytes / PAGE_BYTES / 4);
}

/** What a chunk consists of, in as few runs as can be. `firstPage`: its number in the contents. */
export function runsOf(chunk: Uint8Array, firstPage: number, isKept: IsKept | undefined): readonly Run[] {
  const runs: { kind: PageKind; at: number; length: number }[] = [];
  let last: (typeof runs)[number] | undefined;
  for (let at = 0; at < chunk.length; at += PAGE_BYTES) {
    const length = Math.min(PAGE_BYTES, chunk.length - at);
    const kind = isKept?.(firstPage + at / PAGE_BYTES) === true ? 'kept' : kindOf(chunk, at, length);
    if (last?.kind === kind) last.length += length;
    else {
      last = { kind, at, length };
      runs.push(last);
    }
  }
  return runs;
}

export function renderMap(runs: readonly Run[], chunkBytes: number): Uint8Array<ArrayBuffer> {
  const map = new Uint8Array(mapBytesOf(chunkBytes));
  for (const { kind, at, length } of runs) {
    const value = PAGE_KINDS.indexOf(kind);
    for (let page = at / PAGE_BYTES; page < (at + length) / PAGE_BYTES; page += 1) {
      map[page >> 2] = (map[page >> 2] ?? 0) | (value << ((page & 3) * 2));
    }
  }
  return map;
}

/** The plaintext of a record of pages: the map, then the pages that have data. */
export function packPages(chunk: Uint8Array, runs: readonly Run[]): Uint8Array<ArrayBuffer> {
  const data = runs.filter(({ kind }) => kind === 'data');
  return concatBytes(renderMap(runs, chunk.length), ...data.map(({ at, length }) => chunk.subarray(at, at + length)));
}

/** Undefined where it is no plaintext of such a record. Every chunk has one rendering: what it would not write is none. */
export function unpackPages(
  plaintext: Uint8Array,
  chunkBytes: number,
): readonly (Run & { readonly bytes: Uint8Array })[] | undefined {
  const mapBytes = mapBytesOf(chunkBytes);
  const runs: { kind: PageKind; at: number; length: number }[] = [];
  for (let at = 0; at < chunkBytes; at += PAGE_BYTES) {
    const page = at / PAGE_BYTES;
    const kind = PAGE_KINDS[((plaintext[page >> 2] ?? 0) >> ((page & 3) * 2)) & 3];
    if (kind === undefined) return undefined;
    const last = runs.at(-1);
    if (last?.kind === kind) last.length += PAGE_BYTES;
    else runs.push({ kind, at, length: PAGE_BYTES });
  }
  let from = mapBytes;
  const unpacked = runs.map((run) => {
    const bytes = plaintext.subarray(from, run.kind === 'data' ? from + run.length : from);
    from += bytes.length;
    return { ...run, bytes };
  });
  const data = runs.reduce((sum, { kind, length }) => sum + (kind === 'data' ? length : 0), 0);
  const rest = (chunkBytes / PAGE_BYTES) % 4;
  const spare = rest === 0 ? 0 : (plaintext[mapBytes - 1] ?? 0) >> (rest * 2);
  const isOne = runs.length > 1 && plaintext.length === mapBytes + data && spare === 0;
  return isOne ? unpacked : undefined;
}

function kindOf(chunk: Uint8Array, at: number, length: number): PageKind {
  // The first byte of most pages says it, and no view of them need be made.
  return chunk[at] !== 0 || firstNonZero(chunk.subarray(at, at + length)) !== undefined ? 'data' : 'zeros';
}
