// Lanes in threads come where the work shows that they are worth it.
import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { THREAD_START_MS } from '../threads/index.ts';
import { expect, test } from 'vitest';
import { makeSharedMemory } from '../memory/index.ts';
import { sealFiles } from './index.ts';
import { isWorthThreads } from './run-lanes.ts';

const MIB: number = 2 ** 20;

test.each<[string, boolean, leftBytes: number, doneBytes: number]>([
  ['of which all is done', false, 0, MIB],
  ['that is over before a thread were there', false, 100 * MIB, 100 * MIB],
  ['that goes on for long', true, 1000 * MIB, 10 * MIB],
  ['of which a whole turn did nothing', true, MIB, 0],
])('isWorthThreads() of work %s: %s', (_, isWorth, leftBytes, doneBytes) => {
  expect(isWorthThreads({ leftBytes, doneBytes, elapsedMs: THREAD_START_MS })).toBe(isWorth);
});

test('sealFiles() starts no thread for little, unless it is told to', async () => {
  const threads: unknown[] = [];
  const count = (worker: unknown): void => void threads.push(worker);
  process.on('worker', count);
  const dir = mkdtempSync(join(tmpdir(), 'ringwall-lanes-'));
  const target = openSync(join(dir, 'sealed'), 'w');
  try {
    const memory = { place: makeSharedMemory(MIB), bytes: MIB };
    const recipients = [{ kind: 'key', key: new Uint8Array(32) }] as const;
    await sealFiles([memory], target, { recipients });
    expect(threads).toHaveLength(0);
    await sealFiles([memory], target, { recipients, threads: 2 });
    expect(threads).toHaveLength(1);
  } finally {
    process.off('worker', count);
    closeSync(target);
    rmSync(dir, { recursive: true });
  }
});
