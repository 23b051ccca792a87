// What the three processes cost while nothing happens, with no machine and with a thousand that are stopped.
import { Instance } from '@ringwall/testkit';
import { median, type Figure } from './measure.ts';

const MACHINES = 1000;
const AT_ONCE = 4;
const LIST_RUNS = 11;
/** A process that has nothing to do gives memory back after some seconds (`NODE_FLAGS`). */
const SETTLE_MS = 30_000;
const GOAL_LIST_MS = 300;
const GOAL_MEMORY_MB = 300;

export async function benchIdle(): Promise<Figure[]> {
  await using ringwall = await Instance.start();
  const figures = await measureIdle(ringwall, 0);
  const startedAt = performance.now();
  let next = 0;
  const maker = async (): Promise<void> => {
    for (let index = next++; index < MACHINES; index = next++) await makeMachine(ringwall, `idle-${index}`);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, maker));
  const seconds = (performance.now() - startedAt) / 1000;
  figures.push({ name: `making ${MACHINES} machines with a vTPM each`, value: `${seconds.toFixed(0)} s` });
  return [...figures, ...(await measureIdle(ringwall, MACHINES))];
}

async function makeMachine(ringwall: Instance, name: string): Promise<void> {
  await ringwall.api('POST', '/v1/machines', { name, image: 'hello', memoryMiB: 256, diskMiB: 64, start: false });
  const deadline = performance.now() + 120_000;
  for (;;) {
    const { machine } = await ringwall.detail(name);
    if (machine.status.phase === 'stopped') return;
    if (performance.now() > deadline) throw new Error(`${name} is still ${machine.status.phase}`);
    await new Promise((done) => setTimeout(done, 100));
  }
}

async function measureIdle(ringwall: Instance, machines: number): Promise<Figure[]> {
  await new Promise((done) => setTimeout(done, SETTLE_MS));
  const times: number[] = [];
  for (let run = 0; run < LIST_RUNS; run += 1) {
    const startedAt = performance.now();
    await ringwall.api('GET', '/v1/machines');
    times.push(performance.now() - startedAt);
  }
  const { processes } = await ringwall.health();
  const megabytes = processes.reduce((total, { rssBytes = 0 }) => total + rssBytes, 0) / 1e6;
  const each = processes.map(({ name, rssBytes = 0 }) => `${name} ${(rssBytes / 1e6).toFixed(0)}`).join(', ');
  return [
    {
      name: `list of ${machines} stopped machines`,
      value: `${median(times).toFixed(1)} ms`,
      goal: { text: `under ${GOAL_LIST_MS} ms`, met: median(times) < GOAL_LIST_MS },
    },
    {
      name: `three processes idle with ${machines} stopped machines`,
      value: `${megabytes.toFixed(0)} MB (${each})`,
      goal: { text: `under ${GOAL_MEMORY_MB} MB`, met: megabytes < GOAL_MEMORY_MB },
    },
  ];
}
