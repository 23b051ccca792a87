// Objects sealed for tests, and ways to take them apart.
import { concatBytes } from '@ringwall/bytes';
import type { ByteStream } from '../src/byte-reader.ts';
import { PAGE_BYTES, type IsKept } from '../src/pages.ts';
import { openSealed, type OpenOptions } from '../src/opening.ts';
import { sealStream, type SealedSummary, type SealOptions } from '../src/sealing.ts';

export const CHUNK_BYTES = 4096;
export const KEY: Uint8Array = new Uint8Array(32).fill(7);
export const OPENER: { readonly kind: 'key'; readonly key: Uint8Array } = { kind: 'key', key: KEY };

/** `d` a chunk of data, `z` one of zeros, `s` a short one of data, `t` one of zeros. */
export function contentsOf(plan: string): Uint8Array<ArrayBuffer> {
  return concatBytes(
    ...Array.from(plan, (letter, index) => {
      const length = letter === 's' || letter === 't' ? 100 : CHUNK_BYTES;
      const isZero = letter === 'z' || letter === 't';
      return new Uint8Array(length).map((_, at) => (isZero ? 0 : ((at * 31 + index * 7) & 0xff) | 1));
    }),
  );
}

export async function seal(
  contents: ByteStream | Uint8Array,
  options: Partial<SealOptions> = {},
): Promise<{ readonly bytes: Uint8Array<ArrayBuffer>; readonly summary: SealedSummary }> {
  const stream = contents instanceof Uint8Array ? [contents] : contents;
  const pieces: Uint8Array[] = [];
  const sealing = sealStream(stream, { recipients: [OPENER], chunkBytes: CHUNK_BYTES, ...options });
  for (;;) {
    const next = await sealing.next();
    if (next.done === true) return { bytes: concatBytes(...pieces), summary: next.value };
    pieces.push(next.value);
  }
}

/** All of its contents, holes as zeros, and of the parent what is as there. Throws SealError. */
export async function open(
  sealed: ByteStream | Uint8Array,
  options: Partial<OpenOptions> = {},
  parent: Uint8Array = new Uint8Array(),
): Promise<Uint8Array<ArrayBuffer>> {
  const stream = sealed instanceof Uint8Array ? [sealed] : sealed;
  const { contents } = await openSealed(stream, { openers: [OPENER], ...options });
  const pieces: Uint8Array[] = [];
  let at = 0;
  for await (const piece of contents) {
    if (piece.kind === 'data') pieces.push(piece.bytes);
    else if (piece.kind === 'zeros') pieces.push(new Uint8Array(piece.length));
    else pieces.push(parent.subarray(at, at + piece.length));
    at += pieces.at(-1)?.length ?? 0;
  }
  return concatBytes(...pieces);
}

/** Where its parts begin and end: the head, then each record with its digest. */
export function partsOf(sealed: Uint8Array): { readonly head: Uint8Array; readonly records: readonly Uint8Array[] } {
  const view = new DataView(sealed.buffer, sealed.byteOffset);
  const manifestAt = 12 + view.getUint32(8);
  const headBytes = manifestAt + 4 + view.getUint32(manifestAt);
  const records: Uint8Array[] = [];
  for (let at = headBytes; at < sealed.length;) {
    const length = 12 + view.getUint32(at + 8) + 32;
    records.push(sealed.subarray(at, at + length));
    at += length;
  }
  return { head: sealed.subarray(0, headBytes), records };
}

/** Of the vector that has a parent: its chunks are of four pages, so that some are as there and others not. */
export const CHILD_CHUNK_BYTES: number = 4 * PAGE_BYTES;

/** `d`, `z`: as in `contentsOf()`, a page each; `k` a page as in the parent, which is all data. */
export function childOf(plan: string): {
  readonly parent: Uint8Array<ArrayBuffer>;
  readonly contents: Uint8Array<ArrayBuffer>;
  readonly isKept: IsKept;
} {
  const parent = contentsOf('d'.repeat(plan.length)).map((byte) => byte ^ 0xaa);
  const contents = contentsOf(plan.replaceAll('k', 'z'));
  const isKept = (page: number): boolean => plan[page] === 'k';
  for (let at = 0; at < contents.length; at += PAGE_BYTES) {
    if (isKept(at / PAGE_BYTES)) contents.set(parent.subarray(at, at + PAGE_BYTES), at);
  }
  return { parent, contents, isKept };
}

/** Of the vectors: contents, and the private half of the key that opens the first of them besides `KEY`. */
export const VECTOR_PLAN = 'dzzdt';
export const CHILD_PLAN = 'kdzkkkkkkkkkzzzzddddkzkzzk';
export const VECTOR_IDENTITY: Uint8Array = new Uint8Array(32).fill(9);
