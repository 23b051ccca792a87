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

/**
 * Adds what comes next in the file: its first byte follows the last run. What continues the last run is made one with it, so
 * that a file in one piece is read in one piece.
 */
export function appendRun(runs: Run[], length: number, from: number | undefined): void {
  const last = runs.at(-1);
  if (last === undefined) {
    runs.push({ at: 0, length, from });
    return;
  }
  const follows = last.from === undefined ? undefined : last.from + last.length;
  if (follows === from) runs[runs.length - 1] = { ...last, length: last.length + length };
  else runs.push({ at: last.at + last.length, length, from });
}

/** A file of `size` bytes in `runs`, which are sorted; what lies in none of them is a hole. */
export function sourceOfRuns(disk: ByteSource, runs: readonly Run[], size: number, field: string): ByteSource {
  refuseDisorder(runs, field);

  return {
    size,
    read(offset, length) {
      checkRange(offset, length, size, field);
      let index = runAt(runs, offset);
      const first = runs[index];
      if (first?.from !== undefined && offset + length <= first.at + first.length) {
        return disk.read(first.from + (offset - first.at), length);
      }
      checkReadLength(length, field);
      const bytes = new Uint8Array(length);
      for (index = Math.max(index, 0); index < runs.length; index += 1) {
        const run = runs[index];
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
        const run = runs[index];
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
export function mappedBytes(runs: readonly Run[], start: number, end: number): number {
  let mapped = 0;
  for (let index = Math.max(runAt(runs, start), 0); index < runs.length; index += 1) {
    const run = runs[index];
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
function runAt(runs: readonly Run[], offset: number): number {
  let low = 0;
  let high = runs.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((runs[middle]?.at ?? 0) <= offset) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

function refuseDisorder(runs: readonly Run[], field: string): void {
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
