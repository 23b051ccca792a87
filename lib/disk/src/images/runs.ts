// The way from a format's tables to a disk that can be read: a format says where a run of its disk lies, and this reads runs,
// joins those that lie side by side into one read, and finds what holds data.
import { checkRange, dataWithin, type ByteSource, type Extent } from '../source/byte-source.ts';
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
      return length === 0 ? new Uint8Array(0) : readRuns(locate, offset, length);
    },
    nextData: (offset) => nextData(size, locate, offset),
  };
}

/** What lies below an image: its bytes as far as it reaches, zeros beyond. */
export function runBelow(below: ByteSource | undefined, offset: number, length: number): Run {
  if (below === undefined || offset >= below.size) return { kind: 'zero', length };
  return { kind: 'data', length: Math.min(length, below.size - offset), source: below, at: offset };
}

function readRuns(locate: Locate, offset: number, length: number): Uint8Array {
  let run = locate(offset, length);
  if (run.kind === 'data' && run.length === length) return run.source.read(run.at, length);
  const bytes = new Uint8Array(length);
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
      bytes.set(source.read(at, joined), done);
      done += joined;
      if (next !== undefined) {
        run = next;
        continue;
      }
    } else {
      if (run.kind === 'block') bytes.set(run.block().subarray(run.at, run.at + run.length), done);
      done += run.length;
    }
    if (done >= length) return bytes;
    run = locate(offset + done, length - done);
  }
}

function nextData(size: number, locate: Locate, offset: number): Extent | undefined {
  let at = offset;
  let found: { offset: number; length: number } | undefined;
  while (at < size) {
    const run = locate(at, size - at);
    const data = dataIn(run);
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
