// Crews: threads that are kept, and that no two have at the same time.
import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import type { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { makeSharedMemory, MemoryCopy } from '../memory/index.ts';
import { sealFiles } from '../seal/index.ts';
import { borrowCrew, warmCrew, type Crew } from './index.ts';

const NOWHERE = 1_000_000;

/** Of a file that is not there: each of its threads answers that. */
function work(crew: Crew): Promise<MemoryCopy> {
  return MemoryCopy.make({ crew, descriptor: NOWHERE, bytes: 4096, maxBytes: 4096 });
}

test('borrowCrew() gives threads that are there, and never those that somebody has', async () => {
  const started: unknown[] = [];
  const count = (worker: unknown): void => void started.push(worker);
  process.on('worker', count);
  try {
    // What other tests have given back stands idle for a while.
    using others = new DisposableStack();
    let first = borrowCrew();
    for (await setImmediate(); started.length === 0; await setImmediate()) {
      others.use(first);
      first = borrowCrew();
    }
    const inOne = started.length;
    expect(inOne).toBeGreaterThan(0);
    using _second = borrowCrew();
    await setImmediate();
    expect(started).toHaveLength(2 * inOne);
    first[Symbol.dispose]();
    using _third = borrowCrew();
    await setImmediate();
    expect(started).toHaveLength(2 * inOne);
  } finally {
    process.off('worker', count);
  }
});

test('warmCrew() starts the threads of whoever borrows a crew next', async () => {
  const started: unknown[] = [];
  const count = (worker: unknown): void => void started.push(worker);
  process.on('worker', count);
  try {
    using others = new DisposableStack();
    // None stands idle then.
    while (started.length === 0) {
      others.use(borrowCrew());
      await setImmediate();
    }
    const inOne = started.length;
    warmCrew();
    await setImmediate();
    expect(started).toHaveLength(2 * inOne);
    warmCrew();
    others.use(borrowCrew());
    await setImmediate();
    expect(started).toHaveLength(2 * inOne);
  } finally {
    process.off('worker', count);
  }
});

test('a crew of which one thread ends in the midst of its work ends it for all, and is not lent again', async () => {
  const workers: Worker[] = [];
  const keep = (worker: Worker): void => void workers.push(worker);
  process.on('worker', keep);
  const dir = mkdtempSync(join(tmpdir(), 'ringwall-crew-'));
  const target = openSync(join(dir, 'sealed'), 'w');
  try {
    // One that nobody else has, and that nobody has given back yet.
    using others = new DisposableStack();
    while (workers.length === 0) {
      others.use(borrowCrew());
      await setImmediate();
    }
    const crew = others.use(borrowCrew());
    await setImmediate();
    const own = workers.at(-1);
    const bytes = 16 * 2 ** 20;
    const sealing = sealFiles([{ place: makeSharedMemory(bytes), bytes }], target, {
      ...{ crew, recipients: [{ kind: 'key', key: new Uint8Array(32) }], chunkBytes: 4096 },
    });
    await own?.terminate();
    await expect(sealing).rejects.toThrow(/a thread has ended/);
    const before = workers.length;
    crew[Symbol.dispose]();
    others.use(borrowCrew());
    await setImmediate();
    expect(workers.length).toBeGreaterThan(before);
  } finally {
    process.off('worker', keep);
    closeSync(target);
    rmSync(dir, { recursive: true });
  }
});

test('a crew says why its threads have failed, and works on', async () => {
  using crew = borrowCrew();
  await expect(work(crew)).rejects.toMatchObject({ message: expect.stringMatching(/EBADF/) });
  await expect(work(crew)).rejects.toMatchObject({ message: expect.stringMatching(/EBADF/) });
});
