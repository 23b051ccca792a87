// Syncs a file while it is written, so that its end need not wait for all of it.
import type { FileHandle } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

/** In which a disk writes some megabytes. */
const PERIOD_MS = 20;

/**
 * Ends when `work` has, or fails as it does. Whoever wants all of the file on the disk syncs it afterwards; what a disk could not write
 * meanwhile is told here, as the kernel tells it once.
 */
export async function syncMeanwhile<Result>(file: FileHandle, work: () => Promise<Result>): Promise<Result> {
  const ended = new AbortController();
  const syncing = (async (): Promise<void> => {
    for (;;) {
      await sleep(PERIOD_MS, undefined, { signal: ended.signal }).catch(() => undefined);
      if (ended.signal.aborted) return;
      await file.datasync();
    }
  })();
  syncing.catch(() => undefined); // told below
  try {
    return await work();
  } finally {
    ended.abort();
    await syncing;
  }
}
