// What bench/broker.ts asks for: a broker as it is started, pinned to one core, with thousands of machines that it watches.
// The guests are simulated and sign true quotes; their hosts ask how they stand, as ringwalld does. It prints one line of JSON.
import { spawn, type ChildProcess } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
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
  readonly cpuSeconds: number;
  readonly load: number;
  readonly memory: Memory;
  readonly memoryBefore: Memory;
}

interface State {
  measuring: boolean;
  over: boolean;
  readonly ended: unknown[];
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
    broker = startBroker(directory);
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
  // Many hosts: none waits for the calls of another.
  const [relays, hosts] = [connectBroker(socket), connectBroker(socket)];
  const memoryBefore = memoryOf(pid);
  const waitsMs: number[] = [];
  const state: State = { measuring: false, over: false, ended: [] };
  for (const [index, guest] of guests.entries()) {
    // Spread over the interval, as machines are.
    const atMs = (index / guests.length) * INTERVAL_MS;
    setTimeout(() => void watch(relays, guest, state, waitsMs).catch((error) => state.ended.push(error)), atMs);
  }
  const polls = poll(hosts, guests, state);
  await sleep(INTERVAL_MS + POLL_MS);
  state.measuring = true;
  const [cpuBefore, startedAt] = [cpuSecondsOf(pid), performance.now()];
  await sleep(MEASURED_MS);
  const seconds = (performance.now() - startedAt) / 1000;
  const cpuSeconds = cpuSecondsOf(pid) - cpuBefore;
  const memory = memoryOf(pid);
  state.over = true;
  const pollsMs = await polls;
  if (state.ended.length > 0) throw new Error(`${state.ended.length} sessions ended`, { cause: state.ended[0] });
  const [load = 0] = loadavg();
  return { seconds, waitsMs, pollsMs, cpuSeconds, load, memory, memoryBefore };
}

/** One guest for as long as the broker asks. The next question comes an interval after the verdict on this answer. */
async function watch(
  client: BrokerClient,
  guest: FleetGuest,
  state: Readonly<State>,
  waitsMs: number[],
): Promise<void> {
  const { machine, boot } = guest;
  const { stream } = await client.openStream({ op: 'open-session', machine, boot });
  const lines = new BrokerLines(stream);
  lines.send('watch 1\n');
  let answeredAt: number | undefined;
  for (let line = await lines.next(); line !== undefined; line = await lines.next()) {
    if (answeredAt !== undefined && state.measuring && !state.over) {
      waitsMs.push(performance.now() - answeredAt - INTERVAL_MS);
    }
    const text = await guest.answer(line, Math.random() < NEWS_SHARE);
    answeredAt = performance.now();
    lines.send(text);
  }
  if (!state.over) throw new Error(`the broker ended the session of ${machine}`);
}

async function poll(client: BrokerClient, guests: readonly FleetGuest[], state: Readonly<State>): Promise<number[]> {
  const waits: number[] = [];
  const hosts = Array.from({ length: Math.ceil(guests.length / READ_WATCHES_LIMIT) }, async (_, host) => {
    const boots = guests
      .slice(host * READ_WATCHES_LIMIT, (host + 1) * READ_WATCHES_LIMIT)
      .map(({ machine, boot }) => ({ machine, boot }));
    await sleep(Math.random() * POLL_MS);
    while (!state.over) {
      const askedAt = performance.now();
      const { watches } = await client.call({ op: 'read-watches', boots }).catch((error: unknown) => {
        // As a host: one that hears nothing asks again. While all machines come, a broker may not be heard from.
        if (state.measuring) throw error;
        return { watches: [] };
      });
      const wrong = watches.find(({ report }) => report.state !== 'expected');
      if (wrong !== undefined)
        throw new Error(`${wrong.machine}: ${wrong.report.state} ${wrong.report.reasons.join()}`);
      if (state.measuring) waits.push(performance.now() - askedAt);
      await sleep(POLL_MS);
    }
  });
  await Promise.all(hosts);
  return waits;
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
