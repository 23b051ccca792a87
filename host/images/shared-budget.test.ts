import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { leaveLargeFor, makeBudget, openSharedBudget } from './shared-budget.ts';

/** Holds what is large, says so, and then waits for ever. */
const HOLDER = `
  const { parentPort, threadId, workerData } = require('node:worker_threads');
  Atomics.store(new Int32Array(workerData), 2, threadId + 1);
  parentPort.postMessage('held');
  setInterval(() => undefined, 1000);`;

test('what a thread held that was ended is free for others, and for nobody before', async () => {
  const memory = makeBudget();
  const worker = new Worker(HOLDER, { eval: true, workerData: memory });
  const id = worker.threadId;
  await once(worker, 'message');
  leaveLargeFor(memory, id + 1);
  expect(new Int32Array(memory)[2]).toBe(id + 1);
  await worker.terminate();
  leaveLargeFor(memory, id);
  const budget = openSharedBudget(memory);
  budget.enterLarge();
  budget.enterLarge();
  budget.leaveLarge();
  expect(new Int32Array(memory)[2]).not.toBe(0);
  budget.leaveLarge();
  expect(new Int32Array(memory)[2]).toBe(0);
});
