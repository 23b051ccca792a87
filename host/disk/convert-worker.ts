// One thread of a conversion: opens the image for itself and writes the chunks that it takes, until none is left.
import { parentPort, workerData } from 'node:worker_threads';
import { ParseError } from '@ringwall/bytes';
import { DiskError } from '@ringwall/disk';
import { CHUNK_BYTES, type ConvertJob, type ConvertMessage, type FailedWith } from './convert-job.ts';
import { openInputs } from './open-inputs.ts';
import { writeSparse } from './sparse-writer.ts';

const READ_BYTES = 2 * 2 ** 20;

const port = parentPort;
if (port === null) throw new Error('is a worker thread of convertImage()');
const post = (message: ConvertMessage): void => port.postMessage(message);
try {
  writeChunks(workerData, (bytes) => post({ kind: 'written', bytes }));
} catch (error) {
  post({ kind: 'failed', error: failedWith(error) });
}

function writeChunks({ image, format, files, output, next }: ConvertJob, onWritten: (bytes: number) => void): void {
  using sources = new DisposableStack();
  const disk = openInputs({ image, format, files }, sources);
  const counter = new Int32Array(next);
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
      const length = Math.min(READ_BYTES, run.length, end - run.offset);
      written += writeSparse(output, disk.read(run.offset, length), run.offset);
      at = run.offset + length;
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

function failedWith(error: unknown): FailedWith {
  if (error instanceof ParseError) {
    const { name, message, code, field, offset } = error;
    return { name, message, code, field, offset };
  }
  const { name, message } = error instanceof Error ? error : new Error(String(error));
  return {
    name,
    message,
    code: error instanceof DiskError ? error.code : undefined,
    field: undefined,
    offset: undefined,
  };
}
