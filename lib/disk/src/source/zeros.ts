// Whether anything was ever written to a run of a disk. "Nothing" is a promise to whoever gives the disk away, so it is made
// only where all of it was looked at.
import { firstNonZero } from '@ringwall/bytes';
import { dataWithin, type ByteSource } from './byte-source.ts';

/** Some tenths of a second; a disk that is empty and not sparse is rarely larger. */
export const MAX_LOOKED_THROUGH_BYTES: number = 256 * 1024 * 1024;
const PIECE_BYTES: number = 1024 * 1024;

/** `at`: the offset of the first byte that is not zero; undefined where the limit came first. */
export type FirstData = { readonly kind: 'none' } | { readonly kind: 'some'; readonly at: number | undefined };

export function firstDataOf(source: ByteSource): FirstData {
  let looked = 0;
  for (let offset = 0; ;) {
    const data = dataWithin(source, offset, source.size - offset);
    if (data === undefined) return { kind: 'none' };
    const start = offset + data.offset;
    const length = Math.min(data.length, PIECE_BYTES);
    const at = firstNonZero(source.read(start, length));
    if (at !== undefined) return { kind: 'some', at: start + at };
    offset = start + length;
    looked += length;
    if (looked >= MAX_LOOKED_THROUGH_BYTES && offset < source.size) return { kind: 'some', at: undefined };
  }
}
