// A file as it would be after writes that are kept in memory, such as those of a journal: the file itself stays as it is.
import { checkRange, type ByteSource } from './byte-source.ts';

interface Patch {
  readonly start: number;
  readonly end: number;
  /** Undefined for zeros. */
  readonly bytes: Uint8Array | undefined;
}

export class PatchedSource implements ByteSource {
  readonly size: number;
  readonly #source: ByteSource;
  /** In order of their place; none overlaps another. */
  readonly #patches: Patch[] = [];

  /** `size` may be larger than that of `source`: what is beyond its end are zeros. */
  constructor(source: ByteSource, size: number) {
    this.#source = source;
    this.size = size;
  }

  /** A later write hides an earlier one. */
  write(start: number, length: number, bytes: Uint8Array | undefined): void {
    checkRange(start, length, this.size, 'patch');
    if (length === 0) return;
    const end = start + length;
    const first = this.#firstEndingAfter(start);
    let last = first;
    const replacement: Patch[] = [{ start, end, bytes }];
    for (; last < this.#patches.length; last += 1) {
      const old = this.#patches[last];
      if (old === undefined || old.start >= end) break;
      if (old.start < start) replacement.unshift(cut(old, old.start, start));
      if (old.end > end) replacement.push(cut(old, end, old.end));
    }
    this.#patches.splice(first, last - first, ...replacement);
  }

  read(offset: number, length: number): Uint8Array {
    checkRange(offset, length, this.size, 'read');
    const end = offset + length;
    let index = this.#firstEndingAfter(offset);
    const before = this.#patches[index];
    if ((before === undefined || before.start >= end) && end <= this.#source.size)
      return this.#source.read(offset, length);
    const bytes = new Uint8Array(length);
    const inFile = Math.min(end, this.#source.size) - offset;
    if (inFile > 0) bytes.set(this.#source.read(offset, inFile));
    for (; index < this.#patches.length; index += 1) {
      const patch = this.#patches[index];
      if (patch === undefined || patch.start >= end) break;
      const { start, end: stop, bytes: written } = cut(patch, Math.max(patch.start, offset), Math.min(patch.end, end));
      if (written === undefined) bytes.fill(0, start - offset, stop - offset);
      else bytes.set(written, start - offset);
    }
    return bytes;
  }

  #firstEndingAfter(offset: number): number {
    let [low, high] = [0, this.#patches.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#patches[middle]?.end ?? 0) > offset) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}

function cut(patch: Patch, start: number, end: number): Patch {
  return { start, end, bytes: patch.bytes?.subarray(start - patch.start, end - patch.start) };
}
