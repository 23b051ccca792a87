// The contents of a file whose map of runs is looked up as it is read: a map can be as large as the image, and most reads
// touch one run of it. Where all runs are at hand, `sourceOfRuns` is simpler.
import { checkRange, dataWithin, type ByteSource } from '../source/byte-source.ts';
import { checkReadLength, type Run } from './run-source.ts';

/**
 * Runs of holes that `nextData` passes before it says "there may be data here": a map made by an attacker can hold more
 * holes than anybody has time for.
 */
const MAX_HOLES_PASSED = 4096;

/**
 * A file of `size` bytes; `runAt(offset)` gives the run that contains `offset`, which is below `size`: a run may end beyond
 * the file, and a hole may be told in parts.
 */
export function mappedSource(
  disk: ByteSource,
  size: number,
  runAt: (offset: number) => Run,
  field: string,
): ByteSource {
  let last: Run = { at: 0, length: 0, from: undefined };

  const find = (offset: number): Run => {
    if (offset < last.at || offset >= last.at + last.length) last = runAt(offset);
    return last;
  };

  return {
    size,
    read(offset, length) {
      checkRange(offset, length, size, field);
      if (length === 0) return new Uint8Array(0);
      const first = find(offset);
      if (first.from !== undefined && offset + length <= first.at + first.length) {
        return disk.read(first.from + (offset - first.at), length);
      }
      checkReadLength(length, field);
      const bytes = new Uint8Array(length);
      for (let at = offset; at < offset + length;) {
        const run = find(at);
        const end = Math.min(run.at + run.length, offset + length);
        if (run.from !== undefined) bytes.set(disk.read(run.from + (at - run.at), end - at), at - offset);
        at = end;
      }
      return bytes;
    },
    nextData(offset) {
      let at = Math.max(offset, 0);
      for (let passed = 0; at < size; passed += 1) {
        const run = find(at);
        const end = Math.min(run.at + run.length, size);
        if (passed >= MAX_HOLES_PASSED) return { offset: at, length: end - at };
        const data = run.from === undefined ? undefined : dataWithin(disk, run.from + (at - run.at), end - at);
        if (data !== undefined) return { offset: at + data.offset, length: data.length };
        at = end;
      }
      return undefined;
    },
  };
}
