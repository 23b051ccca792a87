// One thread of a conversion: opens the image for itself and writes the chunks that it takes, until none is left.
import { parentPort, workerData } from 'node:worker_threads';
import { readInto } from '@ringwall/disk';
import { CHUNK_BYTES, type ConvertJob, type ConvertMessage } from './convert-job.ts';
import { failedWith } from './failed-with.ts';
import { openInputs } from './open-inputs.ts';
import { writeSparse } from './sparse-writer.ts';

/** What stays in a core's own cache between the read and the write. */
const READ_BYTES = 2 ** 18;

const port = parentPort;
if (port === null) throw new Error('is a worker thread of convertImage()');
const post = (message: ConvertMessage): void => port.postMessage(message);
try {
  // What comes first is slow because all of it is new to the processor: it says nothing of the image.
  let before: NodeJS.CpuUsage | undefined;
  writeChunks(workerData, (bytes) => {
    const spent = before === undefined ? { user: 0, system: 0 } : process.threadCpuUsage(before);
    before = process.threadCpuUsage();
    post({ kind: 'written', bytes, cpuMs: (spent.user + spent.system) / 1000 });
  });
} catch (error) {
  post({ kind: 'failed', error: failedWith(error) });
}

function writeChunks({ image, format, files, output, next }: ConvertJob, onWritten: (bytes: number) => void): void {
  using sources = new DisposableStack();
  const disk = openInputs({ image, format, files }, sources);
  const counter = new Int32Array(next);
  const buffer = new Uint8Array(READ_BYTES);
  for (;;) {
    const chunk = Atomics.add(counter, 0, 1);
    const end = Math.min(disk.size, (chunk + 1) * CHUNK_BYTES);
    let written = 0;
    for (let at = chunk * CHUNK_BYTES; at < end;) {
      const run = disk.nextData(at);
      if (run === undefined || run.offset >= end) {
        skipTo(counter, run === undefined ? disk.size : run.offset);
        break;
      }
      const runEnd = Math.min(run.offset + run.length, end);
      for (at = run.offset; at < runEnd;) {
        const bytes = buffer.subarray(0, Math.min(READ_BYTES, runEnd - at));
        readInto(disk, at, bytes);
        written += writeSparse(output, bytes, at);
        at += bytes.length;
      }
    }
    onWritten(written);
    if (chunk * CHUNK_BYTES >= disk.size) return;
  }
}

/** Nobody needs to take chunks in which nothing lies. */
function skipTo(counter: Int32Array, offset: number): void {
  const chunk = Math.floor(offset / CHUNK_BYTES);
  for (;;) {
    const current = Atomics.load(counter, 0);
    if (current >= chunk || Atomics.compareExchange(counter, 0, current, chunk) === current) return;
  }
}
