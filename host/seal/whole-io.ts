// Reads and writes at a place in a file that do not stop half-way.
import { readSync, writeSync } from 'node:fs';

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
