// Reads and writes at a place in a file that do not stop half-way.
import { readSync, writeSync, writevSync } from 'node:fs';

/** Gives how many bytes there were: fewer only where the file ends. */
export function readAt(descriptor: number, target: Uint8Array, at: number): number {
  let done = 0;
  while (done < target.length) {
    const count = readSync(descriptor, target, done, target.length - done, at + done);
    if (count === 0) break;
    done += count;
  }
  return done;
}

export function writeAt(descriptor: number, bytes: Uint8Array, at: number): void {
  for (let done = 0; done < bytes.length;) {
    done += writeSync(descriptor, bytes, done, bytes.length - done, at + done);
  }
}

/** One behind the other: in one call, which a file system answers with larger pages than many small ones. */
export function writeAllAt(descriptor: number, pieces: readonly Uint8Array[], at: number): void {
  let done = writevSync(descriptor, pieces, at);
  for (const [index, piece] of pieces.entries()) {
    // Few calls stop half-way; what is left then goes piece by piece.
    if (done >= piece.length) {
      done -= piece.length;
      continue;
    }
    const before = pieces.slice(0, index).reduce((sum, { length }) => sum + length, 0);
    writeAt(descriptor, piece.subarray(done), at + before + done);
    done = 0;
  }
}
