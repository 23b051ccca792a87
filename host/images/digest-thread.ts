// A thread that digests beside the one that reads: it is given the bytes through memory that both see.
import { startWorker } from '../threads/index.ts';
import { makeRing, openRingWriter } from './digest-ring.ts';
import type { OpenHash } from './stream-hash.ts';

/** What the thread answers when a stream is over. */
export interface StreamDigest {
  readonly stream: number;
  /** In hexadecimal digits. */
  readonly digest: string;
}

/** For the life of the calling thread, which must be one that may wait: no other thread's events come meanwhile. */
export function openDigestThread(): OpenHash {
  const ring = makeRing();
  const write = openRingWriter(ring);
  const worker = startWorker('images/digest-worker', { workerData: ring });
  const waiting = new Map<number, PromiseWithResolvers<string>>();
  worker.on('message', ({ stream, digest }: StreamDigest) => {
    waiting.get(stream)?.resolve(digest);
    waiting.delete(stream);
  });
  const failed = (error: Error): void => {
    for (const { reject } of waiting.values()) reject(error);
    waiting.clear();
  };
  worker.on('error', failed).on('exit', () => failed(new Error('the thread of digests has ended')));
  let streams = 0;
  return (algorithm) => {
    streams += 1;
    const stream = streams;
    return {
      // An empty piece would be the end.
      update: (bytes) => {
        if (bytes.length > 0) write({ stream, algorithm, bytes });
      },
      digest: () => {
        const answer = Promise.withResolvers<string>();
        waiting.set(stream, answer);
        write({ stream, algorithm, bytes: new Uint8Array() });
        return answer.promise;
      },
    };
  };
}
