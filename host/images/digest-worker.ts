// One thread that digests what another one reads and unpacks: on processors without instructions for SHA-256 that takes as long as
// unpacking does.
import { createHash, type Hash } from 'node:crypto';
import { parentPort, workerData } from 'node:worker_threads';
import { readRing, type DigestRing } from './digest-ring.ts';
import type { StreamDigest } from './digest-thread.ts';

const port = parentPort;
if (port === null) throw new Error('is a worker thread of openDigestThread()');
const ring: DigestRing = workerData;
const hashes = new Map<number, Hash>();
for (const { stream, algorithm, bytes } of readRing(ring)) {
  const hash = hashes.get(stream) ?? createHash(algorithm);
  if (bytes.length > 0) hashes.set(stream, hash.update(bytes));
  else {
    hashes.delete(stream);
    const digest: StreamDigest = { stream, digest: hash.digest('hex') };
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread is no window
    port.postMessage(digest);
  }
}
