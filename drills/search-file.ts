// Looks for a canary in a file as a thief would who has nothing else of the host.
import { closeSync, openSync, readSync, statSync } from 'node:fs';
import type { Attempt } from './drill.ts';

const READ_BYTES = 4 * 1024 * 1024;

/** Reads the whole file, with an overlap so that a canary on a boundary is seen. */
export function searchFile(path: string, canary: string, what: string): Attempt {
  const file = openSync(path, 'r');
  try {
    const { size } = statSync(path);
    const buffer = Buffer.alloc(READ_BYTES + canary.length);
    for (let at = 0; at < size; at += READ_BYTES) {
      const length = readSync(file, buffer, 0, buffer.length, at);
      const index = buffer.subarray(0, length).indexOf(canary);
      if (index >= 0) return { what, succeeded: true, seen: `the canary, at byte ${at + index}` };
    }
    return { what, succeeded: false, seen: `no canary in ${size} bytes` };
  } finally {
    closeSync(file);
  }
}
