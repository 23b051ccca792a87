import { newBootId, newMachineId } from '@ringwall/api';
import { expect, test } from 'vitest';
import { type LiveBoot, Observer } from './observer.ts';
import { FakeWarden, QUICK_TIMING } from './testing/index.ts';

test('a list that was asked for before a machine was started does not call it dead', async () => {
  const warden = new FakeWarden();
  const changes: LiveBoot[] = [];
  const observer = new Observer(warden, QUICK_TIMING, (live) => changes.push(live));
  const [first, second] = [newMachineId(), newMachineId()];
  const boot = newBootId();
  const startedAt = new Date().toISOString();
  const running = { boot, state: 'running', accelerator: 'tcg', startedAt, vmmPid: 1, tpmPid: 1 } as const;
  warden.machines.set(first, { running: { machine: first, ...running } });

  const lists: (() => void)[] = [];
  const call = warden.call;
  Object.assign(warden, {
    call: async (...request: Parameters<typeof call>) => {
      const answer = await call(...request);
      await new Promise<void>((resolve) => lists.push(resolve));
      return answer;
    },
  });
  const next = async (): Promise<void> => {
    await expect.poll(() => lists.length).toBeGreaterThan(0);
    lists.shift()?.();
  };
  observer.watch(first, boot);
  await expect.poll(() => lists.length).toBe(1);
  warden.machines.set(second, { running: { machine: second, ...running } });
  observer.watch(second, boot);
  await next();
  await next();
  expect(changes).toEqual([]);
  warden.die(second, 'vmm-dead');
  await next();
  await next();
  await expect.poll(() => changes.map((live) => [live.machine, live.state])).toEqual([[second, 'ended']]);
  const closed = observer.close();
  for (const release of lists) release();
  await closed;
});
