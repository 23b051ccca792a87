// One thread of a reading back: takes chunks until none is left, and says of each whether it is as its sender said.
import { hash } from 'node:crypto';
import { parentPort, workerData } from 'node:worker_threads';
import { DiskError, readLuks, unlockLuks } from '@ringwall/disk';
import { FileSource } from '@ringwall/disk/node';
import { failedWith } from './failed-with.ts';
import type { ReadBackJob, ReadBackMessage } from './read-back-job.ts';

const SHA256_BYTES = 32;

const port = parentPort;
if (port === null) throw new Error('is a worker thread of readBack()');
const post = (message: ReadBackMessage): void => port.postMessage(message);
try {
  readChunks(workerData);
} catch (error) {
  post({ kind: 'failed', error: failedWith(error) });
}

function readChunks({ path, key, sizeBytes, chunkBytes, digests, next }: ReadBackJob): void {
  using file = FileSource.open(path);
  const { disk } = unlockLuks(file, readLuks(file), { passphrase: key });
  if (disk.size !== sizeBytes) {
    throw new DiskError('unrecognised', `the disk has ${disk.size} bytes, expected ${sizeBytes}`);
  }
  const counter = new Int32Array(next);
  for (;;) {
    const chunk = Atomics.add(counter, 0, 1);
    const offset = chunk * chunkBytes;
    if (offset >= sizeBytes) return;
    const length = Math.min(chunkBytes, sizeBytes - offset);
    const seen = hash('sha256', disk.read(offset, length), 'buffer');
    const wanted = digests.subarray(chunk * SHA256_BYTES, (chunk + 1) * SHA256_BYTES);
    if (!seen.equals(wanted)) post({ kind: 'differs', offset });
    post({ kind: 'read', bytes: length });
  }
}
