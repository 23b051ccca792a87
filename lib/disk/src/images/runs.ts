// The way from a format's tables to a disk that can be read: a format says where a run of its disk lies, and this reads runs,
// joins those that lie side by side into one read, and finds what holds data.
import { checkRange, dataWithin, readInto, type ByteSource, type Extent } from '../source/byte-source.ts';
import { DiskError } from '../disk-error.ts';

/** What one call may allocate: large enough for any reader, small enough for a process of 128 MB. */
const MAX_READ_BYTES = 64 * 2 ** 20;
/** How much `nextData` looks ahead, so that fragments side by side are one run to its caller. */
const RUN_TARGET_BYTES = 4 * 2 ** 20;

/** A run of the disk: zeros, bytes as they lie in a file, or a part of a block that must be decoded first. */
export type Run =
  | { readonly kind: 'zero'; readonly length: number }
  | { readonly kind: 'data'; readonly length: number; readonly source: ByteSource; readonly at: number }
  | { readonly kind: 'block'; readonly length: number; readonly block: () => Uint8Array; readonly at: number };

/** Where the disk's bytes from `offset` on lie: a run of at least 1 and at most `length` bytes. */
export type Locate = (offset: number, length: number) => Run;

/** A disk of `size` bytes out of its runs. */
export function sourceOfRuns(
  size: number,
  locate: Locate,
): ByteSource & { nextData(offset: number): Extent | undefined } {
  return {
    size,
    read(offset, length) {
      checkRange(offset, length, size, 'read');
      if (length > MAX_READ_BYTES) {
        throw new DiskError('limit', `a read of ${length} bytes, expected at most ${MAX_READ_BYTES}`);
      }
      if (length === 0) return new Uint8Array(0);
      const first = locate(offset, length);
      if (first.kind === 'data' && first.length === length) return first.source.read(first.at, length);
      const bytes = new Uint8Array(length);
      readRuns(locate, offset, bytes, first);
      return bytes;
    },
    readInto(offset, target) {
      checkRange(offset, target.length, size, 'read');
      if (target.length > 0) readRuns(locate, offset, target, locate(offset, target.length));
    },
    nextData: (offset) => nextData(size, locate, offset),
  };
}

/** What lies below an image: its bytes as far as it reaches, zeros beyond. */
export function runBelow(below: ByteSource | undefined, offset: number, length: number): Run {
  if (below === undefined || offset >= below.size) return { kind: 'zero', length };
  return { kind: 'data', length: Math.min(length, below.size - offset), source: below, at: offset };
}

/** Fills `target` from `offset` on, where `first` begins. */
function readRuns(locate: Locate, offset: number, target: Uint8Array, first: Run): void {
  const { length } = target;
  let run = first;
  let done = 0;
  for (;;) {
    if (run.kind === 'data') {
      const { source, at } = run;
      let joined = run.length;
      let next: Run | undefined;
      while (done + joined < length) {
        next = locate(offset + done + joined, length - done - joined);
        if (next.kind !== 'data' || next.source !== source || next.at !== at + joined) break;
        joined += next.length;
        next = undefined;
      }
      readInto(source, at, target.subarray(done, done + joined));
      done += joined;
      if (next !== undefined) {
        run = next;
        continue;
      }
    } else {
      if (run.kind === 'block') target.set(run.block().subarray(run.at, run.at + run.length), done);
      else target.fill(0, done, done + run.length);
      done += run.length;
    }
    if (done >= length) return;
    run = locate(offset + done, length - done);
  }
}

function nextData(size: number, locate: Locate, offset: number): Extent | undefined {
  let at = offset;
  let found: { offset: number; length: number } | undefined;
  while (at < size) {
    // Of data no more than is told: to look at a table up to its end for each piece of it that is read would take the square of
    // its length. What holds none is looked at as far as it goes.
    let run = locate(at, Math.min(size - at, RUN_TARGET_BYTES));
    let data = dataIn(run);
    if (data === undefined && run.length === RUN_TARGET_BYTES) {
      run = locate(at, size - at);
      data = dataIn(run);
    }
    if (data === undefined) {
      if (found !== undefined) return found;
    } else if (found === undefined) {
      found = { offset: at + data.offset, length: data.length };
    } else if (data.offset === 0) {
      found.length += data.length;
    } else {
      return found;
    }
    // What follows the data within the run is looked at by the next call.
    if (found !== undefined && (found.length >= RUN_TARGET_BYTES || found.offset + found.length < at + run.length)) {
      return found;
    }
    at += run.length;
  }
  return found;
}

/** The first data of a run, counted from its start. */
function dataIn(run: Run): Extent | undefined {
  if (run.kind === 'zero') return undefined;
  return run.kind === 'block' ? { offset: 0, length: run.length } : dataWithin(run.source, run.at, run.length);
}
