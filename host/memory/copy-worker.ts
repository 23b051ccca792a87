// A thread of a copy of memory: in each round takes piece after piece, until none is left.
import { readSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { COMPARED_BYTES, type CopyJob, type CopyRound } from './copy-job.ts';
import { viewsOf } from './shared-memory.ts';

const port = parentPort;
if (port === null) throw new Error('is a thread of a copy of memory');
const { descriptor, bytes, memory, round, holds }: CopyJob = workerData;
const next = new Int32Array(round);
const isHeld = new Uint8Array(holds);
const seen = Buffer.alloc(COMPARED_BYTES);
const zeros = Buffer.alloc(COMPARED_BYTES);
let heldBytes = 0;

port.on('message', (maxBytes: number) => port.postMessage(copyRound(maxBytes)));

function copyRound(maxBytes: number): CopyRound {
  let changedBytes = 0;
  for (;;) {
    const index = Atomics.add(next, 0, 1);
    const at = index * COMPARED_BYTES;
    if (at >= bytes) return { changedBytes, isFull: false };
    const piece = seen.subarray(0, Math.min(COMPARED_BYTES, bytes - at));
    read(piece, at);
    if (isHeld[index] === 0) {
      if (zeros.subarray(0, piece.length).equals(piece)) continue;
      isHeld[index] = 1;
      heldBytes += piece.length;
      if (heldBytes > maxBytes) return { changedBytes, isFull: true };
    }
    for (const { view, done } of viewsOf(memory, at, piece.length)) {
      const now = piece.subarray(done, done + view.length);
      if (now.equals(view)) continue;
      view.set(now);
      changedBytes += now.length;
    }
  }
}

function read(piece: Uint8Array, at: number): void {
  for (let done = 0; done < piece.length;) {
    const count = readSync(descriptor, piece, done, piece.length - done, at + done);
    if (count === 0) throw new Error(`it ends at byte ${at + done}`);
    done += count;
  }
}
