// Threads that are ended while they unpack: what zlib opens is opened whole, or Node would end this process.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { endThread, withEnd } from './end-thread.ts';

const MODULE = new URL('end-thread.ts', import.meta.url).href;

/** Without `whole`, one in ten ends takes the process with it. */
const THREADS = 120;
const AT_ONCE = 4;
const PROCESSES = 10;

/** Without end, block after block. */
const UNPACKS = `
  import { deflateRawSync, inflateRawSync } from 'node:zlib';
  import { parentPort } from 'node:worker_threads';
  import { whole } from '${MODULE}';
  const block = deflateRawSync(Buffer.alloc(100));
  parentPort.postMessage('begins');
  for (;;) whole(() => inflateRawSync(block));`;

function startThread(body: string): Worker {
  return withEnd(() => new Worker(new URL(`data:text/javascript,${encodeURIComponent(body)}`)));
}

test(`endThread() ends ${String(THREADS)} threads that unpack all the time, and nothing else`, async () => {
  let ended = 0;
  const endSome = async (): Promise<void> => {
    for (let each = 0; each < THREADS / AT_ONCE; each += 1) {
      const worker = startThread(UNPACKS).on('exit', () => (ended += 1));
      await once(worker, 'message');
      await setTimeout(Math.random() * 2);
      await endThread(worker);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, endSome));
  expect(ended).toBe(THREADS);
});

test('endThread() waits for what is done whole, and then nothing more is', async () => {
  const body = `
    import { parentPort } from 'node:worker_threads';
    import { whole } from '${MODULE}';
    whole(() => {
      parentPort.postMessage('in the midst');
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100);
      parentPort.postMessage('done');
    });
    whole(() => parentPort.postMessage('again'));`;
  const worker = startThread(body);
  const heard: unknown[] = [];
  worker.on('message', (message) => heard.push(message));
  await once(worker, 'message');
  await endThread(worker);
  expect(heard).toStrictEqual(['in the midst', 'done']);
});

test(`a process ends with the status that it was given, whatever its threads are at: ${String(PROCESSES)} times`, async () => {
  const program = `
    import { once } from 'node:events';
    import { Worker } from 'node:worker_threads';
    import { withEnd } from '${MODULE}';
    const url = new URL(${JSON.stringify(`data:text/javascript,${encodeURIComponent(UNPACKS)}`)});
    const workers = Array.from({ length: 8 }, () => withEnd(() => new Worker(url)));
    await Promise.all(workers.map((worker) => once(worker, 'message')));
    process.exit(7);`;
  const argv = ['--conditions=ringwall-source', '--input-type=module', '--eval', program];
  for (let each = 0; each < PROCESSES; each += 1) {
    const child = spawn(process.execPath, argv, { stdio: ['ignore', 'ignore', 'pipe'] });
    expect(await once(child, 'exit')).toEqual([7, null]);
  }
});
