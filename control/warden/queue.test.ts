// One after the other for each machine, and no machine waits for another.
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { QUEUE_LIMIT_REQUESTS, Queues } from './queue.ts';

const queues = (): Queues => new Queues((key) => new Error(`too many for ${key}`));

describe('Queues', () => {
  it('run the work of one key in the order of asking', async () => {
    const all = queues();
    const seen: string[] = [];
    const work = (name: string, ms: number) => async (): Promise<void> => {
      seen.push(`${name} begins`);
      await sleep(ms);
      seen.push(`${name} ends`);
    };
    await Promise.all([all.run('a', work('first', 20)), all.run('a', work('second', 0))]);
    expect(seen).toEqual(['first begins', 'first ends', 'second begins', 'second ends']);
  });

  it('run different keys at the same time', async () => {
    const all = queues();
    let release = (): void => undefined;
    const held = all.run('a', () => new Promise<void>((resolve) => (release = resolve)));
    await expect(all.run('b', async () => 'done')).resolves.toBe('done');
    release();
    await held;
  });

  it('go on after work that failed', async () => {
    const all = queues();
    const failing = all.run('a', async () => {
      throw new Error('broken');
    });
    const next = all.run('a', async () => 'done');
    await expect(failing).rejects.toThrow('broken');
    await expect(next).resolves.toBe('done');
  });

  it('refuse more waiting work than the limit, and forget what has ended', async () => {
    const all = queues();
    let release = (): void => undefined;
    const first = all.run('a', () => new Promise<void>((resolve) => (release = resolve)));
    const rest = Array.from({ length: QUEUE_LIMIT_REQUESTS - 1 }, () => all.run('a', async () => undefined));
    await expect(all.run('a', async () => undefined)).rejects.toThrow('too many for a');
    expect(all.busy('a')).toBe(true);
    release();
    await Promise.all([first, ...rest]);
    await all.idle();
    expect(all.busy('a')).toBe(false);
  });
});
