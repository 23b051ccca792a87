// What bench/broker.ts asks for: a broker as it is started, pinned to one core, with thousands of machines that it watches.
// The guests are simulated and sign true quotes; their hosts ask how they stand, as ringwalld does. It prints one line of JSON.
import { spawn, type ChildProcess } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { READ_WATCHES_LIMIT } from '@ringwall/api/broker';
import { connectBroker, type BrokerClient } from '../../machines/index.ts';
import { makeFleet, type FleetGuest } from './fleet.ts';
import { BrokerLines } from './guest.ts';

const [MACHINES = 0, INTERVAL_MS = 0] = process.argv.slice(2).map(Number);
/** Of the answers, those that bring a program which ran since the last: it is written down before it counts. */
const NEWS_SHARE = 1 / 16;
/** Two rounds of all machines, after one in which they come. */
const MEASURED_MS = 2 * INTERVAL_MS;
/** A host asks once a second, in one request for many machines. */
const POLL_MS = 1_000;
const MACHINES_OF_HOST = READ_WATCHES_LIMIT;
const SETTLE_MS = 5_000;
const START_TRIES = 400;
const RETRY_MS = 25;
/** Those flags of apps/cli/services/table.ts that count here. */
const NODE_FLAGS = [
  '--max-semi-space-size=2',
  '--initial-old-space-size=16',
  '--heap-growing-percent=20',
  '--optimize-for-size',
];
const MAIN = join(import.meta.dirname, '../../../apps/broker/main.ts');
const TICKS_PER_SECOND = 100;

export interface FleetFigures {
  readonly seconds: number;
  /** From an answer to its verdict, each, in milliseconds. */
  readonly waitsMs: readonly number[];
  /** Of a host that asks how its machines stand. */
  readonly pollsMs: readonly number[];
  /** By what this process itself is late, 99 of 100 times. */
  readonly ownP99Ms: number;
  readonly cpuSeconds: number;
  readonly load: number;
  readonly memory: Memory;
  readonly memoryBefore: Memory;
}

interface Run {
  state: 'coming' | 'measured' | 'over';
  readonly waitsMs: number[];
  readonly pollsMs: number[];
  readonly failures: unknown[];
}

interface Memory {
  readonly residentMb: number;
  readonly peakMb: number;
}

process.stdout.write(`${JSON.stringify(await measureFleet())}\n`, () => process.exit(0));

async function measureFleet(): Promise<FleetFigures> {
  // The fleet is made where a commit costs nothing, and lies where a broker's state lies.
  const made = mkdtempSync('/dev/shm/ringwall-bench-');
  const directory = mkdtempSync(join(tmpdir(), 'ringwall-bench-'));
  let broker: ChildProcess | undefined;
  try {
    const guests = await makeFleet(join(made, 'broker'), { machines: MACHINES, intervalMs: INTERVAL_MS });
    for (const name of ['state', 'run']) mkdirSync(join(directory, name));
    cpSync(join(made, 'broker'), join(directory, 'state/broker'), { recursive: true });
    rmSync(made, { recursive: true });
    const started = startBroker(directory);
    // Also where a defect ends this process at once.
    process.once('exit', () => started.kill('SIGKILL'));
    broker = started;
    const socket = join(directory, 'run/broker/broker.sock');
    return await measure(await awaitBroker(broker, connectBroker(socket)), socket, guests);
  } finally {
    broker?.kill('SIGKILL');
    for (const each of [made, directory]) rmSync(each, { recursive: true, force: true });
  }
}

/** Pinned to the last core. */
function startBroker(directory: string): ChildProcess {
  const core = String(availableParallelism() - 1);
  const place = ['--state', join(directory, 'state'), '--run', join(directory, 'run'), '--allow-root'];
  const argv = ['-c', core, process.execPath, '--conditions=ringwall-source', ...NODE_FLAGS, MAIN, ...place];
  return spawn('/usr/bin/taskset', argv, { stdio: 'ignore', env: { PATH: '/usr/bin:/bin' } });
}

async function awaitBroker({ pid }: ChildProcess, client: BrokerClient): Promise<number> {
  for (let attempt = 0; attempt < START_TRIES; attempt += 1) {
    const status = await client.call({ op: 'status' }).catch(() => undefined);
    if (status !== undefined && status.pid === pid) return status.pid;
    await sleep(RETRY_MS);
  }
  throw new Error('the broker did not come up');
}

async function measure(pid: number, socket: string, guests: readonly FleetGuest[]): Promise<FleetFigures> {
  const memoryBefore = memoryOf(pid);
  const run: Run = { state: 'coming', waitsMs: [], pollsMs: [], failures: [] };
  const hosts = Array.from({ length: Math.ceil(guests.length / MACHINES_OF_HOST) }, (_, host) =>
    runHost(connectBroker(socket), guests.slice(host * MACHINES_OF_HOST, (host + 1) * MACHINES_OF_HOST), run),
  );
  await sleep(INTERVAL_MS + SETTLE_MS);
  run.state = 'measured';
  const ownDelay = monitorEventLoopDelay({ resolution: 1 });
  ownDelay.enable();
  const [cpuBefore, startedAt] = [cpuSecondsOf(pid), performance.now()];
  await sleep(MEASURED_MS);
  const seconds = (performance.now() - startedAt) / 1000;
  const cpuSeconds = cpuSecondsOf(pid) - cpuBefore;
  const memory = memoryOf(pid);
  run.state = 'over';
  await Promise.all(hosts);
  if (run.failures.length > 0) throw new Error(`${run.failures.length} failures`, { cause: run.failures[0] });
  const { waitsMs, pollsMs } = run;
  const [[load = 0], ownP99Ms] = [loadavg(), ownDelay.percentile(99) / 1e6];
  return { seconds, waitsMs, pollsMs, ownP99Ms, cpuSeconds, load, memory, memoryBefore };
}

/** Its machines come one after the other within an interval; it asks how they stand until all is over. */
async function runHost(client: BrokerClient, guests: readonly FleetGuest[], run: Run): Promise<void> {
  const failed = (error: unknown): void => void run.failures.push(error);
  for (const guest of guests)
    setTimeout(() => void watch(client, guest, run).catch(failed), Math.random() * INTERVAL_MS);
  const boots = guests.map(({ machine, boot }) => ({ machine, boot }));
  await sleep(Math.random() * POLL_MS);
  while (run.state !== 'over') {
    const askedAt = performance.now();
    try {
      const { watches } = await client.call({ op: 'read-watches', boots });
      const wrong = watches.find(({ report }) => report.state !== 'expected');
      if (wrong !== undefined) failed(new Error(`${wrong.machine}: ${wrong.report.state}`));
      if (run.state === 'measured') run.pollsMs.push(performance.now() - askedAt);
    } catch (error) {
      // As ringwalld, which asks again: while all of them come, a broker may be too busy to be reached.
      if (run.state === 'measured') failed(error);
    }
    await sleep(POLL_MS);
  }
}

/** One guest for as long as the broker asks. The next question comes an interval after the verdict on this answer. */
async function watch(client: BrokerClient, guest: FleetGuest, run: Run): Promise<void> {
  const { machine, boot } = guest;
  const { stream } = await client.openStream({ op: 'open-session', machine, boot });
  const lines = new BrokerLines(stream);
  lines.send('watch 1\n');
  let answeredAt: number | undefined;
  for (let line = await lines.next(); line !== undefined; line = await lines.next()) {
    if (answeredAt !== undefined && run.state === 'measured') {
      run.waitsMs.push(performance.now() - answeredAt - INTERVAL_MS);
    }
    const text = await guest.answer(line, Math.random() < NEWS_SHARE);
    answeredAt = performance.now();
    lines.send(text);
  }
  if (run.state !== 'over') throw new Error(`the broker ended the session of ${machine}`);
}

function cpuSecondsOf(pid: number): number {
  const fields =
    readFileSync(`/proc/${String(pid)}/stat`, 'utf8')
      .split(') ')[1]
      ?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

function memoryOf(pid: number): Memory {
  const status = readFileSync(`/proc/${String(pid)}/status`, 'utf8');
  const megabytes = (name: string): number =>
    Math.round((Number(new RegExp(`${name}:\\s+(\\d+) kB`).exec(status)?.[1]) * 1024) / 1e6);
  return { residentMb: megabytes('VmRSS'), peakMb: megabytes('VmHWM') };
}
