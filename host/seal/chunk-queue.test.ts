// Chunks that wait for their places, without lanes: who is to wait says so by an error.
import { describe, expect, test } from 'vitest';
import { ChunkQueue } from './chunk-queue.ts';

const WAITS = 'waits';
/** As many as wait at a time. */
const SLOTS = 512;

function open(): ChunkQueue {
  const goOn = (): never => {
    throw new Error(WAITS);
  };
  return new ChunkQueue(ChunkQueue.makeMemory(), { goOn });
}

describe('post()', () => {
  test('waits until all that is due before it in its slot was, also while the slot is free', () => {
    const queue = open();
    queue.post(0, 100);
    expect(() => queue.post(SLOTS, 'kept')).toThrow(WAITS);
    expect(queue.next()).toEqual({ chunk: 0, posted: 100 });
    queue.advance({ number: 7, at: 4096 });
    expect(() => queue.post(SLOTS, 'kept')).toThrow(WAITS);
    expect(queue.takePlace(0)).toEqual({ number: 7, at: 4096 });
    // It would be taken for the chunk before it, and that one for it.
    expect(() => queue.post(2 * SLOTS, 'kept')).toThrow(WAITS);
    queue.post(SLOTS, 200);
    for (let chunk = 1; chunk < SLOTS; chunk += 1) {
      queue.post(chunk, 'zeros');
      queue.advance();
    }
    expect(queue.next()).toEqual({ chunk: SLOTS, posted: 200 });
  });
});
