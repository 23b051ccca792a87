// The contents of a file that lies in pieces: runs of bytes of the file system, in the order of the file, with holes between.
import { ParseError } from '@ringwall/bytes';
import { DiskError } from '../disk-error.ts';
import { checkRange, dataWithin, type ByteSource } from '../source/byte-source.ts';

/** Memory that one read may take: larger files are read in pieces. */
export const MAX_READ_BYTES: number = 128 * 2 ** 20;

/** A piece of a file: bytes `at` to `at + length` of it, from `from` of the file system on; undefined is a hole. */
export interface Run {
  readonly at: number;
  readonly length: number;
  readonly from: number | undefined;
}

/** What stands in the place of a hole's bytes. */
const HOLE = -1;
const FIRST_ROOM = 4;

/**
 * The runs of a file without gaps, each from where the last one ends. Two numbers for each: a disk may say a million of them for
 * one file, and as objects they take ten times as much memory.
 */
export class RunList implements Iterable<Run> {
  #ends = new Float64Array(FIRST_ROOM);
  #from = new Float64Array(FIRST_ROOM);
  #count = 0;

  get length(): number {
    return this.#count;
  }

  /**
   * Adds what comes next in the file. What continues the last run is made one with it, so that a file in one piece is read in
   * one piece.
   */
  append(length: number, from: number | undefined): void {
    const last = this.at(this.#count - 1);
    const end = (last === undefined ? 0 : last.at + last.length) + length;
    const follows = last?.from === undefined ? undefined : last.from + last.length;
    if (last === undefined || follows !== from) {
      if (this.#count === this.#ends.length) [this.#ends, this.#from] = [twice(this.#ends), twice(this.#from)];
      this.#from[this.#count] = from ?? HOLE;
      this.#count += 1;
    }
    this.#ends[this.#count - 1] = end;
  }

  at(index: number): Run | undefined {
    if (index < 0 || index >= this.#count) return undefined;
    const at = index === 0 ? 0 : (this.#ends[index - 1] ?? 0);
    const from = this.#from[index] ?? HOLE;
    return { at, length: (this.#ends[index] ?? 0) - at, from: from === HOLE ? undefined : from };
  }

  *[Symbol.iterator](): Generator<Run> {
    for (let index = 0; index < this.#count; index += 1) {
      const run = this.at(index);
      if (run !== undefined) yield run;
    }
  }
}

function twice(numbers: Float64Array): Float64Array<ArrayBuffer> {
  const larger = new Float64Array(numbers.length * 2);
  larger.set(numbers);
  return larger;
}

/** Runs in their order, few of them or many. */
export type Runs = readonly Run[] | RunList;

/** A file of `size` bytes in `runs`, which are sorted; what lies in none of them is a hole. */
export function sourceOfRuns(disk: ByteSource, runs: Runs, size: number, field: string): ByteSource {
  refuseDisorder(runs, field);

  return {
    size,
    read(offset, length) {
      checkRange(offset, length, size, field);
      let index = runAt(runs, offset);
      const first = index < 0 ? undefined : runs.at(index);
      if (first?.from !== undefined && offset + length <= first.at + first.length) {
        return disk.read(first.from + (offset - first.at), length);
      }
      checkReadLength(length, field);
      const bytes = new Uint8Array(length);
      for (index = Math.max(index, 0); index < runs.length; index += 1) {
        const run = runs.at(index);
        if (run === undefined || run.at >= offset + length) break;
        if (run.from === undefined) continue;
        const start = Math.max(run.at, offset);
        const end = Math.min(run.at + run.length, offset + length);
        if (start < end) bytes.set(disk.read(run.from + (start - run.at), end - start), start - offset);
      }
      return bytes;
    },
    nextData(offset) {
      for (let index = Math.max(runAt(runs, offset), 0); index < runs.length; index += 1) {
        const run = runs.at(index);
        if (run?.from === undefined) continue;
        const start = Math.max(run.at, offset);
        const end = Math.min(run.at + run.length, size);
        const data = dataWithin(disk, run.from + (start - run.at), end - start);
        if (data !== undefined) return { offset: start + data.offset, length: data.length };
      }
      return undefined;
    },
  };
}

/** How many bytes from `start` to `end` of a file lie in runs that are no holes. */
export function mappedBytes(runs: Runs, start: number, end: number): number {
  let mapped = 0;
  for (let index = Math.max(runAt(runs, start), 0); index < runs.length; index += 1) {
    const run = runs.at(index);
    if (run === undefined || run.at >= end) break;
    if (run.from !== undefined) mapped += Math.max(Math.min(run.at + run.length, end) - Math.max(run.at, start), 0);
  }
  return mapped;
}

/** Refuses a read that would take more memory than `MAX_READ_BYTES`. */
export function checkReadLength(length: number, field: string): void {
  if (length > MAX_READ_BYTES) {
    throw new DiskError('limit', `${field}: ${length} bytes in one read, expected at most ${MAX_READ_BYTES}`);
  }
}

/** Index of the last run that begins at or before `offset`, -1 where none does. */
function runAt(runs: Runs, offset: number): number {
  let low = 0;
  let high = runs.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((runs.at(middle)?.at ?? 0) <= offset) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

function refuseDisorder(runs: Runs, field: string): void {
  let end = 0;
  for (const run of runs) {
    if (run.at < end || run.length < 0 || !Number.isSafeInteger(run.at + run.length)) {
      throw new ParseError(
        'invalid',
        field,
        run.from ?? 0,
        `run at byte ${run.at} of the file, expected at least ${end}`,
      );
    }
    end = run.at + run.length;
  }
}
