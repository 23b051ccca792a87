// One thread that reads layers, one after the other.
import { parentPort } from 'node:worker_threads';
import { columnsOf, INSPECTORS, OciError, openLayerInspection, type Sample } from '@ringwall/oci';
import type { Looked } from '../malware/index.ts';
import { readPart } from './blob.ts';
import type { FromLayerThread, LayerJob, ToLayerThread } from './layer-job.ts';
import { collectGarbage } from './collect-garbage.ts';
import { openDigestThread } from './digest-thread.ts';
import { openSampling } from './sampling.ts';
import { hashHere, type OpenHash } from './stream-hash.ts';
import { openSharedBudget } from './shared-budget.ts';
import { unpackLayer } from './unpack-layer.ts';

const READ_BYTES: number = 512 * 1024;
/** Of a packed layer: with less, another thread would be started for nothing. */
const MIN_BYTES_FOR_A_THREAD: number = 2 * 1024 ** 2;
const NOBODY_LOOKED: Looked = { facts: [], isLasting: true };

const port = parentPort;
if (port === null) throw new Error('is a worker thread of openLayerThreads()');
const post = (message: FromLayerThread, transfer: ArrayBuffer[] = []): void => port.postMessage(message, transfer);
let hashBeside: OpenHash | undefined;
let take: ((message: ToLayerThread) => void) | undefined;
let hear: ((looked: Looked) => void) | undefined;
port.on('message', (message: ToLayerThread) => {
  if (message.kind === 'job') void work(message);
  else if (message.kind === 'looked') hear?.(message.looked);
  else take?.(message);
});

async function work(job: LayerJob): Promise<void> {
  const budget = openSharedBudget(job.budget, collectGarbage);
  try {
    const { digest, diffId, bytes, batchBytes } = job;
    const sampling = batchBytes === 0 ? undefined : openSampling({ batchBytes, look });
    const inspectors = sampling === undefined ? INSPECTORS : [...INSPECTORS, sampling.inspector];
    const contents = await unpackLayer(
      { chunks: job.file === undefined ? sent() : chunksOf(job.file, bytes), bytes, digest, diffId },
      {
        inspection: openLayerInspection(inspectors, budget),
        budget,
        openHash: bytes < MIN_BYTES_FOR_A_THREAD ? hashHere : (hashBeside ??= openDigestThread()),
        room: sampling?.room,
      },
    );
    const { facts, isLasting } = (await sampling?.end()) ?? NOBODY_LOOKED;
    post({ kind: 'done', columns: columnsOf({ ...contents, facts: [...contents.facts, ...facts] }), isLasting });
  } catch (error) {
    budget.leaveAll();
    const code = error instanceof OciError ? error.code : '';
    post({ kind: 'failed', code, message: error instanceof Error ? error.message : String(error) });
  }
}

/** One batch at a time: the next is sent when this one was answered. */
function look(samples: readonly Sample[]): Promise<Looked> {
  const { promise, resolve } = Promise.withResolvers<Looked>();
  hear = resolve;
  post(
    { kind: 'samples', samples },
    samples.map(({ bytes }) => bytes.buffer),
  );
  return promise;
}

// oxlint-disable-next-line require-await -- as the chunks that are sent: the file is read while zlib's threads unpack
async function* chunksOf(
  { descriptor, offset }: NonNullable<LayerJob['file']>,
  bytes: number,
): AsyncGenerator<Uint8Array, void> {
  for (let at = 0; at < bytes; at += READ_BYTES) {
    const chunk = readPart(descriptor, offset + at, Math.min(READ_BYTES, bytes - at));
    if (chunk.length === 0) return;
    yield chunk;
  }
}

async function* sent(): AsyncGenerator<Uint8Array, void> {
  for (;;) {
    const { promise, resolve } = Promise.withResolvers<ToLayerThread>();
    take = resolve;
    post({ kind: 'more' });
    // oxlint-disable-next-line no-await-in-loop -- one chunk after the other
    const message = await promise;
    if (message.kind === 'broken') throw new Error(message.message);
    if (message.kind !== 'chunk' || message.chunk.length === 0) return;
    yield message.chunk;
  }
}
